"""The map that an embedding is the average of: the same numbers, at other sizes, with or without a head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.encoders.built import real_settings
from tests.encoders.pictures import drawn
from tests.encoders.test_litert import in_child
from tests.regions.headed import BUNDLED, headed
from visualsearch.encoders import get_encoder
from visualsearch.encoders.base import unit_rows
from visualsearch.encoders.feature_maps import LAST_SIZES, with_map_as_output
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.exceptions import EncoderError, NoFeatureMap


def test_the_average_is_the_embedding() -> None:
    pictures = drawn(3)
    maps = BUNDLED.feature_map(pictures)
    assert maps.shape == (3, 7, 7, 1280)
    assert np.abs(BUNDLED.pooled(maps.mean((1, 2))) - BUNDLED.embed(pictures)).max() < 1e-5


def test_the_same_at_full_width(settings: Any) -> None:
    settings.VISUALSEARCH = real_settings("mobilenet_v2")
    encoder, pictures = get_encoder(), drawn(1)
    assert np.abs(encoder.feature_map(pictures).mean((1, 2)) - encoder.embed(pictures)).max() < 1e-5


def test_larger_pictures_have_more_places_and_look_alike() -> None:
    picture = drawn(1, (600, 450))
    large = BUNDLED.feature_map(picture, (448, 320))
    assert large.shape == (1, 10, 14, 1280)
    (same,) = unit_rows(large.mean((1, 2)), (1, 1280)) @ BUNDLED.encode(picture).T
    assert same > 0.8


@pytest.mark.parametrize("size", [(224, 230), (0, 224)])
def test_sides_are_whole_steps(size: Any) -> None:
    with pytest.raises(EncoderError, match="multiples of 32 px"):
        BUNDLED.feature_map(drawn(1), size)


def test_only_rgb() -> None:
    with pytest.raises(EncoderError, match="an image of mode L; it takes RGB"):
        BUNDLED.feature_map([Image.new("L", (300, 300))])


def test_a_fork() -> None:
    pictures = drawn(1)
    expected = BUNDLED.feature_map(pictures).sum((1, 2))
    assert np.array_equal(in_child(lambda: BUNDLED.feature_map(pictures).sum((1, 2))), expected)


def test_few_sizes_are_kept() -> None:
    encoder = MobileNetV2Compact(BUNDLED.file)
    for steps in range(7, 7 + LAST_SIZES + 2):
        encoder.feature_map(drawn(1), (32 * steps, 224))
    assert len(encoder._map_runtimes) == LAST_SIZES


def test_the_file_keeps_its_bytes() -> None:
    path = BUNDLED.file.built_path()
    before = path.read_bytes()
    changed = with_map_as_output(path)
    assert path.read_bytes() == before
    assert sum(new != old for new, old in zip(changed, before, strict=True)) <= 4


def test_through_a_head(tmp_path: Path) -> None:
    encoder, pictures = headed(tmp_path), drawn(2)
    shape = (2, encoder.dimensions)
    pooled = unit_rows(encoder.pooled(encoder.feature_map(pictures).mean((1, 2))), shape)
    assert np.abs(pooled - encoder.encode(pictures)).max() < 1e-5


def test_encoders_without_places_say_so(fake_encoder: None) -> None:
    with pytest.raises(NoFeatureMap, match="'fake' gives no feature map"):
        get_encoder().feature_map(drawn(1))


def test_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "damaged.tflite"
    for content in (b"", b"not a model" * 99):
        file.write_bytes(content)
        with pytest.raises(EncoderError, match="damaged or no LiteRT model"):
            with_map_as_output(file)
