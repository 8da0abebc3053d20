"""Stored vectors of single images, for what is reckoned with them outside the database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.db import models
from django.db.models.functions import Cast
from pgvector.django import HalfVectorField

from visualsearch.encoders.base import Vectors
from visualsearch.models import VisualIndex, rows

HEADER = 4  # bytes before the numbers in pgvector's binary form of a halfvec: dimensions, and nothing


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
