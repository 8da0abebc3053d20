"""The code of docs/adding-an-encoder.md does what the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from visualsearch import conf
from visualsearch.encoders import get_encoder

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "adding-an-encoder.md"
BLOCKS = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def page_settings(tmp_path: Path, monkeypatch: Any) -> list[dict[str, Any]]:
    """The page's settings, with the page's module where Python finds it."""
    modules = [code for name, code in BLOCKS if name == "colours"]
    assert len(modules) == 1
    (tmp_path / "colours.py").write_text(modules[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "colours", raising=False)
    found: list[dict[str, Any]] = []
    for name, code in BLOCKS:
        if name == "settings":
            space: dict[str, Any] = {}
            exec(code, space)
            found.append(space["VISUALSEARCH"])
    return found


def test_the_page_s_encoder_finds_colours(page_settings: list[dict[str, Any]], use_settings: Any) -> None:
    use_settings(**page_settings[0])
    encoder = get_encoder()
    assert encoder.name == "colour_histogram"
    vectors = encoder.encode([Image.new("RGB", (300, 200), colour) for colour in ("#e01010", "#d81818", "#1020c0")])
    assert vectors.shape == (3, 192)
    red, dark_red, blue = vectors
    assert red @ dark_red > 0.9 > red @ blue
    assert len(encoder.fingerprint) == 64


def test_the_page_s_encoder_is_short() -> None:
    (code,) = (code for name, code in BLOCKS if name == "colours")
    assert len([line for line in code.splitlines() if line.strip()]) < 30


def test_the_page_s_settings_are_known(page_settings: list[dict[str, Any]], use_settings: Any) -> None:
    assert len(page_settings) == 4
    for settings in page_settings:
        assert set(settings) <= set(conf.DEFAULTS)
    use_settings(**page_settings[2])
    assert str(get_encoder().file.weights) == "/srv/models/mine.tflite"
    assert get_encoder("mobilenet_v2_compact").file.weights == "imagenet"
