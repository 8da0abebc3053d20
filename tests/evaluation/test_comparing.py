"""Two encoders on the same queries; which weights an encoder may be given; real pictures with real weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encoders.built import ensure_built, real_weights
from tests.evaluation.conftest import BLUE, RED, answer, evaluate, refusal, shades
from visualsearch.encoders import get_encoder
from visualsearch.encoders.head import EncoderFile
from visualsearch.encoders.model_file import BUNDLED_WEIGHTS
from visualsearch.images import open_image

FAKE, MUDDLED = "visualsearch.testing.FakeEncoder", "tests.evaluation.encoders.Muddled"
COMPACT = BUNDLED_WEIGHTS / "mobilenet_v2_compact.tflite"


@pytest.fixture
def large(folders: Callable[..., Path]) -> Path:
    return folders("large", red=shades(RED, 12), blue=shades(BLUE, 12))


def test_a_better_and_a_worse_one(large: Path) -> None:
    found = answer(large, "--encoder", f"{MUDDLED},{FAKE}")
    compared = found["comparison"]
    assert compared["measures"]["p_at_1"]["verdict"] == "better"
    assert compared["queries"] == 24
    first, second = found["encoders"]
    assert compared["measures"]["p_at_1"]["difference"] == pytest.approx(second["p_at_1"] - first["p_at_1"])
    assert (found["encoder"], found["p_at_1"]) == (MUDDLED, first["p_at_1"]), "at the top is the one named first"
    assert compared["sentence"].startswith(
        f"{FAKE} (its own weights) is better than {MUDDLED} (its own weights): P@1 1"
    )
    turned = answer(large, "--encoder", FAKE, "--encoder", MUDDLED)
    assert turned["comparison"]["measures"]["p_at_1"]["verdict"] == "worse"


def test_two_that_do_not_differ(large: Path) -> None:
    lines = evaluate(large, "--encoder", FAKE, "--encoder", "tests.evaluation.encoders.Twin").splitlines()
    assert lines[-1].startswith("No difference shown between tests.evaluation.encoders.Twin")
    assert "over the same 24 queries" in lines[-1]
    row = next(line for line in lines if line.startswith("mAP@10, over min(10, relevant)") and "shown" in line)
    assert row.split()[-7:] == ["+0.000", "+0.000", "to", "+0.000", "no", "difference", "shown"]


def test_a_query_that_one_of_them_cannot_answer_is_compared_for_neither(folders: Callable[..., Path]) -> None:
    shop = folders("shop", red=[*shades(RED, 3), (50, 0, 0)], blue=shades(BLUE, 3))
    found = answer(shop, "--encoder", f"{FAKE},tests.evaluation.encoders.Particular")
    assert [each["queries"] for each in found["encoders"]] == [7, 6]
    assert found["encoders"][1]["unreadable"] == [
        {"name": "red/3.png", "code": "encoder_error", "reason": "It is too dark."}
    ]
    assert found["comparison"]["queries"] == 6


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--encoder", "a,b,c"], "At most two encoders are compared."),
        (
            ["--encoder", FAKE, "--encoder", FAKE],
            f"Both are the same encoder: {FAKE} (its own weights), fingerprint fa4e",
        ),
        (
            ["--encoder", "mobilenet_v2_compact", "--weights", f"bundled,{COMPACT}"],
            "Both are the same encoder: mobilenet_v2_compact (bundled weights), fingerprint ",
        ),
        (
            ["--encoder", f"{FAKE},mobilenet_v2_compact", "--weights", "bundled"],
            "Two encoders take two --weights, in the same order; 'bundled' is one of the choices.",
        ),
        (["--encoder", "nobody"], "There is no encoder 'nobody'. Choose one of mobilenet_v2, "),
        (["--encoder", "tests.evaluation.encoders.Broken"], "The model is damaged."),
        (["--encoder", "mobilenet_v2", "--weights", str(COMPACT)], f"{COMPACT} does not fit mobilenet_v2: it is a "),
        (["--encoder", "mobilenet_v2", "--weights", "no.tflite"], "There is no weights file "),
        (["--encoder", "mobilenet_v2", "--weights", "notes.txt"], "The weights of mobilenet_v2 are 'notes.txt'; "),
    ],
)
def test_what_cannot_be_evaluated(large: Path, arguments: list[str], expected: str) -> None:
    assert refusal(large, *arguments).startswith(expected)


def test_a_wrong_width_is_refused_by_name(large: Path) -> None:
    text = refusal(large, "--encoder", "mobilenet_v2", "--weights", COMPACT)
    assert text == f"{COMPACT} does not fit mobilenet_v2: it is a MobileNetV2 of width 0.35, expected 1.0."


def test_weights_that_are_not_built_name_the_command(large: Path, use_settings: Any, tmp_path: Path) -> None:
    use_settings(MODEL_CACHE=str(tmp_path / "cache"))
    weights = real_weights("mobilenet_v2_compact")
    text = refusal(large, "--encoder", "mobilenet_v2_compact", "--weights", weights)
    assert text.endswith(f"run: manage.py visualsearch_encoder build mobilenet_v2_compact --weights {weights}")


def test_a_finetuned_file_says_which_encoder_it_is_of(large: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.tflite"
    described = EncoderFile("mobilenet_v2_compact", 1280, None, {})
    tuned.write_bytes(described.appended_to(COMPACT.read_bytes()))
    found = answer(large, "--weights", tuned)
    assert (found["encoder"], found["weights"]) == ("mobilenet_v2_compact", str(tuned))


@pytest.fixture
def clothes(shared_data: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Some real pictures of each class: 40 queries, 70 in the gallery."""
    for part, count in (("test", 4), ("train", 7)):
        for folder in sorted((shared_data / "clothing" / part).iterdir()):
            (tmp_path / part / folder.name).mkdir(parents=True)
            for path in sorted(folder.iterdir())[:count]:
                (tmp_path / part / folder.name / path.name).symlink_to(path)
    return tmp_path / "test", tmp_path / "train"


def test_real_weights_on_real_clothes(clothes: tuple[Path, Path]) -> None:
    """The bundled weights against ImageNet's at the same width; P@1 as computed here from the encoder alone."""
    built = ensure_built("mobilenet_v2_compact")
    queries, gallery = clothes
    options = ("--gallery", gallery, "--encoder", "mobilenet_v2_compact", "--weights", f"bundled,{built}")
    found = answer(queries, *options)
    assert (found["queries"], found["gallery"]) == (40, 70)
    assert found["p_at_1"] == pytest.approx(plain_precision(queries, gallery), abs=0.02)
    assert found["comparison"]["measures"]["p_at_1"]["verdict"] == "no difference shown"
    assert [each["weights"] for each in found["encoders"]] == ["bundled weights", str(built)]


def plain_precision(queries: Path, gallery: Path) -> float:
    paths = [sorted(folder.glob("*/*.jpg")) for folder in (queries, gallery)]
    encoder = get_encoder("mobilenet_v2_compact")
    asked, searched = (encoder.encode([open_image(path.read_bytes()) for path in part]) for part in paths)
    nearest = (asked @ searched.T).argmax(1)
    hits = [path.parent.name == paths[1][place].parent.name for path, place in zip(paths[0], nearest, strict=True)]
    return float(np.mean(hits))
