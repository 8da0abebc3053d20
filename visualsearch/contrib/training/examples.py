"""What a head learns from: embeddings with a class each, and which belong to one product, split into held-out parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from visualsearch.encoders.base import Vectors

from .exceptions import TrainingError

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

FOLDS = 5
MOST_QUERIES = 2000  # of all folds together, so that choosing takes seconds
MOST_PICTURES = 20_000  # to learn from; whole products are drawn from more


class By(StrEnum):
    """What is to lie near each other."""

    PRODUCT = "product"
    CATEGORY = "category"
    AUGMENTATIONS = "augmentations"


@dataclass(frozen=True)
class Examples:
    """Unit embeddings of one encoder, float32 (n, d).

    ``classes`` (n) are the numbers of what is to lie near each other, ``groups`` (n) those of the products: a product
    is never both learned from and judged by. ``shown`` (n) is False for embeddings of augmented views, which are
    learned from and never found.
    """

    features: Vectors
    classes: Integers
    groups: Integers
    shown: Booleans
    by: By

    def __len__(self) -> int:
        return len(self.features)

    def only(self, kept: Booleans | Integers) -> Examples:
        return Examples(self.features[kept], self.classes[kept], self.groups[kept], self.shown[kept], self.by)

    @property
    def several(self) -> int:
        """How many classes have two embeddings or more."""
        return int((np.unique(self.classes, return_counts=True)[1] > 1).sum())


def limited(examples: Examples, seed: int, most: int = MOST_PICTURES) -> Integers:
    """Places of whole products, drawn at random, with at most ``most`` embeddings together."""
    order, counts = _shuffled(examples.groups, seed)
    kept = order[counts[order].cumsum() <= most]
    return np.flatnonzero(np.isin(examples.groups, kept))


@dataclass(frozen=True)
class Fold:
    """One part to judge by. ``learned`` (n) are learned from; the rows of ``queries`` search those of ``gallery``.

    ``relevant`` and ``left_out`` are (queries, gallery): what should be found, and what may not be.
    """

    learned: Booleans
    queries: Integers
    gallery: Integers
    relevant: Booleans
    left_out: Booleans


def folds(examples: Examples, seed: int, number: int = FOLDS) -> list[Fold]:
    """Parts that hold whole products, each judged with what was learned from the others.

    By category, pictures of the part search the pictures learned from, as a photo searches a shop. Products are not
    known beforehand: by product, pictures of the part search all others; by augmentations, views of its pictures search
    all pictures. Queries without anything to find are left out. Raises TrainingError where none is left.
    """
    if examples.by is By.CATEGORY and len(np.unique(examples.classes)) < 2:
        raise TrainingError("All pictures are of one category: there is nothing to tell apart.")
    order, _ = _shuffled(examples.groups, seed)
    number = min(number, len(order))
    if number < 2:
        raise TrainingError("There is but one product with an embedding: nothing can be held out to judge by.")
    part_of = np.empty(int(examples.groups.max()) + 1, dtype=np.int64)
    part_of[order] = np.arange(len(order)) % number
    parts = part_of[examples.groups]
    made = [_fold(examples, parts == part, seed + part, MOST_QUERIES // number) for part in range(number)]
    if not any(len(fold.queries) for fold in made):
        raise TrainingError(f"{_lacking(examples.by)}: nothing can be held out to judge by.")
    return made


def everything(examples: Examples, seed: int) -> Fold:
    """All pictures searching all others, for what is not learned from. Raises TrainingError as ``folds`` does."""
    whole = np.ones(len(examples), np.bool_)
    fold = _fold(examples, whole, seed, MOST_QUERIES, gallery=examples.shown)
    if not len(fold.queries):
        raise TrainingError(f"{_lacking(examples.by)}: nothing can be asked.")
    return fold


def _fold(examples: Examples, held_out: Booleans, seed: int, most: int, gallery: Booleans | None = None) -> Fold:
    classes, groups, shown = examples.classes, examples.groups, examples.shown
    asking = held_out & (~shown if examples.by is By.AUGMENTATIONS else shown)
    if gallery is None:
        gallery = shown & ~held_out if examples.by is By.CATEGORY else shown
    searched, queries = np.flatnonzero(gallery), np.flatnonzero(asking)
    own = groups if examples.by is By.CATEGORY else np.arange(len(examples))
    # What there is to find, less what is the query's own; a query of another part has nothing of its own there.
    others = _pairs(classes, classes, searched, queries) - _pairs(classes, own, searched, queries)
    queries = queries[others > 0]
    if len(queries) > most:
        queries = np.sort(np.random.default_rng(seed).choice(queries, most, replace=False))
    left_out = own[queries][:, None] == own[searched][None]
    relevant = (classes[queries][:, None] == classes[searched][None]) & ~left_out
    return Fold(~held_out, queries, searched, relevant, left_out)


def _pairs(classes: Integers, owners: Integers, searched: Integers, queries: Integers) -> Integers:
    """For each query, how many of the searched have both its class and its owner."""
    _, both = np.unique(np.stack([classes, owners]), axis=1, return_inverse=True)
    both = both.reshape(-1)
    counts: Integers = np.bincount(both[searched], minlength=int(both.max()) + 1)[both[queries]]
    return counts


def _shuffled(groups: Integers, seed: int) -> tuple[Integers, Integers]:
    """The groups in random order, and how many embeddings each has."""
    return np.random.default_rng(seed).permutation(np.unique(groups)), np.bincount(groups)


def _lacking(by: By) -> str:
    return {
        By.CATEGORY: "No category has two products",
        By.PRODUCT: "No product has two images",
        By.AUGMENTATIONS: "No picture has a view",
    }[by]


def numbered(names: Sequence[object]) -> Integers:
    """A number for each name, in order of first appearance."""
    known: dict[object, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
