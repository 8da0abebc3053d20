"""Each command of docs/capabilities.md answers, and each source that it names is listed."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.models import Product
from tests import shelf
from visualsearch import search_by_image
from visualsearch.models import VisualIndex
from visualsearch.search import Wishes

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "capabilities.md").read_text()
COMMANDS = [shlex.split(line) for line in re.findall(r"`curl ([^`]*)` \|$", PAGE, re.MULTILINE)]


def test_sources_are_listed_and_used() -> None:
    named = set(re.findall(r"\[([A-Z]\d)\]", PAGE))
    assert named == set(re.findall(r"^\| ([A-Z]\d) \|", PAGE, re.MULTILINE))


def test_every_option_has_a_command() -> None:
    text = " ".join(part for command in COMMANDS for part in command)
    assert {name for name in Wishes.__annotations__ if f"{name}=" not in text} == {"include_query"}


@pytest.mark.django_db
def test_every_command_answers(api: APIClient, rainbow: list[Product], use_settings: Any) -> None:
    """Its products being ours, and its photo one of a colour of ours."""
    encoder = "tests.search.palette.PaletteEncoder"
    use_settings(ENCODER=encoder, SIMILAR_RATE="9999/s", PHOTO_RATE="9999/s")
    VisualIndex.objects.update(encoder=encoder)
    for product, colour in zip(rainbow[3:], ("red", "brown"), strict=False):
        Product.objects.filter(pk=product.pk).update(colour=colour)
    photo = shelf.picture(shelf.shade(2), (320, 320), "JPEG")
    keys = {"17": rainbow[0].pk, "23": rainbow[1].pk, "8": rainbow[2].pk, "$T": search_by_image(photo).query}
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        address = next(part for part in command if part.startswith("$S/"))
        address = address.replace("$S", "/api/visualsearch/product").replace("/17/", f"/{rainbow[0].pk}/")
        fields = dict(part.split("=", 1) for option, part in pairwise(command) if option == "-F")
        given: dict[str, Any] = {name: keys.get(value, value) for name, value in fields.items()}
        if "image" in given:
            given["image"] = shelf.upload(photo, "photo.jpg")
        if "--data-binary" in command:
            response = api.post(address, photo, content_type="image/jpeg")
        elif given:
            response = api.post(address, given, format="multipart")
        else:
            response = api.get(address)
        assert response.status_code == 200, (command, response.content)
        assert response.json()["state"] == "ready"
