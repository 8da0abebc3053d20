"""Encoder files with a head: they give what the head computes, and say what they are."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visualsearch.contrib.training.exceptions import TrainingError
from visualsearch.contrib.training.folding import fold
from visualsearch.contrib.training.writing import check_output, write_encoder
from visualsearch.encoders.head import Head, read_encoder_file
from visualsearch.encoders.mobilenet import MobileNetV2, MobileNetV2Compact
from visualsearch.encoders.model_file import BUNDLED_WEIGHTS, ModelFile
from visualsearch.exceptions import EncoderError, InvalidWeights

BUNDLED = BUNDLED_WEIGHTS / "mobilenet_v2_compact.tflite"


def compact(weights: Path | None = None) -> MobileNetV2Compact:
    return MobileNetV2Compact(ModelFile(MobileNetV2Compact.description, weights))


def head(base: MobileNetV2, projected: int = 9, share: float = 0.7) -> Head:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(projected, base.dimensions)).astype(np.float32)
    return Head(matrix, rng.normal(size=projected).astype(np.float32), share, base.fingerprint)


@pytest.fixture
def photos(shared: Path) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in sorted((shared / "data" / "catalogue").glob("*.jpg"))[:3]]


def test_the_file_gives_what_the_head_computes(photos: list[Image.Image], tmp_path: Path) -> None:
    base = compact()
    made = head(base)
    tuned = write_encoder(tmp_path / "ours.tflite", base, made, {"by": "category"})
    vectors = tuned.encode(photos)
    assert vectors.shape == (3, 1289)
    assert (vectors * made.apply(base.encode(photos))).sum(1) == pytest.approx(1, abs=1e-5)
    assert tuned.fingerprint != base.fingerprint

    again = write_encoder(tmp_path / "twice.tflite", tuned, head(tuned, 4), {})  # a head on a head
    assert again.dimensions == 1293
    assert (again.encode(photos) * head(tuned, 4).apply(vectors)).sum(1) == pytest.approx(1, abs=1e-5)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    base = compact()
    path = write_encoder(tmp_path / "ours.tflite", base, head(base), {"by": "category"}).file.source
    described = read_encoder_file(path)
    assert described is not None
    assert (described.encoder, described.dimensions, described.record) == (
        "mobilenet_v2_compact",
        1289,
        {"by": "category"},
    )
    assert described.head is not None
    assert described.head.base == base.fingerprint
    assert np.array_equal(described.head.matrix, head(base).matrix)
    assert zipfile.ZipFile(path).namelist() == ["visualsearch/encoder.json", "visualsearch/head.npz"]
    assert read_encoder_file(BUNDLED) is None
    with pytest.raises(InvalidWeights, match="There is no encoder file"):
        read_encoder_file(tmp_path / "none.tflite")


def test_cosines_are_averaged_by_the_square_of_the_share() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 1280)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    made = head(compact(), share=0.5)
    projected = rows @ made.matrix.T + made.bias
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    joined = made.apply(rows)
    expected = (projected @ projected.T + 0.25 * rows @ rows.T) / 1.25
    assert np.abs(joined @ joined.T - expected).max() < 1e-5


def test_the_settings_name_it_like_any_other(use_settings: Any, photos: list[Image.Image], tmp_path: Path) -> None:
    from visualsearch.encoders import get_encoder

    base = compact()
    write_encoder(tmp_path / "ours.tflite", base, head(base), {})
    weights = {"mobilenet_v2_compact": None, "mobilenet_v2_compact@ours": str(tmp_path / "ours.tflite")}
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=weights)
    assert get_encoder("mobilenet_v2_compact@ours").encode(photos).shape == (3, 1289)
    assert get_encoder().encode(photos).shape == (3, 1280)
    with pytest.raises(InvalidWeights, match="is of mobilenet_v2_compact, not of mobilenet_v2"):
        MobileNetV2(ModelFile(MobileNetV2.description, tmp_path / "ours.tflite"))


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    base = compact()
    path = write_encoder(tmp_path / "ours.tflite", base, head(base), {}).file.source
    content = bytearray(Path(path).read_bytes())
    start = content.index(b"visualsearch/encoder.json")
    content[start + 30 : start + 60] = bytes(30)
    (tmp_path / "damaged.tflite").write_bytes(content)
    with pytest.raises(InvalidWeights, match="is damaged"):
        compact(tmp_path / "damaged.tflite")
    with pytest.raises(TrainingError, match=r"no \.tflite model"):
        fold(b"nothing of the kind", head(base))
    small = Head(np.ones((2, 7), np.float32), np.ones(2, np.float32), 1.0, "")
    with pytest.raises(TrainingError, match="The head takes 7 numbers, and the model gives 1280"):
        fold(BUNDLED, small)


def test_no_file_where_the_model_does_something_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = compact()
    made = head(base)
    monkeypatch.setattr(Head, "apply", lambda self, vectors: np.eye(1, self.dimensions, dtype=np.float32))
    with pytest.raises(TrainingError, match="not those that its head computes"):
        write_encoder(tmp_path / "ours.tflite", base, made, {})
    assert not list(tmp_path.iterdir())


def test_where_it_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "there.tflite").touch()
    for path, reason in (
        (tmp_path / "ours.h5", "does not end in .tflite"),
        (tmp_path / "there.tflite", "exists, and an index may be searched with it"),
        (tmp_path / "nowhere" / "ours.tflite", "There is no folder"),
    ):
        with pytest.raises(TrainingError, match=reason):
            check_output(path)
    with pytest.raises(EncoderError):
        compact(tmp_path / "there.tflite").encode([Image.new("RGB", (50, 50))])
