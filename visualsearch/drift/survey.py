"""Drift that is found without reading the shop's files: in versions, in rows that have no image, in vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import numpy as np
from django.db import models
from django.db.models.functions import Cast

from visualsearch.conf import conf
from visualsearch.drift.finding import Drift, Kind
from visualsearch.encoders.base import Encoder
from visualsearch.exceptions import EncoderError, ImageRefused
from visualsearch.images import content_hash, open_image, read_whole
from visualsearch.indexing import encoder_of
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.readers import within
from visualsearch.sources import ImageSource
from visualsearch.stores import Condition, get_store

STEP = 2_000  # rows of one statement
SAME = 0.99  # cosine similarity of vectors that one encoder made of one file; LiteRT and Keras differ by 0.00005
ENCODED = 20  # images of a version that are encoded anew, at random

State = VisualIndex.State


def survey(source: ImageSource, encoded: int | None = ENCODED, *, escalate: bool = True) -> Iterator[Drift]:
    """Goes through the source's versions. ``encoded`` vectors of each live one are compared with what its encoder makes
    of the file now, all of them where it is None; with ``escalate`` also where one of the sample is wrong.
    """
    for index in VisualIndex.objects.of(source).order_by("pk"):
        yield from _graph(source, index)
        yield from _without_image(source, index)
        for object_id, wrong in get_store().unfit(index):
            yield Drift(Kind.VECTOR_UNFIT, source.name, index.pk, object_id, wrong)
        if index.state == State.RETIRED:
            continue
        try:
            encoder = encoder_of(index)
        except EncoderError as error:
            yield Drift(Kind.WRONG_FINGERPRINT, source.name, index.pk, detail=str(error))
        else:
            yield from _encoded_anew(source, index, encoder, encoded, escalate)


def leftovers() -> Iterator[Drift]:
    """Database indexes of versions that are no more, of whatever source they were."""
    for name in get_store().leftovers():
        yield Drift(Kind.INDEX_LEFT_OVER, "", detail=name)


def _graph(source: ImageSource, index: VisualIndex) -> Iterator[Drift]:
    """A version that is being built gets its graph at the end; one without a vector needs none."""
    condition = get_store().condition(index)
    if condition is Condition.INVALID:
        yield Drift(Kind.INDEX_INVALID, source.name, index.pk)
    elif (
        condition is Condition.MISSING and index.state != State.BUILDING and rows(index, vector__isnull=False).exists()
    ):
        yield Drift(Kind.INDEX_MISSING, source.name, index.pk)


def _without_image(source: ImageSource, index: VisualIndex) -> Iterator[Drift]:
    """As text, since what stands in a row need not be a key at all."""
    same = source.with_file().order_by().annotate(visualsearch_key=Cast("pk", models.CharField()))
    stray = rows(index).filter(~models.Exists(same.filter(visualsearch_key=models.OuterRef("object_id"))))
    last = 0
    while found := list(stray.filter(pk__gt=last).order_by("pk").values_list("pk", "object_id")[:STEP]):
        yield from (Drift(Kind.ROW_WITHOUT_IMAGE, source.name, index.pk, object_id) for _, object_id in found)
        last = found[-1][0]


def _encoded_anew(
    source: ImageSource, index: VisualIndex, encoder: Encoder, encoded: int | None, escalate: bool
) -> Iterator[Drift]:
    """Vectors of another encoder, as after rows were copied or a weights file was replaced under a worker."""
    indexed = rows(index, state=ImageEmbedding.State.INDEXED, vector__isnull=False)
    if encoded is not None:
        sample = _compared(source, index, encoder, list(indexed.order_by("?")[:encoded]))
        if not escalate:
            yield from sample
            return
        if not any(sample):
            return
    last = 0
    while batch := list(indexed.filter(pk__gt=last).order_by("pk")[: encoder.batch_size]):
        last = batch[-1].pk
        yield from _compared(source, index, encoder, batch)


def _content(source: ImageSource, name: str) -> bytes:
    with contextlib.closing(source.storage.open(name, "rb")) as file:
        return read_whole(file)


def _compared(
    source: ImageSource, index: VisualIndex, encoder: Encoder, batch: list[ImageEmbedding]
) -> Iterator[Drift]:
    for start in range(0, len(batch), encoder.batch_size):
        read, pictures = [], []
        for row in batch[start : start + encoder.batch_size]:
            # Files that cannot be read or have changed are drift of another kind, which is found elsewhere.
            with contextlib.suppress(ImageRefused, OSError, ValueError):
                content = within(conf.STORAGE_TIMEOUT, partial(_content, source, row.file))
                if content_hash(content) == row.content_hash:
                    pictures.append(encoder.prepare(open_image(content)))
                    read.append(row)
        for row, vector in zip(read, encoder.encode(pictures), strict=True):
            stored = np.asarray(row.vector, np.float32)
            same = len(stored) == len(vector)
            similarity = float(stored @ vector / max(float(np.linalg.norm(stored)), 1e-12)) if same else 0.0
            if not similarity >= SAME:
                yield Drift(Kind.VECTOR_WRONG, source.name, index.pk, row.object_id, f"similarity {similarity:.3f}")
