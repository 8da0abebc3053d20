"""A head that is learned: proxies for the classes, pulled together and apart by a softmax over cosines. numpy alone.

Proxy-NCA's loss with a temperature (Movshovitz-Attias et al. 2017, ICCV; Zhai and Wu 2019, BMVC). It starts from the
head in closed form, so that it can only be chosen where it finds more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from visualsearch.encoders.base import Vectors

from .examples import Examples, Integers
from .exceptions import LossNotFinite
from .heads import Projection, Spread
from .selection import Fitted, Setting, Settings

ROUNDS = 12  # over all examples, at most
BATCH = 256
TEMPERATURE = 0.2  # of the softmax over cosines
DROPOUT = 0.2  # of the embedding's numbers, so that no few of them decide
RATE = 0.05  # of Adam, times the typical size of what it changes


class LearnedHead:
    """The head of one setting in closed form, and the same after each round of training."""

    def __init__(self, start: Setting, seed: int, rounds: int = ROUNDS, say: Callable[[str], None] = lambda _: None):
        self.start, self.seed, self.rounds, self.say = start, seed, rounds, say

    def fitted(self, examples: Examples, settings: Settings = None) -> Fitted:
        """One setting for each round. A loss that is not finite ends it; what the rounds before gave stays."""
        wanted = None if settings is None else list(settings)
        last = self.rounds if wanted is None else max(setting.rounds for setting in wanted)
        start = Spread.of(examples.features, examples.classes).discriminant(self.start.shrinkage, self.start.dimensions)
        for number, projection in enumerate(self._stages(start, examples, last)):
            setting = Setting(self.start.shrinkage, self.start.dimensions, number)
            if wanted is None or setting in wanted:
                yield setting, projection

    def _stages(self, start: Projection, examples: Examples, last: int) -> Iterator[Projection]:
        yield start
        # The rates fall over all rounds, also where training is to stop before the last.
        training = Training(start, examples.features, examples.classes, self.rounds, self.seed)
        for number in range(last):
            try:
                yield training.round(number)
            except LossNotFinite as error:
                self.say(f"{error} The head of round {number} is kept.")
                return


class Training:
    """Adam (Kingma and Ba 2015) on a projection and a proxy for each class, its rate falling as a cosine to zero."""

    def __init__(self, start: Projection, features: Vectors, classes: Integers, rounds: int, seed: int) -> None:
        _, codes = np.unique(classes, return_inverse=True)
        directions = start.directions(features)
        sums = np.zeros((int(codes.max()) + 1, directions.shape[1]))
        np.add.at(sums, codes, directions)
        proxies = _unit(sums.astype(np.float32))
        self._features, self._codes = features, codes
        self._values = [start.matrix.copy(), start.bias.copy(), proxies]
        self._sizes = [float(np.abs(value).mean()) + 1e-6 for value in self._values]
        self._first = [np.zeros_like(value) for value in self._values]
        self._second = [np.zeros_like(value) for value in self._values]
        self._random = np.random.default_rng(seed)
        self._batches = max(1, -(-len(features) // BATCH))
        self._steps, self._step = rounds * self._batches, 0

    def round(self, number: int) -> Projection:
        """The projection after one more round over all examples. Raises LossNotFinite, and leaves it as it was."""
        for rows in np.array_split(self._random.permutation(len(self._features)), self._batches):
            loss, gradients = self.loss(self._features[rows], self._codes[rows])
            if not np.isfinite(loss) or not all(np.isfinite(gradient).all() for gradient in gradients):
                raise LossNotFinite(f"The loss is not a number in round {number + 1}.")
            self._adam(gradients)
        return Projection(self._values[0].copy(), self._values[1].copy())

    def loss(self, features: Vectors, classes: Integers) -> tuple[float, list[Vectors]]:
        """Mean cross entropy of the classes over cosines to the proxies, and its gradients as of ``_values``."""
        matrix, bias, proxies = self._values
        kept = self._random.random(features.shape, dtype=np.float32) >= DROPOUT
        seen = features * kept / np.float32(1 - DROPOUT)
        projected = seen @ matrix.T + bias
        lengths = np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-6)
        spans = np.linalg.norm(proxies, axis=1, keepdims=True).clip(1e-6)
        directions, targets = projected / lengths, proxies / spans
        logits = directions @ targets.T / np.float32(TEMPERATURE)
        logits -= logits.max(1, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(1, keepdims=True)
        own = np.arange(len(classes)), classes
        loss = float(-np.log(chances[own].clip(1e-12)).mean())
        chances[own] -= 1
        slope = chances / np.float32(len(classes) * TEMPERATURE)
        back = _along_the_sphere(slope @ targets, directions) / lengths
        return loss, [back.T @ seen, back.sum(0), _along_the_sphere(slope.T @ directions, targets) / spans]

    def _adam(self, gradients: list[Vectors]) -> None:
        self._step += 1
        rate = RATE * 0.5 * (1 + np.cos(np.pi * self._step / self._steps))
        for place, gradient in enumerate(gradients):
            self._first[place] = 0.9 * self._first[place] + 0.1 * gradient
            self._second[place] = 0.999 * self._second[place] + np.float32(0.001) * gradient**2
            mean = self._first[place] / (1 - 0.9**self._step)
            size = np.sqrt(self._second[place] / (1 - 0.999**self._step)) + 1e-8
            self._values[place] -= (rate * self._sizes[place] * mean / size).astype(np.float32)


def _unit(rows: Vectors) -> Vectors:
    unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-6)
    return unit


def _along_the_sphere(slope: NDArray[np.float32], directions: Vectors) -> Vectors:
    """What of the slope changes a direction and not a length."""
    along: Vectors = slope - (slope * directions).sum(1, keepdims=True) * directions
    return along
