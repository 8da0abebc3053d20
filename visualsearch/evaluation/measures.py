"""What was found, ranked, and the measures of it: P@1, P@k, mAP@k, hit@k, recall@k, MRR. Needs numpy alone.

Vectors are rows of unit length, so that a product of two is their cosine. ``rank`` finds the nearest of each query;
``per_query`` gives each measure's value for each query, whose means are the figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualsearch.evaluation.bootstrap import Figure, bootstrap

Vectors = NDArray[np.float32]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Values = NDArray[np.float64]

CELLS = 4_000_000  # similarities held at once: 16 MB
NOTHING = -1  # in ``Ranking.nearest``: the gallery has no more pictures


class Relevance(Protocol):
    """What queries should find, and what they may not find: rows of queries against the whole gallery."""

    def relevant(self, rows: slice) -> Booleans:
        """Which pictures of the gallery these queries should find: (rows, gallery)."""
        ...

    def left_out(self, rows: slice) -> Booleans | None:
        """Which pictures these queries may not find, such as themselves: (rows, gallery), or None for none."""
        ...


@dataclass(frozen=True)
class Classes:
    """Pictures of the query's own class are relevant; those of its own group (itself, its product) are left out.

    All are codes, one a picture, equal where the pictures belong together; ``codes`` makes them of names. Without
    groups nothing is left out.
    """

    queries: Integers
    gallery: Integers
    query_groups: Integers | None = None
    gallery_groups: Integers | None = None

    def relevant(self, rows: slice) -> Booleans:
        same: Booleans = self.queries[rows, None] == self.gallery[None]
        return same

    def left_out(self, rows: slice) -> Booleans | None:
        if self.query_groups is None or self.gallery_groups is None:
            return None
        same: Booleans = self.query_groups[rows, None] == self.gallery_groups[None]
        return same


@dataclass(frozen=True)
class Pairs:
    """Each query has its own list of positions in the gallery to be found, and of those left out."""

    wanted: Sequence[Sequence[int]]
    own: Sequence[Sequence[int]]
    gallery: int

    def relevant(self, rows: slice) -> Booleans:
        return self._marked(self.wanted[rows])

    def left_out(self, rows: slice) -> Booleans | None:
        return self._marked(self.own[rows])

    def _marked(self, lists: Sequence[Sequence[int]]) -> Booleans:
        marked = np.zeros((len(lists), self.gallery), dtype=np.bool_)
        for row, positions in zip(marked, lists, strict=True):
            row[list(positions)] = True
        return marked


@dataclass(frozen=True)
class Ranking:
    """The k nearest of n queries.

    ``nearest`` (n, k) are positions in the gallery, best first, NOTHING where there are no more; ``scores`` (n, k)
    their cosines, NaN there; ``hits`` (n, k) whether they are relevant. ``relevant`` (n) counts what is relevant in the
    whole gallery, ``first`` (n) is the rank, from 1, of the first of it in the whole gallery, 0 where there is none.
    """

    nearest: Integers
    scores: Vectors
    hits: Booleans
    relevant: Integers
    first: Integers

    @property
    def k(self) -> int:
        return int(self.nearest.shape[1])

    @property
    def answerable(self) -> Booleans:
        """Queries for which the gallery holds anything relevant (n)."""
        return self.relevant > 0

    def only(self, queries: Booleans) -> Ranking:
        """The ranking of these queries."""
        return Ranking(
            self.nearest[queries], self.scores[queries], self.hits[queries], self.relevant[queries], self.first[queries]
        )

    def scored_pairs(self) -> tuple[Vectors, Booleans]:
        """Scores of all query-result pairs found, and whether each is a match: what a score is calibrated on."""
        found = self.nearest != NOTHING
        return self.scores[found], self.hits[found]


def codes(*labels: Sequence[object]) -> list[Integers]:
    """Numbers for names, the same number for the same name in all sequences."""
    known: dict[object, int] = {}
    return [np.array([known.setdefault(label, len(known)) for label in part], dtype=np.int64) for part in labels]


def by_class(queries: Sequence[object], gallery: Sequence[object]) -> Classes:
    """Queries are to find pictures of the gallery that have the same label."""
    return Classes(*codes(queries, gallery))


def leave_one_out(labels: Sequence[object], groups: Sequence[object] | None = None) -> Classes:
    """Every picture is to find the others of its label, and may not find itself.

    With ``groups`` it may not find any of its own group: other views of its product are no answer to its category.
    """
    (known,) = codes(labels)
    own = np.arange(len(known), dtype=np.int64) if groups is None else codes(groups)[0]
    return Classes(known, known, own, own)


def rank(queries: Vectors, gallery: Vectors, relevance: Relevance, k: int = 10) -> Ranking:
    """The k nearest of each of the unit ``queries`` (n, d) in the unit ``gallery`` (m, d), by cosine, exactly.

    Equally near ones keep the gallery's order. Raises ValueError for a k below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, and must be 1 or more")
    parts = [_ranked(queries[rows], gallery, relevance, rows, k) for rows in _chunks(len(queries), len(gallery))]
    return Ranking(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _chunks(queries: int, gallery: int) -> Iterator[slice]:
    """Rows at a time, at least one chunk even of no rows."""
    size = max(1, CELLS // max(1, gallery))
    for start in range(0, max(1, queries), size):
        yield slice(start, min(queries, start + size))


def _ranked(queries: Vectors, gallery: Vectors, relevance: Relevance, rows: slice, k: int) -> tuple[NDArray[Any], ...]:
    """The fields of a Ranking for some rows."""
    similar, relevant, left_out = queries @ gallery.T, relevance.relevant(rows), relevance.left_out(rows)
    if left_out is not None:
        similar[left_out] = -np.inf
        relevant = relevant & ~left_out
    shape = (len(queries), k)
    nearest, scores, hits = np.full(shape, NOTHING), np.full(shape, np.nan, np.float32), np.zeros(shape, np.bool_)
    first = np.zeros(len(queries), dtype=np.int64)
    for row, similarities in enumerate(similar):
        found = _nearest(similarities, k)
        nearest[row, : len(found)], scores[row, : len(found)] = found, similarities[found]
        hits[row, : len(found)] = relevant[row, found]
        if relevant[row].any():
            first[row] = _first(similarities, relevant[row])
    return nearest, scores, hits, relevant.sum(1), first


def _nearest(similarities: Vectors, k: int) -> Integers:
    """Positions of the k highest that are not left out, the highest first, equal ones in their order."""
    candidates = np.flatnonzero(similarities > -np.inf)
    if len(candidates) > k:
        least = np.partition(similarities, -k)[-k]
        candidates = np.flatnonzero(similarities >= least)
    best: Integers = candidates[np.argsort(-similarities[candidates], kind="stable")][:k]
    return best


def _first(similarities: Vectors, relevant: Booleans) -> int:
    """Rank, from 1, of the nearest relevant one."""
    position = int(np.flatnonzero(relevant)[similarities[relevant].argmax()])
    above = similarities > similarities[position]
    equal_before = similarities[:position] == similarities[position]
    return 1 + int(above.sum()) + int(equal_before.sum())


def per_query(ranking: Ranking) -> dict[str, Values]:
    """Every measure's value for every query (n), by name; a figure is the mean.

    ``p_at_1``, ``p_at_k``: the share of hits among the first 1 or k, which counts a place that the gallery cannot fill
    as a miss. ``hit_at_k``: whether there is any. ``recall_at_k``: the share of all that is relevant. ``mrr``: one over
    the rank of the first hit in the whole gallery. Average precision is the mean of the precisions at the ranks of the
    hits, and comes in two definitions:

    - ``map_at_k``: over those retrieved. One hit alone, at rank 1, gives 1. The model cards' figures are these.
    - ``map_at_k_relevant``: their sum over min(k, number relevant), so that hits not retrieved count as zero.
    """
    hits, k = ranking.hits.astype(np.float64), ranking.k
    precision = hits.cumsum(1) / np.arange(1, k + 1)
    summed = (precision * hits).sum(1)
    first = ranking.first.astype(np.float64)
    return {
        "p_at_1": hits[:, 0],
        f"p_at_{k}": hits.mean(1),
        f"map_at_{k}": summed / hits.sum(1).clip(1),
        f"map_at_{k}_relevant": summed / ranking.relevant.clip(1, k),
        f"hit_at_{k}": hits.max(1),
        f"recall_at_{k}": hits.sum(1) / ranking.relevant.clip(1),
        "mrr": np.divide(1, first, out=np.zeros_like(first), where=first > 0),
    }


def figures(ranking: Ranking) -> dict[str, Figure]:
    """Every measure's mean over the queries, each with its 95% bootstrap interval. Raises ValueError for no query."""
    return {name: bootstrap(values) for name, values in per_query(ranking).items()}


def agreement(one: Vectors, other: Vectors) -> Figure:
    """Mean cosine between unit embeddings (n, d) of the same pictures."""
    return bootstrap((one * other).sum(1, dtype=np.float64))


def class_means(labels: Sequence[str], values: ArrayLike) -> dict[str, tuple[float, int]]:
    """Mean of the values and number of queries of each label, the lowest mean first, then by name."""
    known, wanted = np.asarray(values, dtype=np.float64), np.asarray(labels)
    means = {str(label): known[wanted == label] for label in dict.fromkeys(labels)}
    ordered = sorted(means, key=lambda label: (means[label].mean(), label))
    return {label: (float(means[label].mean()), len(means[label])) for label in ordered}
