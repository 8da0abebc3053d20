"""docs/api.md says what the API does."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.models import Product
from tests import shelf
from visualsearch.api import examples
from visualsearch.api.serializers import ExplanationSerializer
from visualsearch.api.throttles import PhotoThrottle, SimilarThrottle
from visualsearch.conf import DEFAULTS
from visualsearch.search import State

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "api.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under this line of headings."""
    table = PAGE.partition(f"| {heading} |\n")[2].partition("\n\n")[0]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


def test_every_error_is_listed() -> None:
    faults = {
        (str(fault.status), fault.code)
        for group in (examples.COMMON, examples.PRODUCT, examples.SEARCH, examples.PHOTO)
        for fault in group
    }
    assert {(status, code) for status, code, _ in rows("status | code | when")} == faults


def test_every_state_is_listed() -> None:
    assert [state for state, _ in rows("state | meaning")] == [state.value for state in State]


def test_the_rates_are_the_defaults() -> None:
    listed = {scope: (setting, rate) for scope, _, setting, rate in rows("scope | addresses | setting | default")}
    assert listed == {
        throttle.scope: (throttle.setting, DEFAULTS[throttle.setting]) for throttle in (SimilarThrottle, PhotoThrottle)
    }


def test_the_limits_are_the_defaults() -> None:
    assert f"`MAX_LIMIT` ({DEFAULTS['MAX_LIMIT']})" in PAGE
    assert f"`DEFAULT_LIMIT` ({DEFAULTS['DEFAULT_LIMIT']})" in PAGE
    assert f"`MAX_BYTES` ({DEFAULTS['MAX_BYTES'] // 1024**2} MB)" in PAGE


@pytest.mark.django_db
def test_the_commands_work(api: APIClient, rainbow: list[Product]) -> None:
    """Each curl line of the page, its product being one of ours and its colours ours."""
    Product.objects.filter(pk=rainbow[3].pk).update(colour="red")
    Product.objects.filter(pk=rainbow[4].pk).update(colour="brown")
    commands = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("curl ")]
    assert len(commands) == 3
    for _curl, *arguments in commands:
        address = arguments.pop(-1 if arguments[0] == "-F" else 0).replace("/17/", f"/{rainbow[0].pk}/")
        fields = dict(argument.split("=", 1) for argument in arguments if argument != "-F")
        response = api.post(address, _files(fields), format="multipart") if fields else api.get(address)
        assert response.status_code == 200, response.content
        assert response.json()["state"] == "ready"


def _files(fields: dict[str, str]) -> dict[str, Any]:
    return {
        name: shelf.upload(shelf.picture(kind="JPEG"), value[1:]) if value.startswith("@") else value
        for name, value in fields.items()
    }


@pytest.mark.django_db
def test_the_answers_have_the_shape_shown(api: APIClient, rainbow: list[Product]) -> None:
    page, explained, error = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    address = f"/api/visualsearch/product/{rainbow[0].pk}/similar/"
    answer = api.get(address, {"limit": 1}).json()
    assert list(page) == list(answer)
    assert list(page["results"][0]) == list(answer["results"][0])
    assert list(page["results"][0]["image"]) == list(answer["results"][0]["image"])
    shown = explained["explanation"]
    assert list(shown) == list(ExplanationSerializer().fields)
    assert sum(map(sum, shown["shares"])) == pytest.approx(shown["similarity"])
    assert max(map(max, shown["shares"])) / shown["similarity"] == pytest.approx(shown["carried"], abs=1e-3)
    assert api.get(address, {"limit": "abc"}).json() == error
