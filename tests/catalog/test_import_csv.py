"""catalog_import --csv: what the lines give, what they change later, and what is wrong with them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from catalog.importing.plan import MOST_IMAGES
from catalog.models import Category, Product, ProductImage
from tests.catalog.conftest import BLUE, GREEN, RED, Ran, draw, write_csv

Run = Callable[..., Ran]


def test_the_csv_names_the_products(run: Run, folder: Path) -> None:
    draw(folder / "dresses" / "1.jpg", RED)
    draw(folder / "dresses" / "2.jpg", GREEN)
    draw(folder / "dresses" / "3.jpg", BLUE)
    csv = write_csv(
        folder,
        'dresses/1.jpg,"Kleid, rot",D-1,19.90,Sommer,3',
        "dresses/2.jpg,,D-2,,,",
    )
    ran = run("catalog_import", folder, csv=csv)
    assert ran.counts == "3 created, 0 updated, 0 unchanged, 0 failed; 3 new products."
    first, second = Product.objects.get(sku="D-1"), Product.objects.get(sku="D-2")
    assert (first.title, first.price, first.category.name, first.stock) == ("Kleid, rot", Decimal("19.90"), "Sommer", 3)
    assert (second.title, second.price, second.category.name, second.stock) == (
        "Dresses 2", Decimal("0.00"), "Dresses", 1,
    )  # fmt: skip
    assert Product.objects.filter(category__name="Dresses").count() == 2, "the file without a line has the defaults"


def test_lines_with_one_sku_add_images(run: Run, folder: Path) -> None:
    for name, colour in (("front", RED), ("back", GREEN), ("side", BLUE)):
        draw(folder / f"{name}.jpg", colour)
    csv = write_csv(folder, "front.jpg,Mug,M-1,5,,", "back.jpg,,M-1,,,", "side.jpg,Mug,M-1,5.00,,")
    ran = run("catalog_import", folder, csv=csv)
    assert ran.counts == "3 created, 0 updated, 0 unchanged, 0 failed; 1 new products."
    product = Product.objects.get()
    assert [Path(image.origin).stem for image in product.images.all()] == ["front", "back", "side"]
    assert run("catalog_import", folder, csv=csv).counts.startswith("0 created, 0 updated, 3 unchanged")


def test_later_values_are_updated_and_empty_cells_leave_things_alone(run: Run, folder: Path) -> None:
    draw(folder / "a.jpg", RED)
    draw(folder / "b.jpg", BLUE)
    run("catalog_import", folder, csv=write_csv(folder, "a.jpg,Mug,M-1,5,Mugs,3", "b.jpg,Vase,V-1,7,Vases,1"))
    ran = run("catalog_import", folder, csv=write_csv(folder, "a.jpg,,M-1,6.5,,0", "b.jpg,Vase,V-1,7,vases,1"))
    assert ran.counts == "0 created, 1 updated, 1 unchanged, 0 failed; 0 new products."
    product = Product.objects.get(sku="M-1")
    assert (product.title, product.price, product.stock, product.category.name) == ("Mug", Decimal("6.50"), 0, "Mugs")
    assert Category.objects.count() == 2, "a category is known in any case"


def test_a_csv_after_the_first_import_names_the_same_products(run: Run, folder: Path) -> None:
    draw(folder / "a.jpg", RED)
    draw(folder / "b.jpg", BLUE)
    run("catalog_import", folder)
    keys = set(Product.objects.values_list("pk", flat=True))
    ran = run("catalog_import", folder, csv=write_csv(folder, "a.jpg,Mug,M-1,5,,", "b.jpg,Vase,V-1,6,,"))
    assert ran.counts == "0 created, 2 updated, 0 unchanged, 0 failed; 0 new products."
    assert set(Product.objects.values_list("pk", "sku")) == set(zip(sorted(keys), ["M-1", "V-1"], strict=True))


def test_an_image_moves_to_another_product(run: Run, folder: Path) -> None:
    draw(folder / "a.jpg", RED)
    draw(folder / "b.jpg", BLUE)
    run("catalog_import", folder, csv=write_csv(folder, "a.jpg,One,P-1,5,,", "b.jpg,One,P-1,5,,"))
    run("catalog_import", folder, csv=write_csv(folder, "a.jpg,One,P-1,5,,", "b.jpg,Two,P-2,5,,"))
    assert {p.sku: [Path(i.origin).name for i in p.images.all()] for p in Product.objects.all()} == {
        "P-1": ["a.jpg"],
        "P-2": ["b.jpg"],
    }
    assert ProductImage.objects.count() == 2


def test_a_moved_folder_is_recognised_by_sku_and_content(run: Run, folder: Path, tmp_path: Path) -> None:
    draw(folder / "a.jpg", RED)
    csv = write_csv(folder, "a.jpg,Mug,M-1,5,,")
    run("catalog_import", folder, csv=csv)
    moved = folder.rename(tmp_path / "moved")
    ran = run("catalog_import", moved, csv=csv)
    assert ran.counts == "0 created, 1 updated, 0 unchanged, 0 failed; 0 new products."
    assert ProductImage.objects.get().origin == str(moved / "a.jpg")


@pytest.mark.parametrize(
    "path", ["../secret.jpg", "a/../../secret.jpg", "{root}/secret.jpg", "out/secret.jpg", "\\\\s\\a.jpg"]
)
def test_paths_outside_of_the_folder_are_refused(run: Run, folder: Path, path: str) -> None:
    draw(folder / "good.jpg")
    secret = draw(folder.parent / "secret.jpg", BLUE)
    (folder / "a").mkdir()
    (folder / "out").symlink_to(folder.parent)
    ran = run("catalog_import", folder, csv=write_csv(folder, f"{path.format(root=secret.parent)},Secret,S-1,1,,"))
    assert ran.status == 1
    line = next(line for line in ran.err.splitlines() if line.startswith("line 2"))
    assert line.endswith(("the path leads outside of the folder.", "the path must be relative to the folder."))
    assert not Product.objects.filter(sku="S-1").exists()
    assert Product.objects.count() == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("b.jpg,B,B-1,abc,,", "the price 'abc' is not a number."),
        ("b.jpg,B,B-1,-1,,", "the price '-1' is not between 0 and 9999999.99."),
        ("b.jpg,B,B-1,NaN,,", "the price 'NaN' is not between 0 and 9999999.99."),
        ("b.jpg,B,B-1,1e9,,", "the price '1e9' is not between 0 and 9999999.99."),
        ("b.jpg,B,B-1,1.999,,", "the price '1.999' has more than two decimals."),
        ('b.jpg,B,B-1,"1,234.50",,', "the price '1,234.50' is not a number."),
        ("b.jpg,B,B-1,1,,-3", "the stock '-3' is not between 0 and 2147483647."),
        ("b.jpg,B,B-1,1,,many", "the stock 'many' is not a whole number."),
        ("b.jpg,B,B-1,1,,2.5", "the stock '2.5' is not a whole number."),
        ("b.jpg,B,B-1,1,,99999999999", "the stock '99999999999' is not between 0 and 2147483647."),
        (f"b.jpg,{'x' * 201},B-1,1,,", "the title is longer than 200 characters."),
        (f"b.jpg,B,{'x' * 65},1,,", "the sku is longer than 64 characters."),
        ("b.jpg,B,B-1,1,,3,extra", "it has 7 cells, the header 6."),
        (",B,B-1,1,,", "the path is missing."),
        ("missing.jpg,B,B-1,1,,", "there is no such file."),
        ("sub,B,B-1,1,,", "there is no such file."),
        (f"{'x' * 300}.jpg,B,B-1,1,,", "the path cannot be used: File name too long."),
        ("b\0.jpg,B,B-1,1,,", "it holds a NUL character."),
        ("./a.jpg,A,A-2,1,,", "line 2 names this file already."),
        ("b.jpg,Other,A-1,1,,", "the SKU 'A-1' is taken: line 2 gives it the title 'A', not 'Other'."),
        ("b.jpg,A,A-1,2,,", "the SKU 'A-1' is taken: line 2 gives it the price '1.00', not '2.00'."),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(run: Run, folder: Path, line: str, reason: str) -> None:
    draw(folder / "a.jpg", RED)
    draw(folder / "sub" / "c.jpg", BLUE)
    if "b.jpg" in line:
        draw(folder / "b.jpg", GREEN)
    ran = run("catalog_import", folder, csv=write_csv(folder, "a.jpg,A,A-1,1,,", line))
    assert ran.status == 1
    assert next(e for e in ran.err.splitlines() if e.startswith("line 3")).endswith(f": {reason}")
    assert Product.objects.get(sku="A-1").images.count() == 1, "the good line is imported"
    assert not Product.objects.filter(sku="B-1").exists()


def test_a_refused_line_does_not_import_its_file_under_another_name(run: Run, folder: Path) -> None:
    draw(folder / "a.jpg", RED)
    draw(folder / "b.jpg", BLUE)
    run("catalog_import", folder, csv=write_csv(folder, "a.jpg,A,A-1,1,,", "b.jpg,B,B-1,oops,,"))
    assert list(Product.objects.values_list("sku", flat=True)) == ["A-1"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "{0} has no header; its first line must name its columns, of: path, title, sku, price, category, stock."),
        ("title,sku\n", "{0} has no column 'path'. Valid columns: path, title, sku, price, category, stock."),
        ("path,colour,Size\n",
         "{0} has unknown columns: 'colour', 'size'. Valid columns: path, title, sku, price, category, stock."),
        ("path,sku,sku\n", "{0} names a column twice: path, sku, sku."),
        ('path,title\na.jpg,"unclosed\n', "{0} is not a CSV file: unexpected end of data."),
        (b"path,title\na.jpg,\xe4\n", "{0} is not text in UTF-8."),
    ],
)  # fmt: skip
def test_a_csv_that_cannot_be_used(run: Run, folder: Path, text: str | bytes, sentence: str) -> None:
    draw(folder / "a.jpg")
    csv = folder.parent / "bad.csv"
    csv.write_bytes(text.encode() if isinstance(text, str) else text)
    ran = run("catalog_import", folder, csv=csv)
    assert (ran.status, ran.sentence) == (1, sentence.format(csv))
    assert not Product.objects.exists()


def test_a_csv_that_is_not_there(run: Run, folder: Path) -> None:
    draw(folder / "a.jpg")
    ran = run("catalog_import", folder, csv=folder / "no.csv")
    assert ran.sentence == f"{folder / 'no.csv'} cannot be read: No such file or directory."


def test_spreadsheets_of_other_countries(run: Run, folder: Path) -> None:
    """A byte order mark, semicolons, a decimal comma, Windows line ends and slashes, blank lines, any case."""
    draw(folder / "Möbel" / "a.jpg", RED)
    csv = folder.parent / "excel.csv"
    csv.write_bytes("\ufeffPath;Title;SKU;Price\r\nMöbel\\a.jpg;Stuhl;S-1;19,90\r\n;;;\r\n\r\n".encode())
    assert run("catalog_import", folder, csv=csv).status == 0
    assert Product.objects.values_list("sku", "title", "price").get() == ("S-1", "Stuhl", Decimal("19.90"))


@pytest.mark.parametrize(("on_disk", "in_csv"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_umlauts_in_either_unicode_form(run: Run, folder: Path, on_disk: str, in_csv: str) -> None:
    name = "Möbel größer.jpg"
    draw(folder / unicodedata.normalize(on_disk, name))
    csv = write_csv(folder, f"{unicodedata.normalize(in_csv, name)},Stuhl,S-1,5,,")
    assert run("catalog_import", folder, csv=csv).counts.startswith("1 created, 0 updated, 0 unchanged, 0 failed")


def test_files_that_only_the_csv_names(run: Run, folder: Path) -> None:
    """Deeper than the sub-folders, or with another extension: a line is enough."""
    draw(folder / "a" / "b" / "c" / "deep.jpg", RED)
    draw(folder / "other.png", BLUE)
    csv = write_csv(folder, "a/b/c/deep.jpg,,D-1,,,", "other.png,,O-1,,,")
    assert run("catalog_import", folder, csv=csv, ext="jpg").counts.startswith("2 created")
    assert Product.objects.get(sku="D-1").category.name == "C"


def test_a_product_has_at_most_so_many_images(run: Run, folder: Path) -> None:
    names = [f"{i:02d}.png" for i in range(MOST_IMAGES + 2)]
    for i, name in enumerate(names):
        draw(folder / name, (i * 5, 0, 0))
    ran = run("catalog_import", folder, csv=write_csv(folder, *(f"{name},,M-1,,," for name in names)))
    assert ran.counts.startswith(f"{MOST_IMAGES} created, 0 updated, 0 unchanged, 2 failed")
    assert f"line {MOST_IMAGES + 2} (20.png): the product 'M-1' has 20 images already, which is the most." in ran.err


def test_a_bad_first_file_does_not_lose_the_products_values(run: Run, folder: Path) -> None:
    (folder / "bad.jpg").write_text("bad")
    draw(folder / "good.jpg")
    ran = run("catalog_import", folder, csv=write_csv(folder, "bad.jpg,Mug,M-1,5,Mugs,2", "good.jpg,,M-1,,,"))
    assert ran.counts.startswith("1 created, 0 updated, 0 unchanged, 1 failed")
    product = Product.objects.get()
    assert (product.title, product.price, product.stock) == ("Mug", Decimal("5.00"), 2)
