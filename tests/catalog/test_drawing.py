"""The drawn goods: every kind draws in every variant, the same everywhere, and the shelf is as the shop needs it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from catalog.drawing import KINDS, Look, jpeg, picture, sheet
from catalog.drawing.assortment import PER_KIND, assortment
from catalog.drawing.colour import COMPANIONS, PALETTE
from catalog.drawing.texts import PATTERN_SENTENCES, PATTERN_WORDS, TEXTS
from catalog.models import Product

ROOT = Path(__file__).resolve().parents[2]
SIZE = 160


def look(variant: str, pattern: str, colour: str = "Teal") -> Look:
    one, two = COMPANIONS[colour]
    return Look(variant, PALETTE[colour], pattern, (PALETTE[one], PALETTE[two]))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two pictures' channels, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


@pytest.mark.parametrize("name", KINDS)
def test_every_variant_looks_its_own_and_is_all_in_the_first_picture(name: str) -> None:
    kind = KINDS[name]
    drawn = [picture(name, look(variant, "plain"), 0, SIZE) for variant in kind.variants]
    for i, one in enumerate(drawn):
        assert (one.size, one.mode) == ((SIZE, SIZE), "RGB")
        cover = sheet(name, look(kind.variants[i], "plain"), kind.views[0], SIZE).cover
        left, top, right, bottom = cover.getbbox() or (0, 0, 0, 0)
        assert min(left, top, SIZE - right, SIZE - bottom) >= SIZE * 0.015, "nothing is cut off"
        assert max(right - left, bottom - top) >= SIZE * 0.5, "it fills the picture"
        for other in drawn[i + 1 :]:
            assert difference(one, other) > 0.7, "shapes differ"


@pytest.mark.parametrize("name", KINDS)
def test_every_pattern_can_be_told_from_plain(name: str) -> None:
    kind = KINDS[name]
    for i, pattern in enumerate(sorted(set(kind.patterns) - {"plain"})):
        variant = kind.variants[i % len(kind.variants)]
        plain, patterned = (picture(name, look(variant, p), 0, SIZE) for p in ("plain", pattern))
        assert difference(patterned, plain) > 0.5, (variant, pattern)


@pytest.mark.parametrize("name", KINDS)
def test_every_view_differs(name: str) -> None:
    kind = KINDS[name]
    views = [picture(name, look(kind.variants[0], "plain"), i, SIZE) for i in range(len(kind.views))]
    for i, one in enumerate(views):
        for other in views[i + 1 :]:
            assert difference(one, other) > 2


def test_the_colour_is_the_colour_of_the_picture() -> None:
    """The middle of a plain cushion is about the colour that the product is said to have."""
    for name, colour in PALETTE.items():
        middle = picture("cushion", look("square", "plain", name), 0, SIZE).crop((64, 80, 96, 100))
        mean = ImageStat.Stat(middle).mean
        assert max(abs(a - b) for a, b in zip(mean, colour, strict=True)) < 40, name


def test_the_same_bytes_in_another_process() -> None:
    script = (
        "import hashlib\nfrom catalog.drawing import jpeg\nfrom catalog.drawing.assortment import assortment\n"
        "items = assortment()\n"
        "print(hashlib.sha256(repr(items).encode()).hexdigest())\n"
        "print(*(hashlib.sha256(jpeg(i.kind, i.look, i.views[-1])).hexdigest() for i in items[::41]))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    items = assortment()
    assert ran.stdout.split() == [
        hashlib.sha256(repr(items).encode()).hexdigest(),
        *(hashlib.sha256(jpeg(i.kind, i.look, i.views[-1])).hexdigest() for i in items[::41]),
    ]


def test_pictures_are_of_a_sensible_size() -> None:
    for item in assortment()[::31]:
        assert 8_000 < len(jpeg(item.kind, item.look, 0)) < 90_000


def test_the_assortment() -> None:
    items = assortment()
    assert len(items) >= 240
    assert len({item.category for item in items}) >= 8
    assert len({item.sku for item in items}) == len(items)
    assert len({item.title for item in items}) == len(items)
    assert len({(item.kind, item.look) for item in items}) == len(items), "no two products look the same"
    assert set(Counter(item.kind for item in items).values()) == {PER_KIND}
    assert {len(item.views) for item in items} == {1, 2, 3}
    assert all(item.views[0] == 0 and len(set(item.views)) == len(item.views) for item in items)
    assert 5 <= sum(item.stock == 0 for item in items) <= len(items) / 8
    assert len({item.file_name(n) for item in items for n in range(len(item.views))}) == sum(
        len(item.views) for item in items
    )


def test_the_assortment_uses_every_shape_and_pattern() -> None:
    for name, kind in KINDS.items():
        mine = [item for item in assortment() if item.kind == name]
        assert {item.look.variant for item in mine} == set(kind.variants)
        assert {item.look.pattern for item in mine} == set(kind.patterns)
        assert {item.colour for item in mine} == set(PALETTE)


def test_the_texts_fit_the_goods() -> None:
    for item in assortment():
        texts = TEXTS[item.kind]
        assert texts.prices[0] <= item.price < texts.prices[1] + 1
        assert item.colour.lower() in item.title
        assert item.colour.lower() in item.description.lower()
        assert "{" not in item.description
        Product(
            title=item.title, sku=item.sku, price=item.price, stock=item.stock, colour=item.colour,
            description=item.description,
        ).clean_fields(exclude=["category"])  # fmt: skip


def test_every_kind_pattern_and_colour_is_described() -> None:
    assert set(TEXTS) == set(KINDS)
    for name, kind in KINDS.items():
        assert set(TEXTS[name].nouns) == set(kind.variants)
        assert set(kind.patterns) <= set(PATTERN_WORDS)
    assert set(PATTERN_WORDS) == set(PATTERN_SENTENCES)
    assert set(COMPANIONS) == set(PALETTE)
    assert all(set(pair) <= set(PALETTE) and name not in pair for name, pair in COMPANIONS.items())
