"""Which head, and how much of the original embedding beside it: chosen on held-out products, and judged on others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visualsearch.encoders.base import Vectors
from visualsearch.evaluation.bootstrap import Comparison, compare

from .examples import By, Examples, Fold, folds
from .heads import SHRINKAGES, Projection, Spread, dimensions_to_try

Measured = NDArray[np.float32]
SHARES = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 5.0)  # of the original embedding beside the projection's length of 1
# P@1 alone differs by chance between settings: with 3,000 queries by 0.008. A whole page tells them apart better.
PAGE = 10
PATIENCE = 3  # rounds of training without finding more, after which a learned head is trained no further


@dataclass(frozen=True)
class Setting:
    """How a projection is made. ``dimensions`` None is whitening within classes alone; ``rounds`` are those that a
    learned head was trained for, 0 where it is as the closed form gave it."""

    shrinkage: float
    dimensions: int | None
    rounds: int = 0

    def __str__(self) -> str:
        form = "whitening within classes" if self.dimensions is None else f"{self.dimensions} dimensions"
        learned = f", learned for {self.rounds} rounds" if self.rounds else ""
        return f"{form}, shrinkage {self.shrinkage:g}{learned}"


Settings = Iterable[Setting] | None
Fitted = Iterator[tuple[Setting, Projection]]


class Family(Protocol):
    """Projections to choose from."""

    def fitted(
        self, examples: Examples, settings: Iterable[Setting] | None = None
    ) -> Iterator[tuple[Setting, Projection]]:
        """Each setting with its projection, learned from these examples; only those of ``settings`` where given."""
        ...


class ClosedForm:
    """Discriminant analysis with every shrinkage and number of dimensions; whitening where there are no categories.

    The numbers of dimensions are those for all ``examples``, so that every part is tried with the same ones: a part
    that lacks a class gives one dimension less than it is asked for.
    """

    def __init__(self, examples: Examples) -> None:
        self._classes = len(np.unique(examples.classes))
        self._whitening = examples.by is not By.CATEGORY

    def fitted(
        self, examples: Examples, settings: Iterable[Setting] | None = None
    ) -> Iterator[tuple[Setting, Projection]]:
        spread = Spread.of(examples.features, examples.classes)
        if settings is not None:
            yield from ((one, spread.discriminant(one.shrinkage, one.dimensions)) for one in settings)
            return
        sizes = dimensions_to_try(self._classes, examples.features.shape[1], self._whitening)
        limited = [size for size in sizes if size is not None]
        for shrinkage in SHRINKAGES:
            whole = spread.discriminant(shrinkage, max(limited)) if limited else None
            for size in limited:
                assert whole is not None
                yield Setting(shrinkage, size), whole.first(size)
            if None in sizes:
                yield Setting(shrinkage, None), spread.discriminant(shrinkage)


@dataclass(frozen=True)
class Chosen:
    """A setting and a share of the original embedding, best on P@1 and on precision of a page together.

    ``comparison`` is P@1 of the original embedding and of the head, on pictures that it was not learned from. For each
    part the head is that of the setting that was best on the other parts: not the best of many by chance.
    """

    setting: Setting
    share: float
    comparison: Comparison
    before: Measured  # P@1 of the original embedding, one value a query
    after: Measured  # and of the head


class Trials:
    """How every setting and share finds on every held-out part: P@1 and precision on a page, for each query."""

    def __init__(self, examples: Examples, family: Family, seed: int, parts: Sequence[Fold] | None = None) -> None:
        """``parts`` are those of ``folds`` where not given."""
        self.parts = [fold for fold in parts or folds(examples, seed) if len(fold.queries)]
        self._before = [found(cosines(examples.features, fold), fold) for fold in self.parts]
        self._after = [_tried(examples, fold, family) for fold in self.parts]
        self.settings = [one for one in self._after[0] if all(one in part for part in self._after)]

    def chosen(self, shares: Sequence[float] = SHARES) -> Chosen:
        """The best of the settings and of these shares, and how it compares with the original embedding."""
        allowed = [SHARES.index(share) for share in shares]
        sums = np.array([[part[one].sum((1, 2))[allowed] for one in self.settings] for part in self._after])
        after = []
        for number, part in enumerate(self._after):
            others = np.delete(sums, number, axis=0) if len(sums) > 1 else sums
            setting, share = _best(others.sum(0))
            after.append(part[self.settings[setting]][allowed[share]])
        setting, share = _best(sums.sum(0))
        originally, now = np.concatenate(self._before)[:, 0], np.concatenate(after)[:, 0]
        comparison = compare(originally, now)
        return Chosen(self.settings[setting], SHARES[allowed[share]], comparison, originally, now)


def _best(sums: Measured) -> tuple[int, int]:
    """The places of the setting and the share with the highest sum; of equals the first."""
    setting, share = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(setting), int(share)


def cosines(features: Vectors, fold: Fold) -> Vectors:
    """Cosines of the original embeddings (queries, gallery); what may not be found is at minus infinity."""
    near: Vectors = features[fold.queries] @ features[fold.gallery].T
    near[fold.left_out] = -np.inf
    return near


def _tried(examples: Examples, fold: Fold, family: Family) -> dict[Setting, Measured]:
    """What each setting, learned without this part, finds: (shares, queries, 2)."""
    original = cosines(examples.features, fold)
    tried: dict[Setting, Measured] = {}
    best = (-1.0, 0)
    for setting, projection in family.fitted(examples.only(fold.learned)):
        asked = projection.directions(examples.features[fold.queries])
        projected = asked @ projection.directions(examples.features[fold.gallery]).T
        tried[setting] = np.stack([found(projected + np.float32(share**2) * original, fold) for share in SHARES])
        best = max(best, (float(tried[setting].sum((1, 2)).max()), setting.rounds))
        if setting.rounds - best[1] >= PATIENCE:  # early stop
            break
    return tried


def found(scores: Vectors, fold: Fold) -> Measured:
    """P@1 and the share of hits among the first PAGE, or as many as there are to find: (queries, 2)."""
    page = min(PAGE, scores.shape[1])
    nearest = np.argpartition(-scores, page - 1, axis=1)[:, :page]
    hits = np.take_along_axis(fold.relevant, nearest, 1)
    best = np.take_along_axis(scores, nearest, 1).argmax(1)
    findable = fold.relevant.sum(1).clip(1, page)
    return np.stack([hits[np.arange(len(hits)), best], hits.sum(1) / findable], axis=1).astype(np.float32)
