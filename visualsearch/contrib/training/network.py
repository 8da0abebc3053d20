"""The whole network, trained on a shop's own pictures at a small rate; a head in closed form goes on top of it.

Normalisations run in inference mode, as in distilling: with batch statistics the network that searches is another one
than the network that is trained. What is judged are products that neither the network nor the choice of when to stop
has seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visualsearch.encoders.base import Vectors, unit_rows
from visualsearch.encoders.keras_zoo import build_model, converted, import_tensorflow
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.encoders.model_file import ModelFile

from .data import Batch, Pixels, random_crop
from .examples import Fold, Integers
from .gathering import VIEWS
from .imported import import_weights

ROUNDS = 10  # over all pictures, at most
PATIENCE = 2  # rounds without finding more, after which training stops
BATCH = 32
RATE = 1e-4  # of Adam for the network; a hundredth of what a fresh one is trained with
PROXY_RATE = 1e-2
TEMPERATURE = 0.1
LONG_SIDE = 384  # px that pictures are held at
MOST_PICTURES = 4000  # that are held in memory: at most 1.8 GB
ASKED, SEARCHED = 400, 1200  # pictures that each round is judged with

Say = Callable[[str], None]


@dataclass
class Tuning:
    """A network being trained on pictures (n) of ``classes`` (n): those that ``fold`` learns from."""

    model: Any
    pixels: Sequence[Pixels]
    classes: Integers
    fold: Fold
    side: int
    seed: int
    say: Say
    rounds: int = ROUNDS
    minutes: float | None = None

    def run(self) -> None:
        """Trains; the model then has the weights of the round that found most on the held-out part.

        A loss that is not a number stops it; the best round before stays.
        """
        step, best, kept, at = self._step(), self.found(), self.model.get_weights(), 0
        self.say(f"  before: held-out P@1 {best:.3f}")
        start, learned = time.monotonic(), np.flatnonzero(self.fold.learned)
        for number in range(1, self.rounds + 1):
            loss = self._round(step, learned, number)
            if not np.isfinite(loss):
                self.say(f"  round {number}: the loss is not a number; the network of round {at} is kept")
                break
            now = self.found()
            self.say(f"  round {number}: loss {loss:.3f}, held-out P@1 {now:.3f}, {time.monotonic() - start:.0f} s")
            if now > best:
                best, kept, at = now, self.model.get_weights(), number
            late = self.minutes is not None and time.monotonic() - start > self.minutes * 60
            if number - at >= PATIENCE or late:
                break
        self.model.set_weights(kept)

    def found(self) -> float:
        """P@1 of the held-out part, on a sample."""
        draw = np.random.default_rng(self.seed)
        asked = draw.permutation(self.fold.queries)[:ASKED]
        searched = draw.permutation(np.flatnonzero(self.fold.learned))[:SEARCHED]
        nearest = (self._embedded(asked) @ self._embedded(searched).T).argmax(1)
        return float((self.classes[searched][nearest] == self.classes[asked]).mean())

    def _embedded(self, places: Integers) -> Vectors:
        rows = [
            np.asarray(self.model(np.stack([self._whole(self.pixels[int(place)]) for place in part]), training=False))
            for part in np.array_split(places, -(-len(places) // BATCH))
        ]
        vectors = np.concatenate(rows)
        return unit_rows(vectors, vectors.shape)

    def _crops(self, places: Integers, number: int) -> Batch:
        """A random crop of each, another one each round."""
        draws = [np.random.default_rng((self.seed, number, int(place))) for place in places]
        pairs = zip(draws, places, strict=True)
        return np.stack([random_crop(draw, self.pixels[int(place)], self.side, VIEWS) for draw, place in pairs])

    def _whole(self, pixels: Pixels) -> Batch:
        size = (self.side, self.side)
        resized = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
        scaled: Batch = resized / np.float32(127.5) - 1
        return scaled

    def _round(self, step: Callable[[Any, Any], Any], learned: Integers, number: int) -> float:
        order = np.random.default_rng((self.seed, number)).permutation(learned)
        losses = []
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            losses.append(float(step(self._crops(places, number), self.classes[places])))
            if not np.isfinite(losses[-1]):
                break
        return float(np.mean(losses))

    def _step(self) -> Callable[[Any, Any], Any]:
        tensorflow = import_tensorflow()
        keras = tensorflow.keras
        learned = np.flatnonzero(self.fold.learned)
        start = self._embedded(np.random.default_rng(self.seed).permutation(learned)[:SEARCHED])
        proxies = tensorflow.Variable(self._proxies(learned, start))
        variables = self.model.trainable_variables
        optimizer, for_proxies = keras.optimizers.Adam(RATE), keras.optimizers.Adam(PROXY_RATE)
        optimizer.build(variables)
        for_proxies.build([proxies])

        def step(pixels: Any, classes: Any) -> Any:
            with tensorflow.GradientTape() as tape:
                directions = tensorflow.nn.l2_normalize(self.model(pixels, training=False), -1)
                targets = tensorflow.nn.l2_normalize(proxies, -1)
                logits = tensorflow.matmul(directions, targets, transpose_b=True) / TEMPERATURE
                loss = tensorflow.reduce_mean(
                    tensorflow.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=logits)
                )
            *gradients, of_proxies = tape.gradient(loss, [*variables, proxies])
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            for_proxies.apply_gradients([(of_proxies, proxies)])
            return loss

        compiled: Callable[[Any, Any], Any] = tensorflow.function(step, reduce_retracing=True)
        return compiled

    def _proxies(self, learned: Integers, start: Vectors) -> Vectors:
        """The mean direction of each class in the sample; that of all where it has none there."""
        sample = self.classes[np.random.default_rng(self.seed).permutation(learned)[:SEARCHED]]
        proxies = np.repeat(start.mean(0, keepdims=True), int(self.classes.max()) + 1, axis=0)
        for one in np.unique(sample):
            proxies[one] = start[sample == one].mean(0)
        return proxies.astype(np.float32)


def held(image: Image.Image) -> Pixels:
    """A picture as it is kept for training: its long side at most LONG_SIDE."""
    image.thumbnail((LONG_SIDE, LONG_SIDE))
    return np.asarray(image, dtype=np.uint8)


def keras_model(base: MobileNetV2) -> Any:
    """The base encoder's network with its weights, also where they are a .tflite file alone."""
    if not base.file.is_exported:
        return build_model(base.file)
    model = build_model(ModelFile(base.description, "random"))
    import_weights(model, base.file.built_path())
    return model


def export(model: Any, base: MobileNetV2, target: Path) -> MobileNetV2:
    """The encoder of a trained model, whose .tflite file is written to ``target``."""
    target.write_bytes(converted(model))
    return type(base)(ModelFile(base.description, target))
