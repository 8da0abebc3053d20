"""The teacher's maps of a fixed set of crops, held in memory, for blocks that are trained one after another.

Most of the time of a step goes into the first blocks, where maps are large. A later block alone, on maps that are there
already, takes seven times as many steps in the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from . import blocks
from .data import Batch, Crops, prefetched, shuffled

Maps = NDArray[np.float16]
# Maps that go through a block at once.
AT_ONCE = 128


@dataclass
class KeptMaps:
    """The inputs of block `first`: `maps` (n, h, w, c), float16. Their batches are drawn by `seed` and step."""

    maps: Maps
    first: int
    seed: int
    batch_size: int

    @classmethod
    def of(cls, crops: Crops, size: int, teacher: list[blocks.Block], first: int, count: int) -> KeptMaps:
        """The teacher's maps before block `first` of the first `count` crops, `size` px: the same ones each time."""
        into = _running(teacher[:first])
        batches = islice(prefetched(lambda step: crops.batch(step, size), 0), -(-count // crops.batch_size))
        maps = np.concatenate([into(batch) for batch in batches])
        return cls(maps, first, crops.seed, crops.batch_size)

    def advance(self, teacher: list[blocks.Block], first: int) -> None:
        """Go on to the inputs of block `first`, rounded at each block on the way: a resumed run has the same ones."""
        for i in range(self.first, first):
            into = _running([teacher[i]])
            self.maps = np.concatenate([into(self.maps[k : k + AT_ONCE]) for k in range(0, len(self.maps), AT_ONCE)])
        self.first = first

    def batch(self, step: int) -> Batch:
        """The maps of one step, float32 (batch, h, w, c)."""
        chosen = shuffled(np.arange(len(self.maps)), self.batch_size, step, (self.seed, 2))
        return self.maps[chosen].astype(np.float32)


def _running(through: list[blocks.Block]) -> Any:
    traced = tf.function(lambda x: blocks.ends(through, x)[-1], reduce_retracing=True)
    return lambda x: traced(tf.constant(x, tf.float32)).numpy().astype(np.float16)
