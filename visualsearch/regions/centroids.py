"""What an index holds, in a few hundred unit vectors kept in memory: windows are compared with these first.

Spherical k-means (Dhillon and Modha 2001) over a sample of the version's stored vectors. Each process makes them at the
first question and again when they are an hour old, so that they follow the shop's goods.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import NamedTuple

import numpy as np
from django.db.models import F
from django.db.models.functions import Mod

from visualsearch.encoders.base import Vectors
from visualsearch.models import VisualIndex, rows
from visualsearch.stores.vectors import vectors_of

CENTROIDS = 256
SAMPLE = 2048  # vectors that they are made of: 5 MB to read
ROUNDS = 6  # of k-means; the mean cosine to the nearest centroid grows by less than 0.001 in further ones
FRESH_S = 3600.0
LAST_VERSIONS = 4  # kept in memory: 1.3 MB each


class _Kept(NamedTuple):
    vectors: Vectors
    until: float  # of time.monotonic()


_kept: dict[tuple[int, str], _Kept] = {}
_lock = Lock()  # one thread makes them; the others that come meanwhile wait, or take the old ones


def centroids_of(index: VisualIndex) -> Vectors:
    """Unit vectors, float32 (at most 256, dimensions), of what the version holds; none for an empty one.

    Three queries and about a second where there are none yet; otherwise neither.
    """
    key = (index.pk, index.fingerprint)
    known = _kept.get(key)
    if known and time.monotonic() < known.until:
        return known.vectors
    if not _lock.acquire(blocking=known is None):
        assert known is not None
        return known.vectors
    try:
        again = _kept.get(key)
        if again and again is not known:
            return again.vectors
        return refresh(index)
    finally:
        _lock.release()


def refresh(index: VisualIndex) -> Vectors:
    """Makes the version's centroids anew, and keeps them for an hour. Returns them."""
    vectors = clustered(sample(index), CENTROIDS)
    key = (index.pk, index.fingerprint)
    _kept.pop(key, None)
    if len(vectors):  # an empty version may be filled at any moment
        _kept[key] = _Kept(vectors, time.monotonic() + FRESH_S)
    for old in list(_kept)[:-LAST_VERSIONS]:
        _kept.pop(old, None)
    return vectors


def forget() -> None:
    """Drops all that is kept."""
    _kept.clear()


def sample(index: VisualIndex, count: int = SAMPLE) -> Vectors:
    """About ``count`` of the version's unit vectors, float32 (n, dimensions), spread evenly over it. 3 queries."""
    stored = rows(index, vector__isnull=False)
    step = max(1, stored.count() // count)
    every = stored.annotate(visualsearch_turn=Mod(F("pk"), step)).filter(visualsearch_turn=0).order_by("pk")
    found = vectors_of(index, list(every.values_list("object_id", flat=True)[: 2 * count]))
    return np.stack(list(found.values())) if found else np.empty((0, index.dimensions), np.float32)


def clustered(vectors: Vectors, count: int) -> Vectors:
    """At most ``count`` unit centroids of unit vectors (n, dimensions); the vectors themselves where they are fewer.

    The same vectors give the same centroids: they start from rows spread evenly over the sample.
    """
    if len(vectors) <= count:
        return vectors
    centres = vectors[np.linspace(0, len(vectors) - 1, count).astype(int)]
    for _ in range(ROUNDS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        # One that nothing is nearest to stays where it is.
        centres = np.where(lengths > 0, sums / lengths.clip(1e-6), centres)
    return np.ascontiguousarray(centres, dtype=np.float32)
