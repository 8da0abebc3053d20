from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Product
from tests import shelf
from visualsearch import lifecycle

# Four kinds by colour; the last two products of each look like the next kind.
COLOURS = {"Red": (220, 20, 20), "Green": (20, 200, 20), "Blue": (20, 20, 220), "Grey": (120, 120, 120)}
OF_EACH = 6


@pytest.fixture
def shop(db: None, fake_encoder: None, queue: Any) -> list[Product]:
    """Indexed products of four kinds, two images each."""
    names, made = list(COLOURS), []
    for place, name in enumerate(names):
        for number in range(OF_EACH):
            looks = COLOURS[names[(place + (number >= OF_EACH - 2)) % len(names)]]
            images = [shelf.picture(tuple(min(255, part + 4 * number + view) for part in looks)) for view in (0, 3)]
            made.append(shelf.make_product(*images, category=shelf.category(name), colour=name.lower()))
    shelf.index_everything()
    return made


@pytest.fixture
def empty(db: None, fake_encoder: None, queue: Any) -> None:
    """An active version with nothing in it."""
    lifecycle.ensure_active(shelf.product_source())


def calibrate(*arguments: Any) -> str:
    out = StringIO()
    call_command("visualsearch_calibrate", *map(str, arguments), stdout=out, stderr=StringIO())
    return out.getvalue()


def as_json(*arguments: Any) -> Any:
    return json.loads(calibrate(*arguments, "--json"))


def refusal(*arguments: Any) -> str:
    """The one sentence."""
    with pytest.raises(CommandError) as caught:
        calibrate(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
