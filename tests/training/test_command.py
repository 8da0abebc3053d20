from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from visualsearch.contrib.training import __main__ as command
from visualsearch.contrib.training.options import Options, distil
from visualsearch.exceptions import VisualSearchError

# The command without tracing, which takes longer than the steps of a test.
EAGER = """
import sys, tensorflow
tensorflow.config.run_functions_eagerly(True)
from visualsearch.contrib.training.__main__ import main
sys.exit(main())
"""


def arguments(weights: Path, folder: Path, out: Path, *more: str) -> list[str]:
    return [
        *("--teacher", str(weights), "--images", str(folder), "--out", str(out), "--seed", "4"),
        *("--batch-size", "4", "--size", "32", "--last-size", "32", "--checkpoint-every", "0", *more),
    ]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"images": (Path("nowhere"),)}, "nowhere is not a folder."),
        ({"alpha": 0.4}, "has no width 0.4: use one of 0.35"),
        ({"steps": 0}, "must be above 0"),
        ({"size": 100}, "multiples of 32"),
        ({"queries": Path("nowhere")}, "go together"),
        ({"teacher": "nobody"}, "There is no teacher nobody"),
        ({"device": "gpu:7"}, "TensorFlow sees no device"),
    ],
)
def test_mistakes_are_answered_with_one_sentence(tf, painted: Path, tmp_path: Path, more: dict, says: str) -> None:
    options = Options(**{"teacher": "nobody", "images": (painted,), "out": tmp_path / "out", **more})
    with pytest.raises(VisualSearchError, match=says) as caught:
        distil(options, print)
    assert "\n" not in str(caught.value)


def test_queries_that_were_trained_on_judge_nothing(painted: Path, tmp_path: Path) -> None:
    options = Options("nobody", (painted,), tmp_path / "out", queries=painted.parent, gallery=painted)
    with pytest.raises(VisualSearchError, match="they overlap"):
        distil(options, print)


def test_a_wrong_folder_gives_an_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["distil", *arguments(tmp_path, tmp_path / "nowhere", tmp_path / "out")])
    assert command.main() == 1
    assert capsys.readouterr().err == f"{tmp_path / 'nowhere'} is not a folder.\n"


def test_the_django_command_is_the_same_one(tmp_path: Path) -> None:
    django = pytest.importorskip("django.core.management")
    settings = pytest.importorskip("django.conf").settings
    if not settings.configured:
        pytest.skip("needs Django's settings")
    from visualsearch.contrib.training.management.commands.visualsearch_distil import Command

    with pytest.raises(django.CommandError, match="is not a folder"):
        django.call_command(Command(), *arguments(tmp_path, tmp_path / "nowhere", tmp_path / "out"))


@pytest.mark.slow
def test_a_run_survives_kill_9_and_ends_with_a_card(
    tf, weights: Path, folder: Path, painted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    (painted / "broken.jpg").write_bytes(b"not a picture")
    begun = [sys.executable, "-c", EAGER, *arguments(weights, folder, out, "--minutes", "9")]
    process = subprocess.Popen(begun, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 120
        while not (out / "checkpoint.npz").exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -9, "it ended by itself"

    said: list[str] = []
    options = Options(
        teacher=str(weights), images=(folder,), out=out, seed=4, steps=1, resume=True,
        batch_size=4, size=32, last_size=32, queries=painted.parent, gallery=painted.parent,
    )  # fmt: skip
    assert distil(options, said.append) == out / "student.weights.h5"
    record = json.loads((out / "run.json").read_text())
    figures = json.loads((out / "figures.json").read_text())
    assert record["steps"] >= 1
    assert record["pictures"] == 12
    assert figures["queries"] == figures["gallery"] == 1
    assert figures["student"]["p_at_1"]["value"] == 1
    card = (out / "MODEL_CARD.md").read_text()
    for fact in (
        record["teacher_fingerprint"],
        "seed 4",
        "Licence",
        "Limits",
        "No query was trained on.",
        "| student | 1.000",
    ):
        assert fact in card
