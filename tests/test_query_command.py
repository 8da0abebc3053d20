"""visualsearch_query: by product and by picture; as a table, as JSON, as a montage; and what it answers to mistakes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from catalog.models import Product, ProductImage
from tests import shelf
from tests.conftest import ROOT
from tests.goods import sources as goods
from tests.goods.models import Garment
from visualsearch import montage as montages
from visualsearch.models import VisualIndex
from visualsearch.montage import Tile, montage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_encoder", "queue")]

RED, CRIMSON, BLUE = (200, 30, 30), (180, 40, 40), (30, 30, 200)


@pytest.fixture
def shop() -> dict[str, Product]:
    colours = {"Red": RED, "Crimson": CRIMSON, "Blue": BLUE}
    products = {
        name: shelf.make_product(shelf.picture(colour), title=name, category=shelf.category(name))
        for name, colour in colours.items()
    }
    shelf.index_everything()
    return products


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(shelf.picture(RED))
    return path


def ask(*arguments: Any) -> str:
    out = io.StringIO()
    call_command("visualsearch_query", *map(str, arguments), stdout=out)
    return out.getvalue()


def answer(*arguments: Any) -> dict[str, Any]:
    return json.loads(ask(*arguments, "--json"))


def refusal(*arguments: Any) -> str:
    with pytest.raises(CommandError) as caught:
        ask(*arguments)
    assert caught.value.returncode == 1
    text = str(caught.value)
    assert "\n" not in text
    return text


def titles(found: dict[str, Any]) -> list[str]:
    return [result["title"] for result in found["results"]]


def test_a_picture(shop: dict[str, Product], photo: Path) -> None:
    found = answer(photo)
    assert found["query"] == {"photo": str(photo)}
    assert titles(found) == ["Red", "Crimson", "Blue"]
    first = found["results"][0]
    image = shop["Red"].images.get()
    assert first == {
        "rank": 1,
        "score": None,
        "distance": pytest.approx(0.0, abs=1e-3),
        "product": shop["Red"].pk,
        "title": "Red",
        "image": image.pk,
        "file": image.image.name,
    }
    assert found["count"] == 3
    assert found["source"] == "product"


def test_a_product_finds_others(shop: dict[str, Product]) -> None:
    found = answer(shop["Red"].pk)
    assert found["query"] == {"product": shop["Red"].pk, "title": "Red"}
    assert titles(found) == ["Crimson", "Blue"]


def test_the_table(shop: dict[str, Product]) -> None:
    lines = ask(shop["Red"].pk).splitlines()
    assert lines[0].split() == ["rank", "score", "distance", "product", "image"]
    assert [line.split()[:2] for line in lines[1:]] == [["1", "-"], ["2", "-"]]
    assert lines[1].split()[3:5] == [str(shop["Crimson"].pk), "Crimson"]
    starts = {line.index("products/") for line in lines[1:]} | {lines[0].index("image")}
    assert len(starts) == 1, "columns are aligned"


def test_scores_of_a_calibrated_version(shop: dict[str, Product], photo: Path) -> None:
    VisualIndex.objects.update(calibration=shelf.CALIBRATION)
    assert answer(photo)["results"][0]["score"] == pytest.approx(100, abs=0.1)
    assert ask(photo).splitlines()[1].split()[1] in ("100.0", "99.9")


def test_limit_and_filters(shop: dict[str, Product], photo: Path) -> None:
    assert titles(answer(photo, "--limit", 1)) == ["Red"]
    both = answer(photo, "--filter", "category=blue", "--filter", "category=crimson", "--filter", "in_stock=true")
    assert titles(both) == ["Crimson", "Blue"]
    assert both["filters"] == {"category": ["blue", "crimson"], "in_stock": ["true"]}
    assert ask(photo, "--filter", "price_min=1000000") == "No product is found.\n"
    assert answer(photo, "--filter", "price_min=1000000")["results"] == []


def test_a_file_comes_before_a_key(shop: dict[str, Product], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(str(shop["Blue"].pk)).write_bytes(shelf.picture(RED))
    assert titles(answer(shop["Blue"].pk))[0] == "Red"


def test_keys_that_are_no_numbers() -> None:
    with goods.registered() as (garments, _):
        coat, hat = (Garment.objects.create(name=name, photo=shelf.upload(shelf.picture())) for name in ("coat", "hat"))
        shelf.index_everything(garments)
        found = answer(coat.pk, "--source", "garment")
        assert [result["product"] for result in found["results"]] == [str(hat.pk)]
        assert "there is no source" in refusal(coat.pk).lower(), "two sources, and none is named"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["missing.jpg"], "There is no file 'missing.jpg' and no product with that key."),
        (["999999999"], "There is no file '999999999' and no product with that key."),
        (["9" * 40], f"There is no file '{'9' * 40}' and no product with that key."),
        (["1", "--source", "shoes"], "There is no source 'shoes'. Registered sources: product."),
        (["1", "--filter", "colour"], "--filter takes NAME=VALUE, not 'colour'."),
        (["1", "--montage", "out.gif"], "A montage is a JPEG file: out.gif must end in .jpg or .jpeg."),
        (["1", "--montage", "/no/such/out.jpg"], "There is no folder /no/such for the montage."),
    ],
)
def test_mistakes(shop: dict[str, Product], arguments: list[str], expected: str) -> None:
    assert refusal(*arguments) == expected


def test_an_unknown_filter_is_answered_with_the_valid_ones(shop: dict[str, Product], photo: Path) -> None:
    text = refusal(photo, "--filter", "size=9")
    assert text.startswith("Unknown filter: size. Valid filters: category, colour")


def test_a_limit_out_of_range(shop: dict[str, Product], photo: Path) -> None:
    assert refusal(photo, "--limit", "0") == "limit must be a whole number from 1 to 100, not 0."


def test_a_refused_picture_is_named_with_its_code(shop: dict[str, Product], tmp_path: Path) -> None:
    path = tmp_path / "letter.jpg"
    path.write_text("Dear shop,")
    assert refusal(path) == f"{path} is refused (not_an_image): The file is not an image of a known format."


def test_a_file_that_may_not_be_read(shop: dict[str, Product], photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(photo) == f"{photo}: Permission denied."


def test_without_an_index(photo: Path) -> None:
    expected = "Source 'product' has no index yet; run: manage.py visualsearch_reindex --source product"
    assert refusal(photo) == expected
    assert refusal(shelf.make_product(shelf.picture()).pk) == expected


def test_a_product_that_cannot_be_searched_with(shop: dict[str, Product]) -> None:
    bare = shelf.make_product(title="Bare")
    waiting = shelf.make_product(shelf.picture(), title="Waiting")
    broken = shelf.make_product(b"no picture", title="Broken")
    assert refusal(bare.pk) == "Bare cannot be searched with (no_image): The product has no image."
    assert refusal(waiting.pk).startswith("Waiting cannot be searched with (pending): ")
    shelf.index_everything()
    assert refusal(broken.pk).startswith("Broken cannot be searched with (failed): The file is not an image")


def test_an_index_of_another_encoder(shop: dict[str, Product], photo: Path) -> None:
    VisualIndex.objects.update(fingerprint="0" * 64)
    assert refusal(photo).startswith("Index version ")


def test_the_montage_is_one_jpeg_with_every_result(shop: dict[str, Product], photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jpg"
    assert ask(photo, "--montage", target).splitlines()[-1] == f"Montage: {target}"
    with Image.open(target) as sheet:
        assert sheet.format == "JPEG"
        assert sheet.mode == "RGB"
        middle = montages.MARGIN + montages.QUERY_SIDE // 2
        assert near(sheet.getpixel((middle, middle + montages.HEADING)), RED)
        assert [near(sheet.getpixel(centre(n)), colour) for n, colour in enumerate((RED, CRIMSON, BLUE))] == [True] * 3


def centre(number: int) -> tuple[int, int]:
    """The middle of a result's square, in the first row."""
    left = montages.MARGIN + montages.QUERY_SIDE + 2 * montages.GAP
    half = montages.SIDE // 2
    return left + number * (montages.SIDE + montages.GAP) + half, montages.MARGIN + montages.HEADING + half


def near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) < 12


def test_a_result_whose_file_is_gone_keeps_its_place(shop: dict[str, Product], photo: Path, tmp_path: Path) -> None:
    image = ProductImage.objects.get(product=shop["Red"])
    image.image.storage.delete(image.image.name)
    target = tmp_path / "out.jpg"
    found = answer(photo, "--montage", target)
    assert found["montage"] == str(target)
    assert titles(found)[0] == "Red"
    with Image.open(target) as sheet:
        x, y = centre(0)
        assert near(sheet.getpixel((x, y - 60)), montages.GROUND)
        assert near(sheet.getpixel(centre(1)), CRIMSON)


def test_montages_of_every_size_hold_all_their_tiles() -> None:
    picture = Image.new("RGB", (300, 200), RED)
    for results, queries in [(0, 1), (1, 1), (7, 4), (12, 1), (100, 2)]:
        tiles = [
            Tile(picture, f"{n}.  0.999", "A title that is much longer than the picture is wide")
            for n in range(results)
        ]
        sheet = montage([Tile(picture, "Query")] * queries, tiles)
        columns = (sheet.width - montages.QUERY_SIDE) // (montages.SIDE + montages.GAP)
        assert sheet.height > -(-results // columns) * (montages.SIDE + montages.CAPTION)
        reds = sum(count for count, colour in sheet.getcolors(1 << 24) or [] if colour == RED)
        assert reds >= results * montages.SIDE * 140 + montages.QUERY_SIDE * 220


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nothing.jpg", "CommandError: There is no file 'nothing.jpg' and no product with that key."),
        # The server has a database of that name, and the shop's tables are not in it.
        ("12", "CommandError: The database cannot answer: relation "),
    ],
)
def test_the_command_line_ends_with_one_sentence_and_status_1(given: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "django", "visualsearch_query", given, "--settings=tests.settings"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(said)
