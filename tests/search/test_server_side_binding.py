"""A shop whose database binds parameters on the server gets the same answers."""

from __future__ import annotations

from typing import Any

from tests.shelf import index_everything, make_product, picture, shade
from visualsearch import search_by_image, similar_to


def test_searches_answer_alike(fake_encoder: None, queue: Any, binds_on_server: None) -> None:
    made = [make_product(picture(shade(number)), price=number) for number in range(12)]
    index_everything()
    assert {match.product for match in similar_to(made[5], 2)} == {made[4], made[6]}
    assert len(similar_to(made[5], 10, {"price_max": 8})) == 8
    assert search_by_image(picture(shade(7)), 3)[0].product == made[7]
