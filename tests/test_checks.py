"""Each system check: what sets it off, that it says a sentence with a hint, and that docs/checks.md describes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.checks import CheckMessage, run_checks
from django.db import OperationalError, ProgrammingError, connection
from django.db.models import QuerySet
from django_filters import BooleanFilter, CharFilter, FilterSet
from rest_framework import serializers

import visualsearch
from catalog.models import Category
from tests.conftest import ROOT
from tests.goods.models import Garment, Poster, PosterScan
from visualsearch import sources
from visualsearch.admin import ReindexMixin
from visualsearch.exceptions import EncoderNotBuilt
from visualsearch.models import VisualIndex
from visualsearch.stores.pgvector import PgVectorStore, check_connection
from visualsearch.testing import FakeEncoder

pytestmark = pytest.mark.django_db

Scenario = Callable[["Shop"], list[CheckMessage]]
SCENARIOS: dict[str, list[Scenario]] = {}
ID = re.compile(r"visualsearch\.([EWI](\d{3}))")


class UnbuiltEncoder(FakeEncoder):
    name = "unbuilt"

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        raise EncoderNotBuilt


class FaultyEncoder(FakeEncoder):
    name = "faulty"

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        raise ZeroDivisionError


class PriceTag:
    """Neither a filter set nor a serializer."""


class PosterSerializer(serializers.ModelSerializer[Poster]):
    class Meta:
        model = Poster
        fields = ["code"]


class Shop:
    """What a scenario may change; put back after each test."""

    def __init__(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = settings
        self.monkeypatch = monkeypatch

    def setting(self, **changes: Any) -> list[CheckMessage]:
        self.settings.VISUALSEARCH = {**self.settings.VISUALSEARCH, **changes}
        return self.check()

    def source(self, model: type = PosterScan, **arguments: Any) -> list[CheckMessage]:
        visualsearch.register(model, name="tried", **{"image": "scan", **arguments})
        return self.check()

    def without(self, package: str) -> None:
        self.monkeypatch.setitem(sys.modules, package, None)

    def queue(self, **changes: Any) -> list[CheckMessage]:
        cluster = {**self.settings.Q_CLUSTER, **changes}
        self.settings.Q_CLUSTER = {key: value for key, value in cluster.items() if value is not None}
        return self.check()

    @staticmethod
    def check() -> list[CheckMessage]:
        return run_checks(tags=["visualsearch"])

    @staticmethod
    def check_database() -> list[CheckMessage]:
        messages = run_checks(tags=["database"], databases=["default"])
        return [message for message in messages if message.id and message.id.startswith("visualsearch")]


@pytest.fixture
def shop(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    settings.VISUALSEARCH = {"ENCODER": "visualsearch.testing.FakeEncoder"}
    before = dict(sources._sources)
    yield Shop(settings, monkeypatch)
    sources._sources.clear()
    sources._sources.update(before)


def scenario(code: str) -> Callable[[Scenario], Scenario]:
    def remember(function: Scenario) -> Scenario:
        SCENARIOS.setdefault(f"visualsearch.{code}", []).append(function)
        return function

    return remember


def server(rows: tuple[Any, ...] | None = ("0.8.5", "0.8.5"), **changes: Any) -> Any:
    """A connection to a server whose answer about the extension is ``rows``."""
    cursor = SimpleNamespace(execute=lambda *args: None, fetchone=lambda: rows)
    return SimpleNamespace(
        **{"vendor": "postgresql", "alias": "default", "settings_dict": {}, "cursor": lambda: Opened(cursor), **changes}
    )


class Opened:
    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def __enter__(self) -> Any:
        return self.cursor

    def __exit__(self, *exc: object) -> None:
        """Nothing is open."""


# What sets each check off.

scenario("E001")(lambda shop: shop.setting(ENCODRE="mobilenet_v2"))
scenario("E002")(lambda shop: shop.setting(ENCODER="mobilenet_v9"))
scenario("E002")(lambda shop: shop.setting(ENCODER="no.such.Encoder"))
scenario("E002")(lambda shop: shop.setting(ENCODER="pathlib.Path"))
scenario("E002")(lambda shop: shop.setting(ENCODER=None))
scenario("W003")(lambda shop: shop.setting(ENCODER="tests.test_checks.UnbuiltEncoder"))
scenario("W003")(lambda shop: shop.setting(ENCODER="mobilenet_v2", WEIGHTS="random", MODEL_CACHE="/nowhere"))
scenario("E004")(lambda shop: shop.setting(ENCODER="tests.test_checks.FaultyEncoder"))
scenario("E004")(lambda shop: shop.setting(ENCODER="mobilenet_v2", WEIGHTS="/nowhere/my.weights.h5"))
scenario("E004")(lambda shop: shop.setting(ENCODER="mobilenet_v2", RUNTIME="abacus"))
scenario("W009")(lambda shop: shop.setting(SOURCE_ENCODERS={"posters": "tests.test_checks.UnbuiltEncoder"}))
scenario("W009")(lambda shop: shop.setting(SOURCE_ENCODERS="mobilenet_v2"))
scenario("W009")(lambda shop: shop.setting(WEIGHTS={"mobilenet_v2@spring": "/nowhere/my.tflite"}))
scenario("E005")(lambda shop: shop.setting(STORE="no.such.Store"))
scenario("E005")(lambda shop: shop.setting(STORE="pathlib.Path"))
scenario("E006")(lambda shop: shop.setting(ENQUEUE="visualsearch.tasks.enqeue"))
scenario("E006")(lambda shop: shop.setting(ENQUEUE="visualsearch.tasks.logger"))
scenario("E007")(lambda shop: shop.setting(THUMBNAIL="no.such.function"))
scenario("E007")(lambda shop: shop.setting(THUMBNAIL=None))
scenario("E008")(lambda shop: shop.setting(IMAGE_FORMATS=["JPG"]))
scenario("E008")(lambda shop: shop.setting(IMAGE_FORMATS=None))
scenario("E010")(lambda shop: list(check_connection(server(vendor="sqlite"))))
scenario("E011")(lambda shop: list(check_connection(server(rows=None))))
scenario("E012")(lambda shop: list(check_connection(server(rows=("0.7.4", "0.7.4")))))
scenario("W013")(lambda shop: list(check_connection(server(settings_dict={"OPTIONS": {"server_side_binding": True}}))))
scenario("E020")(lambda shop: shop.source(image="picture"))
scenario("E021")(lambda shop: shop.source(image="key"))
scenario("E022")(lambda shop: shop.source(product="article"))
scenario("E022")(lambda shop: shop.source(product="key"))
scenario("E022")(lambda shop: shop.source(Poster, product="scans"))
scenario("E022")(lambda shop: shop.source(Group, product="permissions"))
scenario("E023")(lambda shop: shop.source(product="poster", eligible=list))
scenario("E023")(lambda shop: shop.source(product="poster", eligible=Category.objects.all))
scenario("E023")(lambda shop: shop.source(product="poster", eligible=lambda: Poster.objects.filter(price=1)))
scenario("E023")(lambda shop: shop.source(product="poster", eligible=lambda wanted: Poster.objects.all()))
scenario("E025")(lambda shop: shop.source(filterset="catalog.filters.PosterFilter"))
scenario("E025")(lambda shop: shop.source(filterset=PriceTag))
scenario("E027")(lambda shop: shop.source(serializer="catalog.serializers.PosterSerializer"))
scenario("E027")(lambda shop: shop.source(serializer="tests.test_checks.PriceTag"))
scenario("E029")(lambda shop: shop.source(product="poster", related=["poster__artist"]))
scenario("E029")(lambda shop: shop.source(product="poster", related=["scan"]))
scenario("W032")(lambda shop: shop.queue(retry=120, timeout=120))
scenario("W032")(lambda shop: shop.queue(retry=None, timeout=61))
scenario("W033")(lambda shop: shop.queue(timeout=None))
scenario("W034")(lambda shop: shop.queue(ack_failures=True))
scenario("W034")(lambda shop: shop.queue(max_attempts=1))
scenario("W035")(lambda shop: shop.queue(orm=None))


@scenario("E001")
def setting_is_a_list(shop: Shop) -> list[CheckMessage]:
    shop.settings.VISUALSEARCH = [("ENCODER", "mobilenet_v2")]
    return shop.check()


@scenario("W014")
def other_fingerprint(shop: Shop) -> list[CheckMessage]:
    VisualIndex.objects.create(source="product", encoder="visualsearch.testing.FakeEncoder", **index_of("0" * 64))
    return shop.check_database()


@scenario("W014")
def encoder_that_is_gone(shop: Shop) -> list[CheckMessage]:
    VisualIndex.objects.create(source="product", encoder="shop.encoders.Removed", **index_of("0" * 64))
    return shop.check_database()


def index_of(fingerprint: str) -> dict[str, Any]:
    return {"fingerprint": fingerprint, "dimensions": 64, "state": VisualIndex.State.ACTIVE}


@scenario("E015")
def server_does_not_answer(shop: Shop) -> list[CheckMessage]:
    def refuse(store: PgVectorStore) -> Iterator[CheckMessage]:
        raise OperationalError("connection failed: Connection refused\n\tIs the server running?")

    shop.monkeypatch.setattr(PgVectorStore, "check", refuse)
    return shop.check_database()


@scenario("W024")
def eligible_asks_a_missing_table(shop: Shop) -> list[CheckMessage]:
    def eligible() -> QuerySet[Poster]:
        raise ProgrammingError('relation "goods_poster" does not exist')

    return shop.source(product="poster", eligible=eligible)


class PosterFilter(FilterSet):
    fold = BooleanFilter(field_name="code", lookup_expr="isnull")
    code_like = CharFilter(field_name="code", lookup_expr="icontains")


@scenario("W050")
def filters_named_like_options(shop: Shop) -> list[CheckMessage]:
    messages = shop.source(product="poster", filterset=PosterFilter)
    assert [message.msg for message in messages if message.id == "visualsearch.W050"] == [
        "Source 'tried': filters named like options of the search are never asked: fold."
    ]
    return messages


@scenario("W026")
def without_django_filter(shop: Shop) -> list[CheckMessage]:
    shop.without("django_filters")
    return shop.check()


@scenario("W028")
def without_rest_framework(shop: Shop) -> list[CheckMessage]:
    shop.without("rest_framework")
    return shop.check()


@scenario("W030")
def without_django_q(shop: Shop) -> list[CheckMessage]:
    shop.without("django_q")
    return shop.check()


@scenario("W031")
def django_q_not_in_apps(shop: Shop) -> list[CheckMessage]:
    shop.monkeypatch.setattr(apps, "is_installed", lambda name: name != "django_q")
    return shop.check()


@scenario("E040")
def admin_of_a_model_without_images(shop: Shop) -> list[CheckMessage]:
    return admin_of(Category).check()


@scenario("E040")
def admin_of_several_sources(shop: Shop) -> list[CheckMessage]:
    visualsearch.register(PosterScan, image="scan", product="poster", name="scans")
    visualsearch.register(Poster, image="code", name="posters")
    return admin_of(Poster).check()


def admin_of(model: type, **attributes: Any) -> Any:
    return type("TriedAdmin", (ReindexMixin, admin.ModelAdmin), attributes)(model, admin.AdminSite())


def every_scenario() -> list[Any]:
    return [
        pytest.param(code, function, id=f"{code}-{number}")
        for code, functions in SCENARIOS.items()
        for number, function in enumerate(functions, 1)
    ]


@pytest.mark.parametrize(("code", "set_off"), every_scenario())
def test_check_names_the_fault_and_the_way_out(code: str, set_off: Scenario, shop: Shop) -> None:
    messages = [message for message in set_off(shop) if message.id == code]
    assert len(messages) == 1, f"{code} was not said once"
    assert re.fullmatch(r"\w.{20,}\.", messages[0].msg), "a sentence in one line"
    assert len(messages[0].hint or "") > 20


def test_a_fault_sets_no_other_check_off(shop: Shop) -> None:
    assert [message.id for message in shop.source(image="picture")] == ["visualsearch.E020"]
    assert [message.id for message in shop.setting(ENCODRE=1)] == ["visualsearch.E001"]
    assert shop.check_database() == []


def test_the_demo_shop_has_nothing_to_complain_of(shop: Shop, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert shop.check() == []
    assert shop.check_database() == []


def test_good_sources_of_every_kind_pass(shop: Shop) -> None:
    visualsearch.register(Garment, image="photo")
    visualsearch.register(
        PosterScan,
        image="scan",
        product="poster",
        serializer=PosterSerializer,
        eligible=Poster.objects.all,
        related=["poster"],
    )
    assert shop.check() == []
    assert admin_of(Garment).check() == admin_of(Poster).check() == admin_of(PosterScan).check() == []


def test_an_index_of_this_encoder_passes(shop: Shop) -> None:
    ours = index_of(str(FakeEncoder.fingerprint))
    VisualIndex.objects.create(source="product", encoder="visualsearch.testing.FakeEncoder", **ours)
    VisualIndex.objects.create(source="no longer registered", encoder="gone.Encoder", **index_of("0" * 64))
    assert shop.check_database() == []


def test_tables_that_are_not_there_yet_are_not_asked(shop: Shop, django_assert_num_queries: Any) -> None:
    shop.monkeypatch.setattr(type(connection.introspection), "table_names", lambda *args, **kwargs: ["auth_user"])
    with django_assert_num_queries(1):  # the extension
        assert shop.check_database() == []


def test_another_database_is_not_asked(shop: Shop, django_assert_num_queries: Any) -> None:
    from visualsearch.checks import check_database

    with django_assert_num_queries(0):
        assert check_database(databases=["other"]) == []
        assert check_database(databases=None) == []


def test_another_queue_is_not_looked_at(shop: Shop) -> None:
    shop.without("django_q")
    shop.settings.Q_CLUSTER = {}
    assert shop.setting(ENQUEUE="visualsearch.testing.enqueue_nothing") == []


def test_ids_in_code_and_docs_are_equal() -> None:
    files = [*(ROOT / "visualsearch").rglob("*.py")]
    in_code = {match[0] for path in files for match in ID.finditer(path.read_text())}
    sections = re.findall(rf"^### {ID.pattern}$", (ROOT / "docs" / "checks.md").read_text(), re.MULTILINE)
    assert sorted(in_code) == sorted(f"visualsearch.{code}" for code, number in sections)
    assert in_code == SCENARIOS.keys(), "each has a scenario above"
    numbers = [number for code, number in sections]
    assert len(numbers) == len(set(numbers)), "no number stands twice, whatever its letter"


def test_checks_load_no_model() -> None:
    heavy = {"tensorflow", "keras", "ai_edge_litert"}
    script = (
        "import django, sys; django.setup(); from django.core.checks import run_checks;"
        f"run_checks(tags=['visualsearch']); print(sorted({heavy} & set(sys.modules)))"
    )
    done = run_python("-c", script)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_dead_server_is_no_traceback() -> None:
    nobody = {"DATABASE_URL": "postgresql://127.0.0.1:1/shop"}
    done = run_python("-m", "django", "check", "--tag", "database", "--database", "default", **nobody)
    assert done.returncode == 1
    assert "visualsearch.E015" in done.stderr
    assert "Traceback" not in done.stderr


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
