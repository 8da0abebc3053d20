"""Processes that are measured in turns: what their figures say, what is said where one ends, and that all end."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import contest
from benchmarks.measures.encoder import goals
from benchmarks.measures.runtimes import installed_mb
from benchmarks.stage import CannotMeasure
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.encoders.model_file import ModelFile

BUNDLED = ModelFile(MobileNetV2Compact.description, None).built_path()


def entry(model: Path) -> contest.Entry:
    return contest.Entry("LiteRT", "litert", model, 0.35, 1)


def contestant(name: str, one: list[float]) -> contest.Contestant:
    process = subprocess.Popen([sys.executable, "-c", ""], text=True)
    process.wait()
    made = contest.Contestant(entry(Path(name)), process, io.StringIO())
    made.ms[1] = one
    return made


def row(runtime: str, clock: float, processor: float, width: float = 1.0, threads: int = 2) -> dict[str, Any]:
    return {
        "runtime": runtime,
        "width": width,
        "threads": threads,
        "one_litert_is_times_as_fast": clock,
        "one_cpu_litert_is_times_as_fast": processor,
    }


def test_ratios_are_taken_within_a_round() -> None:
    """Every round the machine is busier: only what was measured in the same round may be compared."""
    ours, theirs = contestant("ours", [1, 2, 30]), contestant("theirs", [3, 6, 60])
    assert ours.times_as_fast(theirs, 1) == 3
    assert theirs.times_as_fast(ours, 1) == pytest.approx(1 / 3)
    assert ours.median(1) == 2


def test_goals_are_of_one_image_at_width_one() -> None:
    rows = [
        row("LiteRT", 1, 1),
        row("keras.Model.predict", 22, 30),
        row("OpenVINO", 0.95, 1.5),
        row("ONNX Runtime", 1.2, 0.2),
        row("OpenVINO", 0.5, 1.1, threads=1),
        row("keras.Model.predict", 5, 12, threads=1),
        row("ONNX Runtime", 0.1, 0.1, width=0.35),
    ]
    assert goals(rows) == {
        "one_image_vs_predict": 22,
        "one_image_vs_fastest": 0.95,
        "fastest_other": "OpenVINO",
        "one_image_cpu_vs_predict": 12,
        "one_image_cpu_vs_fastest": 1.1,
    }
    assert set(goals([row("LiteRT", 1, 1)]).values()) == {None}


def test_each_has_its_turn_and_all_end() -> None:
    with contest.contest([entry(BUNDLED)]) as contestants:
        contest.play(contestants, rounds=2, seconds=0.01)
        (one,) = contestants
        assert one.process.poll() is None
    assert one.process.poll() is not None
    assert {batch: len(values) for batch, values in one.ms.items()} == {1: 2, 8: 2}
    assert one.mb > 20
    assert len(one.about["vector"]) == 1280


def test_one_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    reason = r"LiteRT ended: .*broken\.tflite is damaged or no LiteRT model"
    with pytest.raises(CannotMeasure, match=reason), contest.contest([entry(broken)]):
        pytest.fail("it was not to start")


def test_installed_size_is_of_the_packages_that_are_there() -> None:
    assert installed_mb(["tqdm", "no-such-package"]) == pytest.approx(installed_mb(["tqdm"]))
    assert 0.1 < installed_mb(["tqdm"]) < 2
