from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visualsearch.contrib.training.checkpoint import CHECKPOINT, load
from visualsearch.contrib.training.data import Batch, Crops
from visualsearch.contrib.training.exceptions import InvalidCheckpoint, LossNotFinite
from visualsearch.contrib.training.schedule import Schedule

from .conftest import SIZE

STEPS = 6
# Of six steps the first blocks and each part end to end take one, the later blocks three.
SCHEDULE = Schedule(blocks_until=0.09, late_until=0.174, small_until=0.356).at(SIZE, 2 * SIZE)
PARTS = ("first blocks", "block 7", "block 13", "block 16", "end to end", "end to end, full size")


class Killed(BaseException):
    pass


def killing(part: str) -> Callable[[str], None]:
    """A report that ends the run in a part: it comes before its step's checkpoint, so that the step is done again."""

    def report(line: str) -> None:
        if line.startswith(f"{part}, step"):
            raise Killed

    return report


class Spoiling(Crops):
    """Crops that are no numbers from the last step on."""

    def batch(self, step: int, size: int) -> Batch:
        if step < STEPS - 1:
            return super().batch(step, size)
        return np.full((self.batch_size, size, size, 3), np.nan, np.float32)


@pytest.fixture(scope="module")
def student(tf):
    import keras

    from visualsearch.contrib.training import blocks

    keras.utils.set_random_seed(5)
    model = blocks.build(0.35)
    return model, [np.asarray(value) for value in model.variables]


@pytest.fixture
def started(teacher, student, tmp_path: Path):
    """Make a run of SCHEDULE with a fresh student, a report and a checkpoint after each step."""
    from visualsearch.contrib.training.distil import Distillation, Settings
    from visualsearch.contrib.training.objective import Objective

    model, fresh = student

    def make(crops: Crops, out: str, resume: bool = False, report=print) -> Distillation:
        for variable, value in zip(model.variables, fresh, strict=True):
            variable.assign(value)
        settings = Settings(steps=STEPS, checkpoint_every=0, report_every=0)
        identity = {"alpha": "0.35"}
        run = Distillation(Objective(teacher, model), crops, tmp_path / out, settings, SCHEDULE, identity, report)
        if resume:
            run.resume()
        else:
            run.start()
        return run

    return make


@pytest.fixture
def renewing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Units are made anew at each step by block; how many, at each."""
    from visualsearch.contrib.training import distil
    from visualsearch.contrib.training.objective import Objective

    made: list[int] = []
    renew = Objective.renew_units

    def counted(*given) -> int:
        made.append(renew(*given))
        return made[-1]

    monkeypatch.setattr(distil, "RENEW_EVERY", 1)
    monkeypatch.setattr(Objective, "renew_units", counted)
    return made


def test_units_are_made_anew_and_the_optimizer_forgets_the_old_ones(started, crops: Crops, renewing) -> None:
    run = started(crops, "renewed", report=killing("block 13"))
    with pytest.raises(Killed):
        run.run()
    # Of its three steps the first has learned nothing yet, and the second is late in its part.
    assert len(renewing) == 1
    assert renewing[0] > 0
    assert run.optimizer.steps.numpy() == 1


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(started, crops: Crops, student, renewing) -> None:
    from visualsearch.contrib.training import blocks

    model, _ = student
    started(crops, "whole").run()
    wanted = [np.asarray(value) for value in model.variables]

    for part in ("block 16", "end to end, full size"):
        with pytest.raises(Killed):
            started(crops, "killed", resume=part != "block 16", report=killing(part)).run()
    resumed = started(crops, "killed", resume=True)
    assert resumed.state.step == STEPS - 1
    resumed.run()

    for value, other in zip(model.variables, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(value), other, atol=1e-5)
    assert resumed.state.step == STEPS
    assert resumed.state.crops == dict.fromkeys(PARTS, crops.batch_size)

    # What was saved loads into the plain network of Keras.
    plain = blocks.build(0.35)
    plain.load_weights(resumed.out / "student.weights.h5")
    for value, other in zip(plain.variables, model.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(value), np.asarray(other))


@pytest.mark.slow
def test_a_late_block_is_trained_as_a_graph_too(tf, started, crops: Crops, student) -> None:
    run = started(crops, "traced", report=killing("block 16"))
    before = [np.asarray(variable).copy() for variable in student[0].variables]
    tf.config.run_functions_eagerly(False)
    try:
        for _ in range(3):  # the first step of SOAP makes the bases, the second moves the silent projection alone
            run.state.step = PARTS.index("block 16")
            with pytest.raises(Killed):
                run.run()
    finally:
        tf.config.run_functions_eagerly(True)
    learned = {
        variable.path.split("/")[0]
        for variable, value in zip(student[0].variables, before, strict=True)
        if not np.array_equal(np.asarray(variable), value) and not variable.path.endswith(("mean", "variance"))
    }
    assert learned == {layer.name for layer in run.objective.student_blocks[16] if layer.trainable_variables}


def test_preparing_a_part_takes_none_of_its_time(started, crops: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    from visualsearch.contrib.training.kept import KeptMaps

    make = KeptMaps.of

    def slowly(*given) -> KeptMaps:
        time.sleep(2)
        return make(*given)

    monkeypatch.setattr(KeptMaps, "of", slowly)
    run = started(crops, "slow", report=killing("block 16"))
    run.state.step = PARTS.index("block 16")
    began = time.monotonic()
    with pytest.raises(Killed):
        run.run()
    assert 0 < run.state.trained_seconds < time.monotonic() - began - 2


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(started, crops: Crops) -> None:
    run = started(Spoiling(crops.pictures, crops.seed, crops.batch_size), "spoilt")
    run.state.step = STEPS - 2
    with pytest.raises(LossNotFinite, match=r"loss is nan at step 5; kept: .*checkpoint\.npz"):
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
    run.state.part = "all blocks together"
    run.save()
    with pytest.raises(InvalidCheckpoint, match="another schedule: all blocks together"):
        started(crops, "one", resume=True)
    with pytest.raises(InvalidCheckpoint, match="already holds a run"):
        started(crops, "one")
    with pytest.raises(InvalidCheckpoint, match=r"seed 3 \(now 9\)"):
        started(replace(crops, seed=9), "one", resume=True)
    (run.out / CHECKPOINT).write_bytes((run.out / CHECKPOINT).read_bytes()[:1000])
    with pytest.raises(InvalidCheckpoint, match="cannot be read"):
        started(crops, "one", resume=True)


def test_the_parts_follow_each_other_each_with_its_rate() -> None:
    schedule = Schedule()
    names = [schedule.part(progress / 1000).name for progress in range(1000)]
    later = [f"block {i}" for i in range(7, 18)]
    assert list(dict.fromkeys(names)) == ["first blocks", *later, "end to end", "end to end, full size"]
    # The block without a shortcut between the widest layers takes longest, and each block learns just once.
    assert max(later, key=names.count) == "block 16"
    assert [i for part in schedule.parts if part.blocks for i in part.blocks] == list(range(18))
    rates = [schedule.learning_rate(progress / 1000) for progress in range(1000)]
    first, late, whole = rates[:200], rates[200:750], rates[750:]
    assert max(first) == pytest.approx(3e-2, rel=0.01)
    assert max(late) == pytest.approx(3e-2, rel=0.01)
    assert max(whole) == pytest.approx(6e-4, rel=0.01)
    assert min(rates) > 0
    assert first[-1] < 2e-4
    assert whole[-1] < 1e-5
    assert schedule.hint_weight(0.75) == 1
    assert schedule.hint_weight(1) == pytest.approx(0.1)
    assert Schedule.uncut().part(0).name == "end to end"
    # What is made anew has time to learn before its part ends.
    renewing = [progress / 1000 for progress in range(1000) if schedule.renews_units(progress / 1000)]
    assert 0 < renewing[0] < 0.01
    assert sum(progress < 0.2 for progress in renewing) == pytest.approx(120, abs=2)
    assert max(renewing) < 0.75


def test_steps_are_shared_out_by_the_time_that_they_take() -> None:
    schedule, steps = Schedule(), 27_000
    parts = [schedule.part(schedule.progress(step, steps)) for step in range(steps)]
    counts = {part.name: parts.count(part) for part in schedule.parts}
    seconds = {part.name: counts[part.name] * part.cost for part in schedule.parts}
    for part in schedule.parts:
        assert seconds[part.name] / sum(seconds.values()) == pytest.approx(part.end - part.start, abs=0.002)
    assert counts["end to end, full size"] < counts["end to end"] < counts["block 16"]
    assert schedule.progress(steps - 1, steps) < schedule.progress(steps, steps) == 1
