"""Which weights a MobileNetV2 has, the fingerprint they give, and the file they are exported to. No model here."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from visualsearch.conf import conf
from visualsearch.encoders import BUNDLED
from visualsearch.encoders.head import EncoderFile, read_encoder_file
from visualsearch.exceptions import EncoderError, EncoderNotBuilt, InvalidWeights

BUNDLED_WEIGHTS = Path(__file__).parent / "weights"
NAMED_WEIGHTS = ("imagenet", "random")
SEAL = b"visualsearch sha256 "  # before the digest at the end of an export, where the format ignores it

Weights = str | os.PathLike[str] | None


@dataclass(frozen=True)
class ModelDescription:
    """A MobileNetV2: all that decides its embeddings, apart from the weights."""

    name: str
    width: float  # "alpha" in Keras: the channels of every layer are multiplied by it
    side: int = 224  # pixels, of the square that the whole image is resized to
    dimensions: int = 1280
    # Part of the fingerprint, so that every index is built again: change it with the pixels, and only then.
    preprocessing: str = "whole image, bilinear, gap 3, -1..1, version 1"


@dataclass(frozen=True)
class ModelFile:
    """The weights chosen for a model: None (bundled), "imagenet", "random", or the path of a .h5 or .tflite file.

    Raises InvalidWeights for anything else.
    """

    description: ModelDescription
    weights: Weights

    def __post_init__(self) -> None:
        if self.weights is None or self.weights in NAMED_WEIGHTS:
            return
        known = isinstance(self.weights, str | os.PathLike) and Path(self.weights).suffix in (".h5", ".tflite")
        if not known:
            raise InvalidWeights(
                f"The weights of {self.description.name} are {self.weights!r}; expected "
                '"imagenet", "random", or the path of a .weights.h5 or .tflite file.'
            )

    @cached_property
    def source(self) -> Path | str:
        """The file that the weights come from, or "imagenet" or "random"."""
        if self.weights is None:
            return BUNDLED_WEIGHTS / f"{self.description.name}.tflite"
        return str(self.weights) if self.weights in NAMED_WEIGHTS else Path(self.weights).expanduser().absolute()

    @property
    def is_exported(self) -> bool:
        """Whether the weights are a .tflite file themselves, so that nothing has to be built."""
        return isinstance(self.source, Path) and self.source.suffix == ".tflite"

    @property
    def finetuned(self) -> EncoderFile | None:
        """What a file that finetuning wrote says of itself; None for any other, and where there is no file.

        Raises InvalidWeights where it was made for another encoder.
        """
        if not (isinstance(self.source, Path) and self.is_exported and self.source.is_file()):
            return None
        described = read_encoder_file(self.source)
        if described and described.encoder != self.description.name:
            raise InvalidWeights(f"{self.source} is of {described.encoder}, not of {self.description.name}.")
        return described

    @property
    def dimensions(self) -> int:
        """The length of the model's vectors: a head that is folded into the file adds to it."""
        return finetuned.dimensions if (finetuned := self.finetuned) else self.description.dimensions

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the weights (a file's bytes, or the name), the preprocessing and the width.

        Raises EncoderNotBuilt where the bundled file is absent, InvalidWeights where another one is.
        """
        weights = _digest(self._existing(self.source)) if isinstance(self.source, Path) else self.source
        recipe = f"MobileNetV2 {self.description.width} {self.description.side}\n{self.description.preprocessing}"
        return hashlib.sha256(f"{recipe}\n{weights}".encode()).hexdigest()

    @property
    def path(self) -> Path:
        """Where the .tflite file is, or would be. Raises as ``fingerprint`` does."""
        if isinstance(self.source, Path) and self.is_exported:
            return self._existing(self.source)
        return conf.model_cache / f"{self.description.name}-{self.fingerprint[:16]}.tflite"

    @property
    def is_built(self) -> bool:
        """Whether there is a .tflite file to run. Raises InvalidWeights where weights of one's own are absent."""
        try:
            return self.path.is_file()
        except EncoderNotBuilt:
            return False

    def built_path(self) -> Path:
        """Where the .tflite file is. Raises EncoderNotBuilt, with what to do, where there is none yet, and
        InvalidWeights where it is not as it was written: the fingerprint is of what it was made from."""
        path = self.path
        if not path.is_file():
            name = self.description.name
            raise EncoderNotBuilt(
                f"{name} has not been built from {self.source} yet; "
                f"run: manage.py visualsearch_encoder build {name} --weights {self.source}"
            )
        if not self.is_exported and not is_whole(path):
            name = self.description.name
            raise InvalidWeights(
                f"{path} is damaged; run: manage.py visualsearch_encoder build {name} --weights {self.source}"
            )
        return path

    def _existing(self, source: Path) -> Path:
        if source.is_file():
            return source
        if self.weights is not None:
            raise InvalidWeights(f"There is no weights file {source}.")
        name = self.description.name
        raise EncoderNotBuilt(
            f"This installation has no bundled weights for {name}: set VISUALSEARCH['WEIGHTS'] to \"imagenet\" or to "
            f"the path of a .weights.h5 file, then run: manage.py visualsearch_encoder build {name}"
        )


def configured_weights(encoder: type, label: str = "") -> Weights:
    """What ``VISUALSEARCH["WEIGHTS"]`` says for an encoder class, or for its further weights of this label.

    A plain value is meant for the encoder that ``VISUALSEARCH["ENCODER"]`` names; every other one has its bundled
    weights. A dict gives each encoder its own, keyed as ENCODER would name it. Raises EncoderError for a key that
    names no encoder, and for a label that is no key.
    """
    path = f"{encoder.__module__}.{encoder.__qualname__}" + (f"@{label}" if label else "")
    setting = conf.WEIGHTS
    if not isinstance(setting, Mapping):
        chosen: Weights = setting
        if _full(conf.ENCODER) == path:
            return chosen
        setting = {}
    if unknown := [repr(key) for key in setting if _full(key).find(".") < 0]:
        raise EncoderError(
            f"VISUALSEARCH['WEIGHTS'] has the key {', '.join(unknown)}, which names no encoder; its keys are "
            f"{', '.join(BUNDLED)}, or dotted paths of encoders."
        )
    known = {_full(key): weights for key, weights in setting.items()}
    if label and path not in known:
        short = {own: bundled for bundled, own in BUNDLED.items()}.get(path.partition("@")[0], path.partition("@")[0])
        raise EncoderError(
            f"There are no weights labelled {label!r}: give VISUALSEARCH['WEIGHTS'] the key '{short}@{label}'."
        )
    return known.get(path)


def _full(name: object) -> str:
    """The dotted path of a name, with its label."""
    stem, at, label = str(name).partition("@")
    return BUNDLED.get(stem, stem) + at + label


def sealed(model: bytes) -> bytes:
    """The model with its digest at the end. Sealed and unsealed, it runs the same."""
    return model + SEAL + hashlib.sha256(model).hexdigest().encode()


def write_whole(target: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename: readers see the whole file or none. Raises
    OSError, and leaves nothing then."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def is_whole(path: Path) -> bool:
    """Whether an export is as it was written, as far as it says: those of earlier versions have no seal."""
    stat = path.stat()
    return _is_whole(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=16)
def _is_whole(path: Path, mtime_ns: int, size: int, inode: int) -> bool:
    """Read again only after the file changed."""
    model, seal, digest = path.read_bytes().rpartition(SEAL)
    return not seal or hashlib.sha256(model).hexdigest().encode() == digest


def _digest(path: Path) -> str:
    stat = path.stat()
    return _file_digest(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=16)
def _file_digest(path: Path, mtime_ns: int, size: int, inode: int) -> str:
    """SHA-256 of a file, read again only after it changed."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise InvalidWeights(f"The weights file {path} cannot be read: {exc.strerror}.") from exc
