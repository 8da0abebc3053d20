"""Activate, roll back, prune; two operators at once."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import ProductImage
from tests.goods.models import Garment
from tests.goods.sources import registered
from tests.lifecycle.conftest import Typed, colours, refusal, states
from tests.lifecycle.encoders import RED, RedEncoder
from tests.shelf import index_everything, make_product, picture, product_source, upload
from visualsearch import lifecycle, search_by_image, similar_to
from visualsearch.exceptions import AnotherOperator, VersionRefused
from visualsearch.locks import Space, advisory_lock, number_of
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store


def built(source: ImageSource | None = None, encoder: str = RED) -> VisualIndex:
    source = source or product_source()
    index = lifecycle.begin(source, encoder)
    lifecycle.build(index, source, chunk=64)
    return index


def page(image: ProductImage) -> list[Any]:
    return [match.image.pk for match in similar_to(image.product, 5)]


def test_activate_and_roll_back(shop: list[ProductImage], manage: Typed) -> None:
    before, index = page(shop[0]), built()
    assert page(shop[0]) == before
    assert manage("activate") == f"product: searches use version {index.pk} instead of version {index.pk - 1}.\n"
    assert states() == ["retired", "active"]
    after = page(shop[0])
    assert after != before
    assert search_by_image(picture(colours(12)[4]), 1)[0].image == shop[4], "a photo is encoded as its version was"
    assert manage("rollback") == f"product: searches use version {index.pk - 1} instead of version {index.pk}.\n"
    assert page(shop[0]) == before
    manage("rollback")  # and forth again
    assert page(shop[0]) == after


def test_the_switch_is_one_transaction(shop: list[ProductImage]) -> None:
    index = built()
    with CaptureQueriesContext(connection) as captured:
        lifecycle.activate(product_source(), index)
    sql = [query["sql"] for query in captured.captured_queries]
    updates = [
        number for number, text in enumerate(sql) if text.startswith('UPDATE "visualsearch_visualindex" SET "state"')
    ]
    begin = max(number for number, text in enumerate(sql) if text == "BEGIN" and number < updates[0])
    commit = min(number for number, text in enumerate(sql) if text == "COMMIT" and number > begin)
    assert len(updates) == 2
    assert begin < updates[0] < updates[1] < commit


def test_what_was_saved_since_is_queued_on_the_way_back(shop: list[ProductImage], manage: Typed, queue: Any) -> None:
    lifecycle.activate(product_source(), built())
    late = make_product(picture("teal")).images.get()
    shop[0].image = upload(picture("pink"))
    shop[0].save()
    shop[1].delete()
    queue.run()
    assert "2 images that it lacks are queued." in manage("rollback")
    queue.run()
    active = VisualIndex.objects.get(state="active")
    assert rows(active, state="indexed").count() == 12
    assert similar_to(late.product).state == "ready"
    assert not ImageEmbedding.objects.filter(object_id=str(shop[1].pk)).exists()


def test_nothing_to_go_back_to(shop: list[ProductImage], manage: Typed) -> None:
    assert refusal(manage, "rollback") == ("Source 'product' has no version to go back to.", 1)


def test_the_encoder_of_the_version_before_is_gone(
    shop: list[ProductImage], manage: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle.activate(product_source(), built())
    manage("rollback")
    monkeypatch.setattr(RedEncoder, "fingerprint", "0" * 64)
    sentence, _ = refusal(manage, "rollback")
    assert "is not activated again: Index version" in sentence
    assert "searches use version" in manage("rollback", "--force")


def test_activating_what_is_in_use_or_gone(shop: list[ProductImage], manage: Typed) -> None:
    (active,) = VisualIndex.objects.all()
    assert refusal(manage, "activate", str(active.pk))[0] == f"Version {active.pk} of product is in use already."
    index = built()
    VisualIndex.objects.filter(pk=index.pk).delete()
    with pytest.raises(VersionRefused, match="is there no more"):
        lifecycle.activate(product_source(), index, force=True)
    assert states() == ["active"]


def test_prune_keeps_one_to_go_back_to(shop: list[ProductImage], manage: Typed, as_json: Any) -> None:
    first = VisualIndex.objects.get()
    second = built()
    lifecycle.activate(product_source(), second)
    assert manage("prune") == "product: there is no version to throw away.\n"
    third = built()
    lifecycle.activate(product_source(), third)
    assert as_json("prune") == {"source": "product", "pruned": [{"version": first.pk, "rows": 12}]}
    assert states() == ["retired", "active"]
    assert not get_store().leftovers()
    assert manage("prune", "--keep", "0") == f"product: version {second.pk} and its 12 rows are gone.\n"
    assert refusal(manage, "rollback")[0] == "Source 'product' has no version to go back to."
    assert len(page(shop[0])) == 5


def test_prune_of_a_build_that_is_given_up(shop: list[ProductImage], manage: Typed) -> None:
    index = lifecycle.begin(product_source(), RED)
    lifecycle.build_step(index, product_source(), None, 5)
    assert manage("prune", str(index.pk)) == f"product: version {index.pk} and its 5 rows are gone.\n"
    (active,) = VisualIndex.objects.all()
    sentence, _ = refusal(manage, "prune", str(active.pk))
    assert sentence == f"Version {active.pk} of product is in use; activate another one first."
    assert refusal(manage, "prune", "--keep", "-1")[0] == "--keep must be 0 or more."


def test_prune_blocks_nobody(shop: list[ProductImage], other_session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go in steps, and between and within them others read and write."""
    monkeypatch.setattr("visualsearch.lifecycle.switching.STEP", 5)
    lifecycle.activate(product_source(), built())
    with CaptureQueriesContext(connection) as captured:
        lifecycle.prune(product_source(), keep=0)
    sql = [query["sql"] for query in captured.captured_queries]
    assert len([text for text in sql if text.startswith('DELETE FROM "visualsearch_imageembedding"')]) >= 3
    assert [text for text in sql if text.startswith("DROP INDEX")] == [
        f'DROP INDEX CONCURRENTLY IF EXISTS "visualsearch_hnsw_{VisualIndex.objects.get().pk - 1}"'
    ]


def test_an_interrupted_prune_goes_on_and_nobody_goes_back_to_half_a_version(
    shop: list[ProductImage], manage: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle.activate(product_source(), built())
    with monkeypatch.context() as patch:
        patch.setattr(type(get_store()), "drop", lambda self, index: (_ for _ in ()).throw(KeyboardInterrupt))
        assert refusal(manage, "prune", "--keep", "0")[1] == 130
    assert refusal(manage, "rollback")[0] == "Source 'product' has no version to go back to."
    assert "are gone" in manage("prune", "--keep", "0")


@pytest.mark.parametrize("arguments", [["activate"], ["rollback"], ["prune"], ["build", "--encoder", RED]])
def test_of_two_operators_one_is_told(
    shop: list[ProductImage], manage: Typed, other_session: Any, arguments: list[str]
) -> None:
    lifecycle.activate(product_source(), built())
    built(encoder="visualsearch.testing.FakeEncoder")
    before = states()
    with advisory_lock(other_session, Space.SOURCE, number_of("product")) as ours:
        assert ours
        sentence, status = refusal(manage, *arguments)
        assert "since its versions are being changed by somebody else (database session" in sentence
        assert status == 3
        assert states() == before
    manage(*arguments)


def test_a_refusal_as_json(shop: list[ProductImage]) -> None:
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("visualsearch_index", "rollback", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {
        "action": "rollback",
        "refused": "Source 'product' has no version to go back to.",
    }


def test_the_lock_ends_with_what_it_was_for(shop: list[ProductImage], other_session: Any) -> None:
    with pytest.raises(VersionRefused):
        lifecycle.rollback(product_source())
    with advisory_lock(other_session, Space.SOURCE, number_of("product")) as free:
        assert free
        with pytest.raises(AnotherOperator):
            lifecycle.rollback(product_source())


def test_sources_have_versions_of_their_own(shop: list[ProductImage], queue: Any, manage: Typed) -> None:
    with registered() as (garments, _):
        made = [Garment.objects.create(name=f"g{n}", photo=upload(picture((9 * n, 80, 200)))) for n in range(6)]
        queue.take()
        index_everything(garments)
        lifecycle.activate(garments, built(garments))
        assert "garment" in refusal(manage, "rollback")[0], "with several sources one has to be named"
        encoders = dict(VisualIndex.objects.active().values_list("source", "encoder"))
        assert encoders == {"product": "visualsearch.testing.FakeEncoder", "garment": RED}
        assert len(similar_to(made[0], 3)) == 3
        assert search_by_image(picture((27, 80, 200)), 1, source="garment")[0].product == made[3]
        assert search_by_image(picture(colours(12)[4]), 1, source="product")[0].image == shop[4]
        assert "garment: searches use version" in manage("rollback", "--source", "garment")
        assert set(VisualIndex.objects.active().values_list("encoder", flat=True)) == {encoders["product"]}
        for index in VisualIndex.objects.filter(source="garment"):
            get_store().drop(index)
