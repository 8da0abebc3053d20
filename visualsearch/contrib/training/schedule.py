"""When each part of training runs, at what crop size and learning rate. Progress runs from 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Part:
    """One part of training: `end` is the progress at which it stops, `size` its crops' side in pixels."""

    name: str
    end: float
    size: int
    by_block: bool


@dataclass(frozen=True)
class Schedule:
    """Blocks first, then end to end, the last part at the size that search uses.

    The learning rate follows one cosine over the blocks and a second one over both end-to-end parts, each after
    a warm-up. Hints fade over the end-to-end parts: at full weight they hold the last map's error back.
    """

    blocks_until: float = 0.4
    small_until: float = 0.8
    size: int = 128
    last_size: int = 224
    block_rate: float = 3e-3
    rate: float = 6e-4
    warm_up: float = 0.03
    last_hint_weight: float = 0.1

    @classmethod
    def uncut(cls) -> Schedule:
        """For a student whose blocks cannot take the teacher's maps: end to end from the first step."""
        return cls(blocks_until=0.0, rate=1e-3)

    def at(self, size: int, last_size: int) -> Schedule:
        """The same schedule with other crop sizes, in pixels."""
        return replace(self, size=size, last_size=last_size)

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        return (
            Part("blocks", self.blocks_until, self.size, by_block=True),
            Part("end to end", self.small_until, self.size, by_block=False),
            Part("end to end, full size", 1.0, self.last_size, by_block=False),
        )

    def part(self, progress: float) -> Part:
        """The part that runs at `progress`."""
        return next((part for part in self.parts if progress < part.end), self.parts[-1])

    def _within(self, progress: float) -> float:
        """Progress inside the present cosine, 0 to 1."""
        if self.part(progress).by_block:
            return progress / self.blocks_until
        return min(1.0, (progress - self.blocks_until) / (1 - self.blocks_until))

    def learning_rate(self, progress: float) -> float:
        """Adam's rate at `progress`: warm-up, then a half cosine down to 0.005 of the peak."""
        peak = self.block_rate if self.part(progress).by_block else self.rate
        within = self._within(progress)
        if within < self.warm_up:
            return peak * max(0.02, within / self.warm_up)
        fallen = (within - self.warm_up) / (1 - self.warm_up)
        return peak * max(0.005, 0.5 * (1 + math.cos(math.pi * fallen)))

    def hint_weight(self, progress: float) -> float:
        """What the maps before the last one weigh at `progress`, end to end."""
        fallen = 0.5 * (1 - math.cos(math.pi * self._within(progress)))
        return 1 + (self.last_hint_weight - 1) * fallen
