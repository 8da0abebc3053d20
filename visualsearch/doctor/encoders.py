"""Whether this process has the encoder that made the version in use, and whether that encoder works."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from visualsearch import lifecycle
from visualsearch.doctor.finding import Finding, Verdict
from visualsearch.drift.survey import SAME
from visualsearch.encoders import Encoder, get_encoder
from visualsearch.exceptions import EncoderError, ImageRefused
from visualsearch.images import content_hash, open_image, read_limited
from visualsearch.indexing import encoder_of
from visualsearch.models import ImageEmbedding, VisualIndex, active_index, rows
from visualsearch.sources import ImageSource

SAMPLE = 3  # pictures that are encoded anew
LOOKED_AT = 12  # rows that are looked at for them: some files may have changed
GREY = (128, 128, 128)


def encoder(source: ImageSource) -> Iterator[Finding]:
    """Its fingerprint is the version's, it embeds a picture, and it makes the vectors that are stored."""
    index = active_index(source)
    name = index.encoder if index else lifecycle.encoder_name(source)
    try:
        used = encoder_of(index) if index else get_encoder(name)
        fingerprint = used.fingerprint
        used.encode([Image.new("RGB", (64, 64), GREY)])
    except EncoderError as error:
        yield Finding("encoder", Verdict.WRONG, f"{source}: {_damage(name) or error}", _todo(name, index), source.name)
        return
    named = f"{source}: {name} {fingerprint[:12]}"
    if index is None:
        yield Finding("encoder", Verdict.OK, f"{named} works.", "", source.name)
        return
    similarities = list(_similarities(source, index, used))
    if any(similarity < SAME for similarity in similarities):
        said = f"{named} does not make the vectors that version {index.pk} has (similarity {min(similarities):.2f})."
        todo = "Run: manage.py visualsearch_reconcile --fix --encode all"
        yield Finding("encoder", Verdict.WRONG, said, todo, source.name)
        return
    anew = f"; {len(similarities)} pictures encoded anew gave the stored vectors" if similarities else ""
    yield Finding("encoder", Verdict.OK, f"{named} is the encoder of version {index.pk}{anew}.", "", source.name)


def _damage(name: str) -> str:
    """What is wrong with the model file itself, which changes the fingerprint too; "" where it works."""
    try:
        get_encoder(name).encode([Image.new("RGB", (64, 64), GREY)])
    except EncoderError as error:
        return str(error)
    return ""


def _todo(name: str, index: VisualIndex | None) -> str:
    check = f"Run: manage.py visualsearch_encoder check {name}"
    if index is None:
        return f"{check}; correct ENCODER and WEIGHTS in the VISUALSEARCH setting."
    return (
        f"{check}. Give this process the ENCODER and WEIGHTS that version {index.pk} was made with; where the change "
        "is meant, run: manage.py visualsearch_index build"
    )


def _similarities(source: ImageSource, index: VisualIndex, used: Encoder) -> Iterator[float]:
    """Cosine similarity of stored vectors and those of the same files now, for some images at random."""
    indexed = rows(index, state=ImageEmbedding.State.INDEXED, vector__isnull=False)
    found = 0
    for row in indexed.order_by("?")[:LOOKED_AT]:
        # Files that cannot be read are a matter of the storage, and those that changed one of reconcile.
        with contextlib.suppress(ImageRefused, OSError, ValueError):
            with contextlib.closing(source.storage.open(row.file, "rb")) as file:
                content = read_limited(file)
            if content_hash(content) != row.content_hash:
                continue
            stored = np.asarray(row.vector, np.float32)
            vector = used.encode([used.prepare(open_image(content))])[0]
            same = len(stored) == len(vector)
            yield float(stored @ vector / max(float(np.linalg.norm(stored)), 1e-12)) if same else 0.0
            found += 1
        if found == SAMPLE:
            return
