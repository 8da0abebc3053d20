"""visualsearch_duplicates: what it prints, and what it keeps."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Product
from tests.duplicates.conftest import keys
from tests.shelf import product_source
from visualsearch import duplicates


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("visualsearch_duplicates", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_text_and_what_was_dismissed(shop: list[Product]) -> None:
    head, *lines = run().splitlines()
    assert head.startswith("product: 68 images compared in ")
    assert head.endswith(" groups of products with pictures nearer than 0.0010: 3")
    off, on = f"{shop[66].pk} Product 66 (off sale)", f"{shop[65].pk} Product 65"
    assert any(off in line and on in line and f"{on} (" not in line for line in lines)
    assert "  3 products, 3 pairs" in lines
    assert len(lines) == 6
    duplicates.dismiss(product_source(), [keys(*shop[60:62])])
    stored = run("--stored", "--limit", "1").splitlines()
    assert " on 20" in stored[0]
    assert stored[-1] == "  and 1 more groups; --limit 0 shows all"


def test_json(shop: list[Product]) -> None:
    ((found,),) = json.loads(run("--json", "--source", "product", "--limit", "0")).values()
    assert (found["images"], found["pairs"], found["groups_total"], len(found["groups"])) == (68, 5, 3, 3)
    assert found["within"] == 0.001
    assert found["seconds"] > 0
    (three,) = [group for group in found["groups"] if group["products"] == 3]
    assert three["count"] == len(three["pairs"]) == 3
    sides = [side for group in found["groups"] for pair in group["pairs"] for side in pair["sides"]]
    assert {side["name"] for side in sides if not side["on_sale"]} == {"Product 66"}
    assert len(json.loads(run("--json", "--stored", "--limit", "2"))["sources"][0]["groups"]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--limit", "-1"], "--limit must be 0 or more."),
        (["--source", "hats"], "There is no source 'hats'. Registered sources: product."),
        (["--stored"], "No search of product is kept; leave --stored out."),
        ([], "Source 'product' has no index version yet; index its images first."),
    ],
)
def test_refusals(db: None, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert str(refused.value) == sentence


def test_interrupted_it_keeps_what_was_found(shop: list[Product], monkeypatch: pytest.MonkeyPatch) -> None:
    run()

    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(duplicates, "search", interrupt)
    with pytest.raises(CommandError, match="what the search before found is kept") as stopped:
        run()
    assert stopped.value.returncode == 130
    assert "with pictures nearer than 0.0010: 3" in run("--stored")
