"""Shares that add up to the similarity, and a picture of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from tests.encoders.pictures import drawn
from tests.regions.headed import BUNDLED, headed
from tests.shelf import make_product, picture, product_source
from visualsearch.encoders import get_encoder
from visualsearch.exceptions import ImageRefused, NoFeatureMap
from visualsearch.regions.explain import Explanation, explain, explain_result


def real(paths: list[Path], count: int = 4) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in paths[:: max(1, len(paths) // count)][:count]]


def test_shares_add_up_to_the_cosine(clothing: list[Path]) -> None:
    query, *others = real(clothing)
    (vector,) = BUNDLED.encode([query])
    for other in (query, *others):
        explained = explain(BUNDLED, vector, other)
        (cosine,) = BUNDLED.encode([other]) @ vector
        assert explained.shares.shape == (7, 7)
        assert explained.shares.sum() == pytest.approx(cosine, abs=1e-4)
        assert explained.similarity == pytest.approx(cosine, abs=1e-4)


def test_shares_add_up_through_a_head(clothing: list[Path], tmp_path: Path) -> None:
    encoder = headed(tmp_path)
    query, other = real(clothing, 2)
    (vector,) = encoder.encode([query])
    (cosine,) = encoder.encode([other]) @ vector
    assert explain(encoder, vector, other).shares.sum() == pytest.approx(cosine, abs=1e-4)


def test_finer_has_more_places(clothing: list[Path]) -> None:
    query, other = real(clothing, 2)
    (vector,) = BUNDLED.encode([query])
    explained = explain(BUNDLED, vector, other, finer=True)
    assert explained.shares.shape == (14, 14)
    assert explained.shares.sum() == pytest.approx(explained.similarity, abs=1e-4)


def test_the_warm_places_are_where_the_likeness_is(clothing: list[Path]) -> None:
    """Half of a picture is the query's, half is grey: the similarity comes from its half."""
    (query,) = real(clothing, 1)
    (vector,) = BUNDLED.encode([query])
    side = Image.new("RGB", (448, 448), (128, 128, 128))
    side.paste(query.resize((224, 448)), (0, 0))
    explained = explain(BUNDLED, vector, side)
    assert explained.shares[:, :3].sum() > 2 * explained.shares[:, 4:].sum()
    heat = np.asarray(Image.open(io.BytesIO(explained.png())))[..., 3]
    assert heat[:, :50].mean() > 2 * heat[:, 62:].mean()


def test_the_png_lies_over_the_picture() -> None:
    (vector,) = BUNDLED.encode(drawn(1, (300, 400)))
    explained = explain(BUNDLED, vector, drawn(1, (300, 400))[0])
    drawing = Image.open(io.BytesIO(explained.png()))
    assert (drawing.format, drawing.mode, drawing.size) == ("PNG", "RGBA", (84, 112))
    assert len(explained.data_uri()) < 10_000


def test_what_is_carried() -> None:
    shares = np.array([[0.1, 0.1], [0.1, 0.5]], np.float32)
    explained = Explanation(shares, float(shares.sum()), (100, 100))
    assert explained.carried(0.25) == pytest.approx(0.625)
    assert explained.heat().tolist() == [[0, 0], [0, 200]]


def test_places_that_all_carry_the_same_are_not_warm() -> None:
    shares = np.full((7, 7), 0.01, np.float32)
    assert not Explanation(shares, 0.49, (100, 100)).heat().any()


@pytest.mark.django_db
def test_of_a_result_in_the_storage(use_settings: Any, queue: Any, clothing: list[Path]) -> None:
    use_settings(ENCODER="mobilenet_v2_compact")
    encoder, source = get_encoder(), product_source()
    (image,) = make_product(clothing[0].read_bytes()).images.all()
    (vector,) = encoder.encode(real(clothing, 1))
    explained = explain_result(encoder, vector, source, image)
    assert explained.similarity == pytest.approx(1, abs=0.02)
    image.image.save("broken.jpg", SimpleUploadedFile("broken.jpg", b"no picture"))
    with pytest.raises(ImageRefused):
        explain_result(encoder, vector, source, image)


@pytest.mark.django_db
def test_an_encoder_without_places(fake_encoder: None, queue: Any) -> None:
    image = make_product(picture()).images.get()
    with pytest.raises(NoFeatureMap):
        explain_result(get_encoder(), np.ones(64, np.float32), product_source(), image)
