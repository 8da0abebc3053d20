"""The montage and the plot: files that hold what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.conftest import BLUE, RED, evaluate, shades
from visualsearch import montage
from visualsearch.evaluation import plot
from visualsearch.evaluation.coverage import precision_by_coverage
from visualsearch.evaluation.plot import Line, coverage_plot

FAKE, MUDDLED = "visualsearch.testing.FakeEncoder", "tests.evaluation.encoders.Muddled"


def near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) < 25


def place(row: int, column: int, headings: int) -> tuple[int, int]:
    """The middle of a result's square; column -1 is the query."""
    half = montage.ROW_SIDE // 2
    left = montage.MARGIN + montage.ROW_SIDE + 2 * montage.GAP
    x = montage.MARGIN if column < 0 else left + column * (montage.ROW_SIDE + montage.GAP // 2)
    y = montage.MARGIN + montage.HEADING * (1 + headings) + row * (montage.ROW_SIDE + montage.CAPTION + montage.GAP)
    return x + half, y + half


def test_the_montage_shows_best_median_and_worst(
    fake_encoder: None, folders: Callable[..., Path], tmp_path: Path
) -> None:
    """One blue picture is filed under red, so that it is the worst query and its results are wrong."""
    shop = folders("shop", red=[*shades(RED, 6), BLUE], blue=shades((30, 60, 220), 6))
    target = tmp_path / "out.jpg"
    assert evaluate(shop, "--k", 3, "--montage", target).splitlines()[-1] == f"Montage: {target}"
    with Image.open(target) as sheet:
        assert sheet.format == "JPEG"
        best, worst = place(0, 0, headings=1), place(6, 0, headings=3)
        frame = montage.ROW_SIDE // 2 - montage.FRAME // 2 - 1
        assert near(sheet.getpixel((best[0], best[1] - frame)), montage.RIGHT)
        assert near(sheet.getpixel(place(6, -1, headings=3)), BLUE)
        assert near(sheet.getpixel(worst), (30, 60, 220))
        assert near(sheet.getpixel((worst[0], worst[1] - frame)), montage.WRONG)


def test_a_montage_of_few_queries_shows_each_once(fake_encoder: None, shop: Path, tmp_path: Path) -> None:
    evaluate(shop, "--montage", tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as sheet:
        step = montage.ROW_SIDE + montage.CAPTION + montage.GAP
        assert sheet.height == 2 * montage.MARGIN + 2 * montage.HEADING + 8 * step - montage.GAP


def test_the_plot_has_a_line_for_each_encoder(fake_encoder: None, folders: Callable[..., Path], tmp_path: Path) -> None:
    shop, target = folders("shop", red=shades(RED, 15), blue=shades(BLUE, 15)), tmp_path / "out.png"
    out = evaluate(shop, "--encoder", f"{FAKE},{MUDDLED}", "--plot", target)
    assert out.splitlines()[-1] == f"Plot: {target}"
    with Image.open(target) as image:
        assert (image.format, image.size) == ("PNG", (plot.WIDTH, plot.HEIGHT))
        assert min(drawn(image, colour) for colour in plot.COLOURS) > 200


def drawn(image: Image.Image, colour: tuple[int, int, int]) -> int:
    pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(2) < 12).sum())


def test_the_line_is_where_the_precision_is() -> None:
    """Half of the answers are right, whatever their score."""
    curve = precision_by_coverage(np.linspace(1, 0, 400), np.tile([True, False], 200))
    image = coverage_plot([Line("even", curve)], queries=400)
    pixels = np.asarray(image).astype(int)
    column = np.flatnonzero(np.abs(pixels[plot.TOP : -plot.BOTTOM, 800] - plot.COLOURS[0]).max(1) < 60)
    lowest = 0.2  # the interval at 20 answers reaches down to 0.30
    height = plot.HEIGHT - plot.TOP - plot.BOTTOM
    assert column.mean() == pytest.approx(height * 0.5 / (1 - lowest), abs=6)


@pytest.mark.parametrize("right", [[True], [False], [True, False], [True] * 30, [False] * 30])
def test_plots_of_every_shape_can_be_drawn(right: list[bool]) -> None:
    scores = np.linspace(0.9, 0.5, len(right))
    assert coverage_plot([Line("any", precision_by_coverage(scores, right))], queries=len(right)).mode == "RGB"
