"""When each part of training runs, at what crop size and learning rate. Progress runs from 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

# The first block that is trained on kept maps: from here on they are small enough to hold in memory.
FIRST_LATE = 7
# Share of time of each block from there on. The wider its layers the longer it takes, and the one from 160 to 320
# channels, which has no shortcut, longest; the last one is a single layer, but a wide one.
LATE_SHARES = (2, 2, 2, 2.5, 3, 3, 4, 6, 6, 9, 4)
# Time of a step of the first blocks and of each part end to end, where one of a late block takes 1. Measured at width
# 1.0 on two cores, 128 and 224 px.
FIRST_COST, SMALL_COST, LAST_COST = 3.5, 6.5, 20.0


@dataclass(frozen=True)
class Part:
    """One part of training: progress from `start` to `end`, crops of `size` pixels a side.

    `blocks` are trained each on its own, on the teacher's maps; None is the whole network, end to end. `cost` is the
    time of a step, in steps of a late block.
    """

    name: str
    start: float
    end: float
    size: int
    blocks: range | None = None
    cost: float = 1.0

    @property
    def first(self) -> int:
        """The first of its blocks: above 0, its batches are the teacher's maps of a fixed set of crops."""
        return self.blocks.start if self.blocks else 0


@dataclass(frozen=True)
class Schedule:
    """The first blocks together, the later ones one after another, then end to end, at last at the size of search.

    The learning rate follows one cosine over each part by block and one over both end-to-end parts, each after a
    warm-up. Hints fade over the end-to-end parts: at full weight they hold the last map's error back.
    In parts by block, units are made anew until `renew_until` of the part.
    `kept_crops` is how many crops' maps the later blocks learn from, at most.
    """

    blocks_until: float = 0.2
    late_until: float = 0.75
    small_until: float = 0.87
    size: int = 128
    last_size: int = 224
    block_rate: float = 3e-2
    rate: float = 6e-4
    warm_up: float = 0.03
    renew_until: float = 0.6
    last_hint_weight: float = 0.1
    kept_crops: int = 16_384

    @classmethod
    def uncut(cls) -> Schedule:
        """For a student whose blocks cannot take the teacher's maps: end to end from the first step."""
        return cls(blocks_until=0.0, late_until=0.0, rate=1e-3)

    def at(self, size: int, last_size: int) -> Schedule:
        """The same schedule with other crop sizes, in pixels."""
        return replace(self, size=size, last_size=last_size)

    @cached_property
    def parts(self) -> list[Part]:
        """All parts in order, without those that take no time."""
        length = (self.late_until - self.blocks_until) / sum(LATE_SHARES)
        ends = [self.blocks_until + length * done for done in accumulate(LATE_SHARES, initial=0)]
        late = [
            Part(f"block {i}", start, end, self.last_size, range(i, i + 1))
            for i, (start, end) in enumerate(pairwise(ends), FIRST_LATE)
        ]
        parts = [
            Part("first blocks", 0.0, self.blocks_until, self.size, range(FIRST_LATE), FIRST_COST),
            *late,
            Part("end to end", self.late_until, self.small_until, self.size, None, SMALL_COST),
            Part("end to end, full size", self.small_until, 1.0, self.last_size, None, LAST_COST),
        ]
        return [part for part in parts if part.end > part.start]

    def progress(self, step: int, steps: int) -> float:
        """How far `step` of `steps` is: each part has as many of them as fit its share of the time."""
        if step >= steps:
            return 1.0
        counts = [(part.end - part.start) / part.cost for part in self.parts]
        done = sum(counts) * step / steps
        for part, count in zip(self.parts, counts, strict=True):
            if done < count:
                return part.start + done * part.cost
            done -= count
        return self.parts[-1].end - 1e-9  # the last step, where rounding has its way

    def part(self, progress: float) -> Part:
        """The part that runs at `progress`."""
        return next((part for part in self.parts if progress < part.end), self.parts[-1])

    def named(self, name: str) -> Part | None:
        """The part called `name`."""
        return next((part for part in self.parts if part.name == name), None)

    def _within(self, progress: float) -> float:
        """Progress inside the present cosine, 0 to 1."""
        part = self.part(progress)
        start, end = (part.start, part.end) if part.blocks else (self.late_until, 1.0)
        return min(1.0, (progress - start) / (end - start))

    def learning_rate(self, progress: float) -> float:
        """The optimizer's rate at `progress`: warm-up, then a half cosine down to 0.005 of the peak."""
        peak = self.block_rate if self.part(progress).blocks else self.rate
        within = self._within(progress)
        if within < self.warm_up:
            return peak * max(0.02, within / self.warm_up)
        fallen = (within - self.warm_up) / (1 - self.warm_up)
        return peak * max(0.005, 0.5 * (1 + math.cos(math.pi * fallen)))

    def renews_units(self, progress: float) -> bool:
        """Whether units are still made anew at `progress`: each needs time to learn."""
        return self.part(progress).blocks is not None and 0 < self._within(progress) < self.renew_until

    def hint_weight(self, progress: float) -> float:
        """What the maps before the last one weigh at `progress`, end to end."""
        fallen = 0.5 * (1 - math.cos(math.pi * self._within(progress)))
        return 1 + (self.last_hint_weight - 1) * fallen
