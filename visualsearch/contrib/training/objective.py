"""What the student is asked for: the teacher's maps block by block, then its maps and embedding end to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from . import blocks, units
from .teachers import Teacher

LINK_SPREAD = 1.0
ALL = range(blocks.BLOCKS)


def pooled(x: Any) -> Any:
    """Maps (n, h, w, c) -> their means (n, c)."""
    return tf.reduce_mean(x, (1, 2))


def cosine(a: Any, b: Any) -> Any:
    """Mean cosine similarity of the rows of two (n, dimensions) tensors."""
    return tf.reduce_mean(tf.reduce_sum(tf.math.l2_normalize(a, -1) * tf.math.l2_normalize(b, -1), -1))


@dataclass
class Objective:
    """Losses of a student MobileNetV2 of width `alpha` under a teacher: squared errors over the teacher's variance.

    Of the teacher's own width, the student is compared map by map, and its blocks can be trained each on its own.
    Of another width, learned linear maps ("links") lead from the student's block ends to the teacher's. A teacher
    of another kind gives its embedding alone. FitNets (Romero et al. 2015, arXiv 1412.6550) is the source of both.
    """

    teacher: Teacher
    student: Any
    cosine_weight: float = 5.0
    links: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.teacher_blocks, self.student_blocks = self.teacher.blocks, blocks.cut(self.student)
        self.variances = tf.Variable(tf.ones(len(self.teacher_blocks)), trainable=False)
        ours = [int(block[-1].output.shape[-1]) for block in self.student_blocks]
        theirs = [int(block[-1].output.shape[-1]) for block in self.teacher_blocks]
        if not theirs:
            ours, theirs = ours[-1:], [self.teacher.dimensions]
        self.links = {
            i: tf.Variable(tf.random.normal((a, b), stddev=LINK_SPREAD / a**0.5), name=f"link_{i}")
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
            if a != b
        }

    @property
    def can_cut(self) -> bool:
        """Whether each block can be trained on the teacher's input to it."""
        return bool(self.teacher_blocks) and not self.links

    @property
    def variables(self) -> list[Any]:
        return [*self.student.trainable_variables, *self.links.values()]

    def variables_of(self, chosen: range) -> list[Any]:
        """What learns in the blocks `chosen`."""
        return [v for i in chosen for layer in self.student_blocks[i] for v in layer.trainable_variables]

    def start(self, x: Any) -> None:
        """Set the student's normalisations, and the variances of the teacher's maps, from a first batch."""
        wanted = blocks.ends(self.teacher_blocks, x)
        if wanted:
            self.variances.assign([tf.reduce_mean(tf.math.reduce_variance(m, (0, 1, 2))) for m in wanted])
        for i, block in enumerate(self.student_blocks):
            made = blocks.set_normalisations(block, x)
            if self.can_cut:
                units.silence(block)
            x = wanted[i] if self.can_cut else made

    def renew_units(self, x: Any, chosen: range, rng: np.random.Generator) -> int:
        """New units for those that add least to the blocks `chosen`, fed as in `by_block`; how many."""
        of = slice(chosen.start, chosen.stop)
        starts = [x, *blocks.ends(self.teacher_blocks[of], x)]
        pairs = zip(self.student_blocks[of], starts[:-1], strict=True)
        return sum(units.renew(block, start, rng) for block, start in pairs)

    def by_block(self, x: Any, chosen: range = ALL) -> tuple[Any, Any]:
        """(loss, errors (n,)): each of the blocks `chosen` fed the teacher's input to it, asked for its output.

        `x` is what goes into the first of them: pixels, or the teacher's maps.
        """
        of = slice(chosen.start, chosen.stop)
        wanted = blocks.ends(self.teacher_blocks[of], x)
        starts = [x, *wanted[:-1]]
        made = [blocks.through(b, start) for b, start in zip(self.student_blocks[of], starts, strict=True)]
        errors = self._errors(made, wanted) / self.variances[of]
        return tf.reduce_sum(errors), errors

    def whole(self, x: Any, hint_weight: Any) -> tuple[Any, Any, Any]:
        """(loss, errors, mean cosine): the student fed pixels only. `errors` is empty without the teacher's maps."""
        made = blocks.ends(self.student_blocks, x)
        if not self.teacher_blocks:
            embedding = pooled(made[-1])
            linked = embedding @ self.links[0] if self.links else embedding
            similarity = cosine(linked, self.teacher.embedding(x))
            return self.cosine_weight * (1 - similarity), tf.zeros(0), similarity
        wanted = blocks.ends(self.teacher_blocks, x)
        linked = [self._linked(i, m) for i, m in enumerate(made)]
        errors = self._errors(linked, wanted) / self.variances
        similarity = cosine(pooled(linked[-1]), pooled(wanted[-1]))
        hints = hint_weight * tf.reduce_mean(errors[:-1])
        return hints + errors[-1] + self.cosine_weight * (1 - similarity), errors, similarity

    def _linked(self, i: int, x: Any) -> Any:
        return tf.nn.conv2d(x, self.links[i][None, None], 1, "SAME") if i in self.links else x

    def _errors(self, made: list[Any], wanted: list[Any]) -> Any:
        return tf.stack([tf.reduce_mean(tf.square(a - b)) for a, b in zip(made, wanted, strict=True)])
