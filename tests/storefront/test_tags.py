"""The tags: what they show, and that nothing breaks the page that they are on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.template import TemplateSyntaxError
from django.test.utils import CaptureQueriesContext

from catalog.models import Category, Product, ProductImage
from tests import shelf
from visualsearch.models import ImageEmbedding

BLOCK = "{% similar_products product limit=4 %}"


def names(html: str) -> list[str]:
    return re.findall(r"<a href=\"/product/\d+/\">([^<]+)</a>", html)


def test_block_shows_the_nearest_products_with_links_and_pictures(render: Any, products: list[Product]) -> None:
    html = render("{% similar_products product limit=2 %}", product=products[5])

    assert set(names(html)) == {"Goods 4", "Goods 6"}
    assert f'href="/visual-search/product/{products[5].pk}/similar/"' in html
    assert html.count("<img") == 2
    assert all(re.search(r'width="\d+" height="\d+" alt="Goods \d"', tag) for tag in re.findall("<img[^>]*>", html))
    assert html.count('loading="lazy"') == 2


def test_as_form_gives_the_results_and_shows_nothing(render: Any, products: list[Product]) -> None:
    html = render(
        "{% similar_products product limit=3 as found %}"
        "{{ found|length }} {{ found.state }} {{ found.0.product.title }}",
        product=products[0],
    )
    assert html == "3 ready Goods 1"


def test_filters_are_applied(render: Any, products: list[Product]) -> None:
    html = render(
        "{% similar_products product limit=3 filters=filters as found %}"
        "{% for match in found %}{{ match.product.colour }},{% endfor %}",
        product=products[0],
        filters={"colour": ["Colour 2"]},
    )
    assert html == "Colour 2," * 3


def test_queries_do_not_grow_with_the_results(render: Any, products: list[Product]) -> None:
    render(BLOCK, product=products[0])  # thumbnails are made now
    render("{% similar_products product limit=10 %}", product=products[0])

    def queries(limit: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            render("{% similar_products product limit=limit %}", product=products[0], limit=limit)
        return len([q for q in captured if "SAVEPOINT" not in q["sql"]])

    assert queries(1) == queries(10) == 2


def test_pending_product_has_a_sentence(render: Any, products: list[Product]) -> None:
    fresh = shelf.make_product(shelf.picture())
    html = render(BLOCK, product=fresh)
    assert "are being looked at" in html
    assert "<img" not in html


def test_nothing_for_a_product_without_picture(render: Any, products: list[Product]) -> None:
    assert render(BLOCK, product=shelf.make_product()) == ""


def test_nothing_for_a_product_whose_picture_failed(render: Any, products: list[Product]) -> None:
    broken = shelf.make_product(b"this is no picture")
    shelf.index_everything()
    assert ImageEmbedding.objects.filter(state="failed").count() == 1
    assert render(BLOCK, product=broken) == ""
    assert render("{% similar_products product as found %}{{ found.state }}", product=broken) == "failed"


def test_empty_index(render: Any, db: None) -> None:
    assert "are being looked at" in render(BLOCK, product=shelf.make_product(shelf.picture()))


@pytest.mark.parametrize("table", ["visualsearch_imageembedding", "visualsearch_visualindex"])
def test_missing_tables_do_not_poison_the_transaction(
    render: Any, products: list[Product], logged: pytest.LogCaptureFixture, table: str
) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        assert render(BLOCK, product=products[0]) == ""
        assert Product.objects.count() == len(products)  # the page goes on
        cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")
    assert "does not exist" in logged.text


def test_missing_extension_does_not_poison_the_transaction(
    render: Any, products: list[Product], logged: pytest.LogCaptureFixture
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP EXTENSION vector CASCADE")
    assert render(BLOCK, product=products[0]) == ""
    assert render("{% similar_products product as found %}{{ found }}", product=products[0]) == "None"
    assert Product.objects.count() == len(products)
    assert "similar_products shows nothing" in logged.text


@pytest.mark.parametrize("thing", ["", None, 7, Category(name="Unregistered", slug="u")])
def test_what_is_no_registered_product_is_logged(
    render: Any, db: None, logged: pytest.LogCaptureFixture, thing: Any
) -> None:
    assert render(BLOCK + "{% find_similar_button product %}", product=thing) == ""
    assert logged.text.count("shows nothing") == 2


@pytest.mark.parametrize("arguments", ["limit=0", "limit='many'", "filters=wrong", "source='nowhere'"])
def test_wrong_arguments_are_logged_with_the_valid_ones(
    render: Any, products: list[Product], logged: pytest.LogCaptureFixture, arguments: str
) -> None:
    html = render(f"{{% similar_products product {arguments} %}}", product=products[0], wrong={"size": "XL"})
    assert html == ""
    assert re.search(r"from 1 to 100|Valid filters: category|Registered sources: product", logged.text)


def test_unknown_arguments_are_refused_when_the_template_is_read(render: Any) -> None:
    with pytest.raises(TemplateSyntaxError, match="unexpected keyword argument 'limits'"):
        render("{% similar_products product limits=3 %}", product=None)


def test_broken_picture_leaves_its_place_empty(
    render: Any, products: list[Product], logged: pytest.LogCaptureFixture
) -> None:
    near = ProductImage.objects.get(product=products[1])
    Path(near.image.path).write_bytes(b"overwritten with something else")
    html = render("{% similar_products product limit=3 %}", product=products[0])
    assert len(names(html)) == 3
    assert html.count("<img") == 2
    assert "A page shows no picture" in logged.text


def test_thumbnails_without_their_tables(
    render: Any, products: list[Product], logged: pytest.LogCaptureFixture
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE easy_thumbnails_source RENAME TO elsewhere")
    html = render("{% similar_products product limit=3 %}", product=products[0])
    assert len(names(html)) == 3
    assert "<img" not in html
    assert Product.objects.count() == len(products)


def test_hostile_names_are_escaped(render: Any, products: list[Product]) -> None:
    hostile = """<script>alert("1")</script>' onload='x"""
    Product.objects.filter(pk=products[1].pk).update(title=hostile)
    html = render(BLOCK, product=products[0])
    assert "<script>" not in html
    assert "&lt;script&gt;alert(&quot;1&quot;)" in html
    assert "' onload=" not in html
    products[0].title = hostile
    assert "<script>" not in render("{% find_similar_button product %}", product=products[0])


def test_button_is_a_link_with_a_name_of_its_own(render: Any, products: list[Product]) -> None:
    with CaptureQueriesContext(connection) as captured:
        html = render("{% find_similar_button product %}", product=products[3])
    assert len(captured) == 0
    assert f'href="/visual-search/product/{products[3].pk}/similar/"' in html
    assert "Find similar" in html
    assert "Goods 3" in html
    assert 'aria-hidden="true"' in html


def test_form_works_without_scripts(render: Any, db: None) -> None:
    html = render("{% visual_search_form %}")
    assert 'action="/visual-search/product/photo/"' in html
    assert 'method="post" enctype="multipart/form-data"' in html
    assert "csrfmiddlewaretoken" in html
    assert 'type="file" name="image"' in html
    assert 'type="submit"' in html


def test_no_links_where_the_pages_are_not_included(
    render: Any, products: list[Product], settings: Any, logged: pytest.LogCaptureFixture
) -> None:
    settings.ROOT_URLCONF = "tests.storefront.urls_without_pages"
    assert render("{% find_similar_button product %}{% visual_search_form %}", product=products[0]) == ""
    assert "Goods 1" in render(BLOCK, product=products[0])
    assert "A page shows no link" in logged.text


def test_a_shop_overrides_a_template(products: list[Product], settings: Any, tmp_path: Path, render: Any) -> None:
    folder = tmp_path / "visualsearch"
    folder.mkdir()
    (folder / "match.html").write_text("[{{ match.product.price }} {{ match.rank }} {{ request.path }}]")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    assert "[2.00 1 /]" in render("{% similar_products product limit=1 %}", product=products[0])


def test_package_templates_stand_on_their_own(products: list[Product], settings: Any, client: Any) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    page = client.get(f"/visual-search/product/{products[0].pk}/similar/")
    assert page.status_code == 200
    assert page.content.count(b"visualsearch-match") == len(products) - 1
    assert b"visualsearch.css" in page.content
    assert client.get("/visual-search/product/photo/").status_code == 200


def test_every_sentence_can_be_translated() -> None:
    folder = Path(__file__).parent.parent.parent / "visualsearch" / "templates" / "visualsearch"
    for path in folder.glob("*.html"):
        text = re.sub(
            r"{#.*?#}|{% ?blocktranslate.*?endblocktranslate ?%}|{%.*?%}|{{.*?}}|<[^>]*>",
            "",
            path.read_text(),
            flags=re.S,
        )
        assert not re.search("[A-Za-z]{3}", text), f"{path.name}: {text.split()}"
