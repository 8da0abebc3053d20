"""A part of the hostile files through the API and the import; ``make faults`` sends all of them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from catalog.models import ProductImage
from tests import shelf
from tests.security.conftest import Shop
from tests.security.hostile import everything, sample
from visualsearch.exceptions import ImageRefused
from visualsearch.models import ImageEmbedding

pytestmark = pytest.mark.django_db
CODES = {kind.code for kind in ImageRefused.__subclasses__()}


def test_a_part_of_them_through_both_doors(shop: Shop, client: Client, tmp_path: Path) -> None:
    assert len(everything()) >= 300
    folder = tmp_path / "hostile"
    folder.mkdir()
    searched = {}
    for name, make in sample().items():
        (folder / name).write_bytes(data := make())
        answer = client.post("/api/visualsearch/product/search/", data, content_type="image/jpeg")
        assert answer.status_code in (200, 400, 413, 415), (name, answer.content)
        searched[name] = answer.json().get("code", "")
    assert len(searched) > 40
    assert set(searched.values()) <= CODES | {""}
    said = io.StringIO()
    with pytest.raises(CommandError, match="files failed"):
        call_command("catalog_import", folder, stdout=io.StringIO(), stderr=said)
    refused = dict(re.fullmatch(r"(.+?): .*\[(\w+)\]", line).groups() for line in said.getvalue().splitlines())
    assert {name: refused.get(name, "") for name in searched} == searched
    shelf.index_everything()
    imported = ProductImage.objects.exclude(origin="")
    assert len(imported) == len(searched) - len(refused) > 3
    states = ImageEmbedding.objects.filter(object_id__in=[str(image.pk) for image in imported])
    assert {row.state for row in states} == {ImageEmbedding.State.INDEXED}
