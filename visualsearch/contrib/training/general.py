"""Goods of another kind than a head is tuned on: what it costs to find among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visualsearch.encoders.base import Vectors
from visualsearch.encoders.head import Head
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.evaluation.bootstrap import Comparison, compare

from .examples import By, Examples, Fold, everything
from .gathering import Gathered, Progress, from_folder, with_views
from .selection import Measured, cosines, found

ALLOWED_LOSS = 0.02  # of P@1


@dataclass(frozen=True)
class General:
    """Embeddings of one folder, and what its pictures should find: their class or, where there are no class
    sub-folders, the picture that they are a crop of."""

    folder: Path
    gathered: Gathered
    fold: Fold
    tuned: Examples | None = None  # the same pictures as a changed network embeds them

    @property
    def examples(self) -> Examples:
        return self.gathered.examples

    def compared(self, head: Head) -> Comparison:
        """P@1 before and after."""
        changed = self.examples if self.tuned is None else self.tuned
        return compare(self._p_at_1(self.examples.features), self._p_at_1(head.apply(changed.features)))

    def _p_at_1(self, vectors: Vectors) -> Measured:
        return found(cosines(vectors, self.fold), self.fold)[:, 0]


def general(folder: Path, encoder: MobileNetV2, seed: int, progress: Progress = lambda count: None) -> General:
    """The folder's pictures, embedded. Raises EvaluationError and TrainingError where nothing can be asked of it."""
    gathered = from_folder(folder, None, encoder, seed, progress)
    if gathered.examples.by is By.AUGMENTATIONS:
        # The mirrored picture would find itself nearly always; a crop is a question.
        gathered = with_views(gathered, 2, seed)
        views = np.flatnonzero(~gathered.examples.shown)
        kept = np.concatenate([np.flatnonzero(gathered.examples.shown), views[1::2]])
        gathered = Gathered(
            gathered.examples.only(kept), gathered.pictures, gathered.unreadable, gathered.notes, gathered.encoder
        )
    return General(folder, gathered, everything(gathered.examples, seed))


def worst_loss(kept: Sequence[General], head: Head) -> float:
    """The most P@1 that any folder loses; below zero where all of them gain."""
    return max(-comparison.difference.value for comparison in (one.compared(head) for one in kept))
