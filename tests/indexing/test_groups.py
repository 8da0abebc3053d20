"""Several encoder batches are written in one transaction: each image is right by itself all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.shelf import make_product, picture, product_source, shade
from visualsearch import lifecycle
from visualsearch.exceptions import EncoderError
from visualsearch.images import open_image
from visualsearch.models import ImageEmbedding
from visualsearch.testing import FakeEncoder

COUNT = 40  # five encoder batches: one whole group and a part of the next


def colours(count: int) -> list[tuple[int, int, int]]:
    return [shade(number) for number in range(count)]


def test_every_image_has_its_own_vector_file_and_hash(queue: Any) -> None:
    product = make_product(*map(picture, colours(COUNT)))
    queue.run()
    rows = {row.object_id: row for row in ImageEmbedding.objects.all()}
    for image, colour in zip(product.images.order_by("pk"), colours(COUNT), strict=True):
        row = rows.pop(str(image.pk))
        expected = FakeEncoder().encode([open_image(picture(colour))])[0]
        assert np.allclose(row.vector, expected, atol=1e-3)
        assert (row.state, row.file, row.attempts) == ("indexed", image.image.name, 0)
    assert not rows


def test_picture_at_fault_costs_its_own_batch_alone_a_second_try(queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    embed, sizes = FakeEncoder.embed, []

    def picky(self: FakeEncoder, images: Any) -> Any:
        sizes.append(len(images))
        if any(image.getpixel((0, 0)) == shade(11) for image in images):
            raise EncoderError("not this shade")
        return embed(self, images)

    monkeypatch.setattr(FakeEncoder, "embed", picky)
    product = make_product(*map(picture, colours(24)))
    pks = list(product.images.order_by("pk").values_list("pk", flat=True))
    outcome = lifecycle.index_images(product_source(), pks)
    assert (outcome.indexed, outcome.failed) == (23, 1)
    assert ImageEmbedding.objects.get(state="failed").object_id == str(pks[11])
    assert sorted(sizes) == [*[1] * 8, 8, 8, 8]  # batches are in the order of the keys as text, 9 after 10


def test_statements_do_not_grow_with_the_batches(queue: Any) -> None:
    counts = []
    for number in (8, 32):
        product = make_product(*map(picture, colours(number)))
        pks = list(product.images.values_list("pk", flat=True))
        lifecycle.index_images(product_source(), pks[:1])  # what is looked up once for a connection
        with CaptureQueriesContext(connection) as captured:
            lifecycle.index_images(product_source(), pks)
        counts.append(len(captured))
    assert counts[0] == counts[1]
