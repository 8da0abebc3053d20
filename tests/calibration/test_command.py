"""visualsearch_calibrate, as a person types it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, load_command_class

from catalog.models import Product, ProductImage
from tests import shelf
from tests.calibration.conftest import COLOURS, OF_EACH, as_json, calibrate, refusal
from tests.conftest import ROOT
from tests.goods import sources as goods
from tests.goods.models import Garment
from visualsearch import lifecycle, similar_to
from visualsearch.calibration import Calibration
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.pairs import Sample, shown_pairs

IMAGES = len(COLOURS) * OF_EACH * 2


def stored() -> Any:
    return VisualIndex.objects.get().calibration


def test_scores_from_categories(shop: list[Product]) -> None:
    found = as_json()
    assert found["saved"]
    assert found["source"] == "product"
    assert found["calibration"] == stored()
    assert found["calibration"]["fitted"] == {
        "by": "category",
        "field": "category",
        "k": 10,
        "seed": 0,
        "at": found["calibration"]["fitted"]["at"],
        "pairs": found["pairs"],
        "queries": IMAGES,
        "same": found["same"],
        "log_loss": {name: pytest.approx(loss, abs=1e-4) for name, loss in found["log_loss"].items()},
    }
    assert found["before"]["in_use"] == "none"
    assert found["after"]["log_loss"] < found["before"]["log_loss"]
    assert found["after"]["log_loss"] == pytest.approx(min(found["log_loss"].values()))
    calibration = Calibration.from_dict(stored())
    match = similar_to(shop[0], 1)[0]
    assert match.score == calibration.score(match.distance)


def test_the_curve_is_what_searches_show(shop: list[Product]) -> None:
    """Near ones are of the kind two times in three, since a third of each kind looks like the next."""
    calibrate()
    calibration = Calibration.from_dict(stored())
    same = similar_to(shop[0], 1)[0].distance
    far = next(match.distance for match in similar_to(shop[0], len(shop)) if match.product.colour == "blue")
    assert 50 < calibration.score(same) < 100
    assert calibration.score(far) < 40


def test_another_field(shop: list[Product]) -> None:
    few = ("--queries", 20, "--dry-run")
    by_category = as_json(*few)
    for field in ("colour", "category__name"):
        found = as_json("--field", field, *few)
        assert found["calibration"]["fitted"]["field"] == field
        assert (found["pairs"], found["same"]) == (by_category["pairs"], by_category["same"])


def test_products_without_a_category_do_not_count(shop: list[Product]) -> None:
    Product.objects.filter(colour="grey").update(colour="")
    found = as_json("--field", "colour", "--dry-run")
    assert found["calibration"]["fitted"]["queries"] == IMAGES * 3 // 4


def test_other_images_of_the_product(shop: list[Product]) -> None:
    found = as_json("--by", "product")
    shown = 10 * IMAGES
    assert found["calibration"]["fitted"]["by"] == "product"
    assert "field" not in found["calibration"]["fitted"]
    assert shown < found["pairs"] <= shown + 5 * IMAGES
    assert found["same"] <= IMAGES + 20


def test_pairs_are_of_eligible_products_that_are_not_the_query(shop: list[Product]) -> None:
    Product.objects.filter(pk__in=[product.pk for product in shop[OF_EACH:]]).update(is_published=False)
    source, index = shelf.product_source(), VisualIndex.objects.get()
    pairs = shown_pairs(index, source, "category", sample=Sample(queries=100, k=30))
    near = pairs.weights == 1
    assert len(set(pairs.queries)) == 2 * OF_EACH
    assert near.sum() == 2 * OF_EACH * (OF_EACH - 1), "each of the others once"
    assert pairs.weights[~near] == pytest.approx(0.2)
    assert pairs.same.all()


def test_the_same_seed_takes_the_same_images(shop: list[Product]) -> None:
    source, index = shelf.product_source(), VisualIndex.objects.get()
    one, same, other = (
        shown_pairs(index, source, "category", sample=Sample(queries=20, k=5, seed=seed)) for seed in (1, 1, 2)
    )
    assert (one.distances == same.distances).all()
    assert len(one) != len(other) or (one.distances != other.distances).any()


def test_the_text(shop: list[Product]) -> None:
    text = calibrate()
    lines = text.splitlines()
    assert lines[0].startswith(f"product: version {VisualIndex.objects.get().pk}, ")
    assert f"pairs of {IMAGES} queries" in lines[0]
    assert "Before (no calibration; cosine similarity, to compare with):" in lines
    assert "After (each query by a curve fitted without it):" in lines
    assert sum("predicted" in line for line in lines) == 2
    assert "have a score of at least 90: " in text
    assert lines[-1] == "Stored; searches use it from now on."
    assert "Before (this version's own calibration):" in calibrate("--dry-run", "--queries", 10)


def test_dry_run_stores_nothing(shop: list[Product]) -> None:
    assert calibrate("--dry-run").splitlines()[-1] == "Nothing is stored (--dry-run)."
    assert stored() is None
    VisualIndex.objects.update(calibration=shelf.CALIBRATION)
    assert not as_json("--dry-run")["saved"]
    calibrate("--dry-run", "--remove")
    assert stored() == shelf.CALIBRATION


def test_remove(empty: None) -> None:
    VisualIndex.objects.update(calibration=shelf.CALIBRATION)
    assert calibrate("--remove").endswith("has no calibration, so results have no score.\n")
    assert stored() is None
    assert as_json("--remove")["in_use"] == "none"
    VisualIndex.objects.update(fingerprint=_bundled_fingerprint())
    assert calibrate("--remove").endswith("has the calibration of its weights.\n")


def _bundled_fingerprint() -> str:
    from visualsearch.calibration import bundled_calibrations

    return next(iter(bundled_calibrations()))


# Versions


def test_versions_of_the_same_weights_share_it(shop: list[Product]) -> None:
    source = shelf.product_source()
    building = lifecycle.begin(source)
    calibrate("--queries", 20)
    building.refresh_from_db()
    assert building.calibration is not None
    building.delete()
    assert lifecycle.begin(source).calibration == VisualIndex.objects.active().get().calibration


def test_versions_of_other_weights_do_not(empty: None) -> None:
    VisualIndex.objects.update(calibration=shelf.CALIBRATION, fingerprint="0" * 64)
    assert lifecycle.begin(shelf.product_source()).calibration is None


# Judgement


def csv_file(folder: Path, head: str, lines: Any) -> Path:
    path = folder / "judged.csv"
    path.write_text("\n".join([head, *(",".join(map(str, line)) for line in lines)]) + "\n")
    return path


def judgements(shop: list[Product]) -> list[tuple[Any, Any, int]]:
    return [
        (
            one.pk,
            shop[(place + step) % len(shop)].pk,
            int(one.category_id == shop[(place + step) % len(shop)].category_id),
        )
        for place, one in enumerate(shop)
        for step in (1, 4, len(shop) // 2)
    ]


def test_judged_products(shop: list[Product], tmp_path: Path) -> None:
    found = as_json("--pairs", csv_file(tmp_path, "product,other,same", judgements(shop)))
    assert (found["pairs"], found["left_out"]) == (3 * len(shop), [])
    assert found["calibration"]["fitted"]["by"] == "pairs"
    assert found["calibration"]["fitted"]["file"] == "judged.csv"
    assert stored() == found["calibration"]


def test_judged_products_have_the_distance_of_a_search(shop: list[Product], tmp_path: Path) -> None:
    from visualsearch.pairs import judged_pairs

    found = similar_to(shop[0], len(shop))
    path = csv_file(tmp_path, "product,other,same", [(shop[0].pk, match.product.pk, 1) for match in found])
    pairs, _ = judged_pairs(VisualIndex.objects.get(), shelf.product_source(), path)
    assert pairs.distances == pytest.approx([match.distance for match in found], abs=1e-3)


def test_judged_images_and_those_without_a_vector(shop: list[Product], tmp_path: Path) -> None:
    first = {product.pk: product.images.first().pk for product in shop}  # type: ignore[union-attr]
    lines = [(first[one], first[other], same) for one, other, same in judgements(shop)]
    ImageEmbedding.objects.filter(object_id=str(lines[0][0])).update(vector=None)
    path = csv_file(tmp_path, "image,other,same", [*lines, (10**9, lines[0][1], 1)])
    found = as_json("--pairs", path)
    assert sorted(found["left_out"]) == sorted([str(lines[0][0]), str(10**9)])
    assert found["pairs"] == 3 * len(shop) - sum(lines[0][0] in line[:2] for line in lines)
    assert "Left out, since the index has no vector of them: 2 (" in calibrate("--pairs", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The first line of .* must be image,other,same or product,other,same."),
        ("1,2,1\n", "The first line of "),
        ("product,other,same\n1,2,1\n1,2,yes\n", "Line 3 of .* must be two keys and 0 or 1, not '1,2,yes'."),
        ("product,other,same\n1,2\n", "Line 2 of "),
        ("product,other,same\n,2,1\n", "Line 2 of "),
        ("product,other,same\none,2,1\n", "'one' is not a key of Product."),
        ("image,other,same\none,2,1\n", "'one' is not a key of ProductImage."),
        ("product,other,same\n", "There are 0 judged pairs; a calibration needs at least 50."),
        ("product,other,same\n\n\n-1,-2,1\n", "There are 0 judged pairs"),
    ],
)
def test_files_that_are_none(empty: None, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "judged.csv"
    path.write_text(text)
    assert re.search(message, refusal("--pairs", path))
    assert stored() is None


def test_files_that_cannot_be_read(empty: None, tmp_path: Path) -> None:
    assert refusal("--pairs", tmp_path / "none.csv").endswith("none.csv cannot be read: No such file or directory.")
    path = tmp_path / "latin.csv"
    path.write_bytes(b"product,other,same\n\xe9,1,1\n")
    assert refusal("--pairs", path) == f"{path} cannot be read: it is no CSV file in UTF-8."


# Refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "shoes"], "There is no source 'shoes'. Registered sources: product."),
        (
            ["--field", "size"],
            "Product has no field 'size'; name with --field the one that says what kind a product is.",
        ),
        (["--field", "colour__x"], "Product has no field 'colour__x'"),
        (["--field", "colour", "--by", "product"], "--field goes with --by category."),
        (["--k", "0"], "--k and --queries must be 1 or more, and --seed 0 or more."),
        ([], "No indexed image of source 'product' belongs to a product with a category."),
    ],
)
def test_wrong_arguments_are_one_sentence(empty: None, arguments: list[str], message: str) -> None:
    assert re.match(message, refusal(*arguments))
    assert stored() is None


def test_one_class_only(shop: list[Product]) -> None:
    Product.objects.update(category=shelf.category("All"))
    assert re.search(r"are of the same kind and 0 of different kinds; .* at least 5 of each\.", refusal())


def test_too_few_pairs(shop: list[Product]) -> None:
    assert re.match(r"There are \d+ judged pairs; a calibration needs at least 50\.", refusal("--queries", 2, "--k", 1))


def test_no_category_at_all(shop: list[Product]) -> None:
    Product.objects.update(colour="")
    assert refusal("--field", "colour") == "No indexed image of source 'product' belongs to a product with a colour."


def test_no_product_with_two_images(shop: list[Product]) -> None:
    ProductImage.objects.filter(position=1).delete()
    assert refusal("--by", "product") == (
        "No product of source 'product' has two indexed images; use --by category or --pairs."
    )


def test_no_active_version(db: None, fake_encoder: None, queue: Any) -> None:
    shelf.make_product(shelf.picture())
    assert refusal() == (
        "Source 'product' has no active index version; run: manage.py visualsearch_reindex --source product"
    )


def test_no_database(empty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    from visualsearch.management.commands import visualsearch_calibrate

    def gone(*args: Any) -> None:
        raise OperationalError("server closed the connection\nmore of it")

    monkeypatch.setattr(visualsearch_calibrate, "active_index", gone)
    assert refusal() == "The database cannot answer: server closed the connection"


def test_a_source_whose_image_is_on_the_product(db: None, fake_encoder: None, queue: Any) -> None:
    """UUID keys, and no relation between image and product."""
    with goods.registered() as (garments, _):
        for number in range(24):
            colour = [(220, 20, 20), (20, 20, 220)][number % 2]
            photo = shelf.upload(shelf.picture(tuple(min(255, part + number) for part in colour)))
            Garment.objects.create(name=["red", "blue"][(number % 2 + (number > 20)) % 2], photo=photo)
        shelf.index_everything(garments)
        found = as_json("--source", "garment", "--field", "name")
        assert found["calibration"]["fitted"]["queries"] == 24
        assert "use --by category" in refusal("--source", "garment", "--by", "product")
        assert VisualIndex.objects.of(garments).get().calibration == found["calibration"]


def test_the_page_names_every_option() -> None:
    page = (ROOT / "docs" / "calibration.md").read_text()
    parser = load_command_class("visualsearch", "visualsearch_calibrate").create_parser("manage.py", "calibrate")
    own = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
    django = {"--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color"}
    for name in own - django - {"--force-color", "--skip-checks"}:
        assert f"`{name}" in page, name


def test_help_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("visualsearch_calibrate", "--help")
    assert "--dry-run" in capsys.readouterr().out
