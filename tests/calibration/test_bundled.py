"""The calibrations that come with the weights: there, true to the page about them, and made by the script."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from visualsearch.calibration import bundled_calibrations
from visualsearch.encoders import BUNDLED, encoder_class
from visualsearch.encoders.model_file import ModelFile

PAGE = (ROOT / "docs" / "calibration.md").read_text()
BUILT = {
    name: file.fingerprint
    for name in BUNDLED
    if (file := ModelFile(encoder_class(name).description, None)).is_built  # type: ignore[attr-defined]
}


def judged(name: str) -> Any:
    return bundled_calibrations()[BUILT[name]].fitted["judged"]


def test_all_bundled_weights_have_one() -> None:
    assert "mobilenet_v2_compact" in BUILT
    missing = [name for name, fingerprint in BUILT.items() if fingerprint not in bundled_calibrations()]
    assert not missing, "run: python -m benchmarks.default_calibration"
    assert set(bundled_calibrations()) == set(BUILT.values()), "there is one of weights that are gone"


@pytest.mark.parametrize("name", BUILT)
def test_scores_span_what_a_shopper_sees(name: str) -> None:
    calibration = bundled_calibrations()[BUILT[name]]
    assert calibration.score(0) > 90
    assert calibration.score(1) < 10
    assert (np.diff(calibration.probability(np.linspace(0, 2, 999))) <= 0).all()


@pytest.mark.parametrize("name", BUILT)
def test_it_is_better_than_cosine_similarity_on_pictures_not_fitted_to(name: str) -> None:
    found = judged(name)
    assert found["on"] == "clothing/test against clothing/train, each class alike"
    assert found["pairs"] > 5000
    for measure in ("ece", "brier", "log_loss"):
        assert found[measure] < found["cosine"][measure]


def test_nothing_of_the_test_set_was_fitted_to() -> None:
    with (ROOT / "benchmarks" / "judged_pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 480
    assert {row[side].partition("/")[0] for row in rows for side in ("query", "result")} == {"clothing", "catalogue"}
    assert not [row for row in rows if "/test/" in row["query"] or "/validation/" in row["query"]]
    for stored in bundled_calibrations().values():
        assert not [part for part in stored.fitted["on"] if "test" in part or "validation" in part]


@pytest.mark.parametrize("name", BUILT)
def test_the_page_has_the_figures(name: str) -> None:
    found = judged(name)
    section = PAGE.partition(f"\n#### `{name}`\n")[2].partition("\n#### ")[0]
    bins = re.findall(r"^\| (\d+) to (\d+) \| ([\d.]+) \| ([\d.]+) \| (\d+) \|$", section, re.M)
    assert [tuple(map(float, line)) for line in bins] == [
        (
            round(100 * part["low"]),
            round(100 * part["high"]),
            pytest.approx(100 * part["predicted"], abs=0.051),
            pytest.approx(100 * part["observed"], abs=0.051),
            part["pairs"],
        )
        for part in found["bins"]
    ]
    for row, figures in (("calibrated", found), ("cosine similarity as it is", found["cosine"])):
        (line,) = re.findall(rf"^\| {row} \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", section, re.M)
        assert [float(value) for value in line] == [
            pytest.approx(figures[key], abs=0.00051) for key in ("ece", "brier", "log_loss")
        ]


def test_the_script_makes_the_file(shared_data: Path, tmp_path: Path) -> None:
    """With four pictures a class: the file has the form, its figures mean nothing."""
    made = tmp_path / "calibrations.json"
    command = [sys.executable, "-m", "benchmarks.default_calibration", "--sample", "4"]
    names = ["--encoder", "mobilenet_v2_compact"]
    done = subprocess.run([*command, *names, "--output", str(made)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stored = json.loads(made.read_text())
    assert list(stored) == [BUILT["mobilenet_v2_compact"]]
    assert stored[BUILT["mobilenet_v2_compact"]]["fitted"]["judged"]["pairs"] > 100


def test_the_script_without_pictures_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.default_calibration", "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"There are no pictures in {tmp_path}.\n")
