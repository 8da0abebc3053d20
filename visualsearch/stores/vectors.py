"""Stored vectors of single images, for what is reckoned with them outside the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.core.exceptions import EmptyResultSet
from django.db import models, router
from django.db.models.functions import Cast
from pgvector.django import HalfVectorField

from visualsearch.encoders.base import Vectors
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.stores.pieces import eligible_keys

HEADER = 4  # bytes before the numbers in pgvector's binary forms: dimensions, and nothing
# As text, since building and compiling it as expressions takes longer than PostgreSQL takes to answer.
OF_ACTIVE = f"""
    SELECT version.*, e.object_id, e.vector_sent FROM {VisualIndex._meta.db_table} version JOIN LATERAL (
        SELECT object_id, vector_send(vector) AS vector_sent FROM {ImageEmbedding._meta.db_table}
        WHERE index_id = version.id AND vector IS NOT NULL
        AND object_id IN (SELECT images.key::varchar FROM ({{images}}) AS images (key))
    ) e ON true WHERE version.source = %s AND version.state = %s ORDER BY e.object_id
"""


def in_active(source: str, images: models.QuerySet[Any]) -> tuple[VisualIndex, dict[str, Vectors]] | None:
    """The version that searches of this source use, and the unit vectors of these images in it, float32 (dimensions),
    by image, in the order of their keys; None where it has none of them. One query."""
    try:
        keys = eligible_keys(images)
    except EmptyResultSet:  # Django knows that there are no such images, as after none()
        return None
    statement, params = OF_ACTIVE.format(images=keys.sql), [*keys.params, source, VisualIndex.State.ACTIVE]
    found: list[Any] = list(VisualIndex.objects.using(router.db_for_read(ImageEmbedding)).raw(statement, params))
    if not found:
        return None
    return found[0], {row.object_id: np.frombuffer(row.vector_sent, ">f4", offset=HEADER) for row in found}


def vectors_of(index: VisualIndex, ids: Sequence[str]) -> dict[str, Vectors]:
    """Unit vectors, float32 (dimensions), by image; images without one are left out. One query.

    They travel as half-precision numbers, as which the graph compares them, in pgvector's binary form: text of a
    thousand decimals takes ten times as long to read.
    """
    half = Cast("vector", HalfVectorField(dimensions=index.dimensions))
    sent = models.Func(half, function="halfvec_send", output_field=models.BinaryField())
    found = rows(index, object_id__in=ids, vector__isnull=False).annotate(visualsearch_sent=sent)
    read = found.values_list("object_id", "visualsearch_sent")
    return {key: _unit(np.frombuffer(content, ">f2", offset=HEADER)) for key, content in read}


def _unit(vector: Vectors) -> Vectors:
    """Rounded to half precision it is a little longer or shorter than 1."""
    exact = vector.astype(np.float32)
    scaled: Vectors = exact / np.linalg.norm(exact)
    return scaled
