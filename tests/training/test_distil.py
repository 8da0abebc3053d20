from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visualsearch.contrib.training.checkpoint import CHECKPOINT, load
from visualsearch.contrib.training.data import Batch, Crops
from visualsearch.contrib.training.exceptions import InvalidCheckpoint, LossNotFinite
from visualsearch.contrib.training.schedule import Schedule

from .conftest import SIZE

STEPS = 3


class Killed(BaseException):
    pass


class Failing(Crops):
    """Crops that stop the run, or spoil it, at its last step."""

    spoil = False

    def batch(self, step: int, size: int) -> Batch:
        if step < STEPS - 1:
            return super().batch(step, size)
        if self.spoil:
            return np.full((self.batch_size, size, size, 3), np.nan, np.float32)
        raise Killed


class Spoiling(Failing):
    spoil = True


@pytest.fixture(scope="module")
def student(tf):
    import keras

    from visualsearch.contrib.training import blocks

    keras.utils.set_random_seed(5)
    model = blocks.build(0.35)
    return model, [np.asarray(value) for value in model.variables]


@pytest.fixture
def started(teacher, student, tmp_path: Path):
    """Make a run of one step in each part with a fresh student, and a checkpoint after each step."""
    from visualsearch.contrib.training.distil import Distillation, Settings
    from visualsearch.contrib.training.objective import Objective

    model, fresh = student
    schedule = Schedule(blocks_until=0.3, small_until=0.6).at(SIZE, 2 * SIZE)

    def make(crops: Crops, out: str, resume: bool = False) -> Distillation:
        for variable, value in zip(model.variables, fresh, strict=True):
            variable.assign(value)
        settings = Settings(steps=STEPS, checkpoint_every=0)
        run = Distillation(Objective(teacher, model), crops, tmp_path / out, settings, schedule, {"alpha": "0.35"})
        if resume:
            run.resume()
        else:
            run.start()
        return run

    return make


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(started, crops: Crops, student) -> None:
    from visualsearch.contrib.training import blocks

    model, _ = student
    started(crops, "whole").run()
    wanted = [np.asarray(value) for value in model.variables]

    dying = started(Failing(crops.pictures, crops.seed, crops.batch_size), "killed")
    with pytest.raises(Killed):
        dying.run()
    resumed = started(crops, "killed", resume=True)
    assert resumed.state.step == STEPS - 1
    resumed.run()

    for value, other in zip(model.variables, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(value), other, atol=1e-5)
    assert resumed.state.step == STEPS
    assert resumed.state.crops == {"blocks": 4, "end to end": 4, "end to end, full size": 4}

    # What was saved loads into the plain network of Keras.
    plain = blocks.build(0.35)
    plain.load_weights(resumed.out / "student.weights.h5")
    for value, other in zip(plain.variables, model.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(value), np.asarray(other))


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(started, crops: Crops) -> None:
    run = started(Spoiling(crops.pictures, crops.seed, crops.batch_size), "spoilt")
    run.state.step = STEPS - 2
    with pytest.raises(LossNotFinite, match=r"loss is nan at step 2; kept: .*checkpoint\.npz"):
        run.run()
    state, arrays = load(run.out / CHECKPOINT)
    assert state.step == STEPS - 1
    assert all(np.isfinite(value).all() for values in arrays.values() for value in values)

    # An update can spoil the weights while its own loss is still finite: they are not written either.
    with pytest.raises(LossNotFinite, match="student"):
        run.save()
    assert load(run.out / CHECKPOINT)[0].step == STEPS - 1


def test_only_the_same_run_is_resumed(started, crops: Crops) -> None:
    with pytest.raises(InvalidCheckpoint, match="no checkpoint"):
        started(crops, "none", resume=True)
    run = started(crops, "one")
    run.save()
    with pytest.raises(InvalidCheckpoint, match="already holds a run"):
        started(crops, "one")
    with pytest.raises(InvalidCheckpoint, match=r"seed 3 \(now 9\)"):
        started(replace(crops, seed=9), "one", resume=True)
    (run.out / CHECKPOINT).write_bytes((run.out / CHECKPOINT).read_bytes()[:1000])
    with pytest.raises(InvalidCheckpoint, match="cannot be read"):
        started(crops, "one", resume=True)


def test_the_parts_follow_each_other_each_with_its_rate() -> None:
    schedule = Schedule()
    names = [schedule.part(progress / 100).name for progress in range(100)]
    assert sorted(set(names), key=names.index) == ["blocks", "end to end", "end to end, full size"]
    rates = [schedule.learning_rate(progress / 1000) for progress in range(1000)]
    assert max(rates[:400]) == pytest.approx(3e-3, rel=0.01)
    assert max(rates[400:]) == pytest.approx(6e-4, rel=0.01)
    assert min(rates) > 0
    assert rates[399] < 1e-4 > rates[999]
    assert schedule.hint_weight(0.4) == 1
    assert schedule.hint_weight(1) == pytest.approx(0.1)
    assert Schedule.uncut().part(0).name == "end to end"
