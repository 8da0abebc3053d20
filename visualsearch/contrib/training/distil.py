"""The training loop: by block, then end to end, with checkpoints and exact resumption."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from . import checkpoint
from .data import Batch, Crops, prefetched
from .exceptions import InvalidCheckpoint, LossNotFinite
from .kept import KeptMaps
from .objective import ALL, Objective
from .optimizer import Adam
from .schedule import FIRST_LATE, Part, Schedule
from .soap import Soap

logger = logging.getLogger(__name__)
STUDENT_WEIGHTS = "student.weights.h5"
# Seconds; a step that took longer was suspended, which is not training.
LONGEST_STEP = 120.0
# Crops whose maps are kept, for each minute of training: they take 3% of its time to make.
CROPS_A_MINUTE = 110
# Steps from one renewal of units to the next in parts by block, and of those how many until the rate is whole again.
RENEW_EVERY, AFTER_RENEWAL = 160, 20


@dataclass(frozen=True)
class Settings:
    """How long to train: `minutes` by the clock, or `steps`, which gives the same weights again on one machine.

    `checkpoint_every` and `report_every` are in seconds.
    """

    minutes: float = 60.0
    steps: int | None = None
    checkpoint_every: float = 180.0
    report_every: float = 30.0


@dataclass
class Distillation:
    """One run: an objective, its crops, and the folder `out` for the checkpoint and the student's weights."""

    objective: Objective
    crops: Crops
    out: Path
    settings: Settings = field(default_factory=Settings)
    schedule: Schedule | None = None
    identity: dict[str, str] = field(default_factory=dict)
    report: Callable[[str], None] = logger.info

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        self.plan = self.schedule or (Schedule() if self.objective.can_cut else Schedule.uncut())
        self.state = checkpoint.State(seed=self.crops.seed, identity=self.identity)
        self.kept: KeptMaps | None = None
        self._renew_optimizer(self.plan.parts[0])

    @property
    def checkpoint_path(self) -> Path:
        return self.out / checkpoint.CHECKPOINT

    @property
    def progress(self) -> float:
        """Share of the training done, 0 to 1."""
        if self.settings.steps is not None:
            return self.plan.progress(self.state.step, self.settings.steps)
        return self.state.trained_seconds / (60 * self.settings.minutes)

    def start(self) -> None:
        """Prepare a fresh student. Raises InvalidCheckpoint where the folder already holds a run."""
        if self.checkpoint_path.exists():
            raise InvalidCheckpoint(f"{self.out} already holds a run: resume it, or choose another folder.")
        self.objective.start(tf.constant(self.crops.batch(0, self.plan.size)))

    def resume(self) -> None:
        """Go on where the last checkpoint stands. Raises InvalidCheckpoint where there is none of this run."""
        state, arrays = checkpoint.load(self.checkpoint_path)
        checkpoint.require_same(state, self.state, self.checkpoint_path)
        if (part := self.plan.named(state.part)) is None:
            raise InvalidCheckpoint(f"The checkpoint {self.checkpoint_path} is of another schedule: {state.part}.")
        self._renew_optimizer(part)
        for name, variables in self._stored().items():
            values = arrays.get(name, [])
            if [tuple(v.shape) for v in variables] != [value.shape for value in values]:
                raise InvalidCheckpoint(f"The {name} in {self.checkpoint_path} does not fit this run.")
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self.state = state

    def run(self) -> None:
        """Train until the progress is 1. Raises LossNotFinite, with the last good checkpoint kept."""
        saved = reported = time.monotonic()
        batches: Generator[Batch, None, None] | None = None
        try:
            while self.progress < 1:
                part = self.plan.part(self.progress)
                if batches is None or part.name != self.state.part:
                    batches = self._enter(part, batches)
                # Preparing a part is not training: a short one would be over before its first step.
                began = time.monotonic()
                losses = self._step(part, next(batches))
                now = time.monotonic()
                self.state.trained_seconds += min(now - began, LONGEST_STEP)
                if now - reported >= self.settings.report_every:
                    self.report(f"{losses}; {self._pace()}")
                    reported = now
                if now - saved >= self.settings.checkpoint_every:
                    self.save()
                    saved = time.monotonic()
        finally:
            if batches is not None:
                batches.close()
        self.save()

    def save(self) -> None:
        """Write the checkpoint and the student's weights. Raises LossNotFinite where they are spoilt."""
        stored = {name: [np.asarray(v) for v in variables] for name, variables in self._stored().items()}
        checkpoint.save(self.checkpoint_path, self.state, stored)
        temporary = self.out / f"part.{STUDENT_WEIGHTS}"
        self.objective.student.save_weights(temporary)
        temporary.replace(self.out / STUDENT_WEIGHTS)

    def _stored(self) -> dict[str, list[Any]]:
        return {
            "student": self.objective.student.variables,
            "links": list(self.objective.links.values()),
            "variances": [self.objective.variances],
            "optimizer": self.optimizer.state,
        }

    def _renew_optimizer(self, part: Part) -> None:
        self.learning = self.objective.variables_of(part.blocks) if part.blocks else self.objective.variables
        self.optimizer: Adam | Soap = Soap(self.learning) if part.blocks else Adam(self.learning)
        # Traced anew, since a traced step holds on to its optimizer's variables.
        self.by_block = tf.function(lambda x: self._by_block(x, part.blocks))
        self.whole = tf.function(self._whole)

    def _apply(self, tape: Any, loss: Any) -> None:
        self.optimizer.apply(tape.gradient(loss, self.learning))

    def _by_block(self, x: Any, chosen: range | None) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss, errors = self.objective.by_block(x, chosen or ALL)
        self._apply(tape, loss)
        return loss, errors

    def _whole(self, x: Any, hint_weight: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            loss, errors, cosine = self.objective.whole(x, hint_weight)
        self._apply(tape, loss)
        return loss, errors, cosine

    def _enter(self, part: Part, batches: Generator[Batch, None, None] | None) -> Generator[Batch, None, None]:
        """Turn to `part`: its batches, and a fresh optimizer, which both end-to-end parts share."""
        if batches is not None:
            batches.close()
        if part.name != self.state.part:
            before = self.plan.named(self.state.part)
            if before is None or before.blocks:
                self._renew_optimizer(part)
            self.state.part = part.name
        if not part.first:
            self.kept = None
            return prefetched(lambda step: self.crops.batch(step, part.size), self.state.step)
        return prefetched(self._keep(part).batch, self.state.step)

    def _keep(self, part: Part) -> KeptMaps:
        teacher = self.objective.teacher_blocks
        if self.kept is None:
            # A short run could not use as many, and would take longer to make them than to learn from them.
            most = self.settings.steps or int(CROPS_A_MINUTE * self.settings.minutes)
            count = max(self.crops.batch_size, min(self.plan.kept_crops, most))
            self.report(f"{part.name}: the teacher's maps of {count:,} crops are made, to be kept in memory")
            self.kept = KeptMaps.of(self.crops, part.size, teacher, FIRST_LATE, count)
        self.kept.advance(teacher, part.first)
        return self.kept

    def _renew_units(self, part: Part, x: Any) -> None:
        """What the optimizer knows is of the old units, and nearly nothing is lost with it."""
        rng = np.random.default_rng((self.crops.seed, 3, self.state.step))
        if part.blocks and self.objective.renew_units(x, part.blocks, rng):
            for variable in self.optimizer.state:
                variable.assign(tf.zeros_like(variable))

    def _step(self, part: Part, batch: Batch) -> str:
        x = tf.constant(batch)
        if self.state.step % RENEW_EVERY == 0 and self.plan.renews_units(self.progress):
            self._renew_units(part, x)
        rate = self.plan.learning_rate(self.progress) * min(1.0, float(self.optimizer.steps + 1) / AFTER_RENEWAL)
        self.optimizer.rate.assign(rate)
        if part.blocks:
            loss, errors = self.by_block(x)
            shown = f", worst block {float(tf.reduce_max(errors)):.4f}"
        else:
            loss, errors, cosine = self.whole(x, tf.constant(self.plan.hint_weight(self.progress), tf.float32))
            shown = f", cosine {float(cosine):.4f}"
            if len(errors):
                shown += f", maps {float(tf.reduce_mean(errors[:-1])):.4f}, last map {float(errors[-1]):.4f}"
        if not math.isfinite(float(loss)):
            kept = self.checkpoint_path if self.checkpoint_path.exists() else "no checkpoint"
            raise LossNotFinite(f"The loss is {float(loss)} at step {self.state.step}; kept: {kept}.")
        self.state.step += 1
        self.state.crops[part.name] = self.state.crops.get(part.name, 0) + len(batch)
        return f"{part.name}, step {self.state.step}: rate {rate:.2e}, loss {float(loss):.4f}{shown}"

    def _pace(self) -> str:
        left = self.state.trained_seconds * (1 - self.progress) / max(self.progress, 1e-9)
        rate = sum(self.state.crops.values()) / max(self.state.trained_seconds, 1e-9)
        return f"{rate:.0f} crops/s, {self.progress:.1%}, {left / 60:.1f} min left"
