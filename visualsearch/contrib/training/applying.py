"""From an encoder file to an index version: computed from the stored vectors where only the head is new."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from visualsearch import lifecycle, projection
from visualsearch.conf import conf
from visualsearch.encoders import BUNDLED, configured, encoder_class, get_encoder
from visualsearch.encoders.head import EncoderFile, read_encoder_file
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.encoders.model_file import ModelFile
from visualsearch.exceptions import EncoderError, FingerprintMismatch
from visualsearch.lifecycle.versions import filling
from visualsearch.models import VisualIndex, active_index
from visualsearch.sources import ImageSource

from .exceptions import TrainingError

LABEL = "finetuned"

Say = Callable[[str], None]


def described(path: Path) -> tuple[EncoderFile, str]:
    """What a finetuned file says of itself, and its fingerprint. Raises InvalidWeights, TrainingError."""
    tuned = read_encoder_file(path)
    if tuned is None:
        raise TrainingError(f"{path} was not written by visualsearch_finetune.")
    found = encoder_class(tuned.encoder)
    if not issubclass(found, MobileNetV2):
        raise TrainingError(f"{path} is of the encoder {tuned.encoder!r}, which takes no file.")
    return tuned, ModelFile(found.description, path).fingerprint


def configured_name(fingerprint: str) -> str | None:
    """The name under which the settings have an encoder of this fingerprint."""
    for name in configured():
        try:
            if get_encoder(name).fingerprint == fingerprint:
                return name
        except EncoderError:  # another encoder's file is missing: not what is asked here
            continue
    return None


def setting_for(path: Path, encoder: str) -> str:
    """The lines of settings that let every process use the file beside the encoder that is used now."""
    known = dict(conf.WEIGHTS) if isinstance(conf.WEIGHTS, dict) else {_short(conf.ENCODER): conf.WEIGHTS}
    name = next(name for name in _labels(encoder) if name not in known)
    weights = {**known, name: str(path.absolute())}
    return 'VISUALSEARCH["WEIGHTS"] = {' + ", ".join(f"{key!r}: {value!r}" for key, value in weights.items()) + "}"


def _labels(encoder: str) -> list[str]:
    return [f"{encoder}@{LABEL}{number}" for number in ("", *range(2, 100))]


def _short(name: str) -> str:
    return {path: short for short, path in BUNDLED.items()}.get(name, name)


def make_version(source: ImageSource, path: Path, say: Say, *, activate: bool = False) -> VisualIndex:
    """A version of the file's encoder, built beside the active one: computed from its vectors, or from the pictures.

    Raises TrainingError where the settings do not name the file, FingerprintMismatch where the active version's vectors
    are not those that the head is for, and as lifecycle's functions do.
    """
    tuned, fingerprint = described(path)
    name = configured_name(fingerprint)
    if name is None:
        raise TrainingError(
            f"The settings do not name {path}, so that no other process could use it; set "
            f"{setting_for(path, tuned.encoder)}"
        )
    _require_base(source, tuned, path)
    index = lifecycle.begin(source, name)
    base = projection.base_of(index, source)
    if base is None:
        say(f"{source}: the whole network changed, so that version {index.pk} is built from the pictures.")
    else:
        start = time.perf_counter()
        with filling(index):
            done = projection.project(index, source, base)
        seconds = time.perf_counter() - start
        say(
            f"{source}: version {index.pk}: {done.computed:,} vectors computed from those of version {base.pk} in "
            f"{seconds:.1f} s, no picture read; {done.left:,} images are left to be read."
        )
    outcome = lifecycle.build(index, source, chunk=conf.CHUNK)
    if base is not None and projection.recheck(index, base):
        outcome += lifecycle.build(index, source, chunk=conf.CHUNK)
    say(f"{source}: version {index.pk} is built: {outcome.indexed:,} pictures read, {outcome.failed:,} failed.")
    if activate:
        lifecycle.activate(source, index)
        say(
            f"{source}: version {index.pk} is active; to go back: "
            f"manage.py visualsearch_index rollback --source {source}"
        )
    return index


def _require_base(source: ImageSource, tuned: EncoderFile, path: Path) -> None:
    """A head without stored vectors of its base is a mistake: of the wrong shop's file, or of changed weights."""
    active = active_index(source)
    if tuned.head is None or active is None:
        return
    if not VisualIndex.objects.of(source).filter(fingerprint=tuned.head.base).exists():
        raise FingerprintMismatch(
            f"{path.name} has a head for vectors of {tuned.head.base[:12]}; the active version {active.pk} of "
            f"{source.name!r} holds vectors of {active.encoder} {active.fingerprint[:12]}."
        )
