"""The wheel in new projects, as docs/quickstart.md says: install, a few lines, migrate, save, search."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.package.building import VirtualEnvironment
from tests.package.page import blocks, code, commands
from tests.package.project import Project, own_database

pytestmark = [pytest.mark.slow]

STEPS = ("Install", "The shop", "Five lines", "The model", "Start", "Search", "Pages", "REST API")
FAKE = "VISUALSEARCH['ENCODER'] = 'visualsearch.testing.FakeEncoder'"


@pytest.fixture
def database() -> Iterator[dict[str, Any]]:
    with own_database() as settings:
        yield settings


@pytest.fixture(scope="session")
def full(bare: VirtualEnvironment, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> VirtualEnvironment:
    """The bare one with what the page has a shop install for the queue and the API."""
    environment = VirtualEnvironment(tmp_path_factory.mktemp("venv") / "full")
    environment.extend(bare)
    asked = [name for call in commands("pip install", "Install", "REST API") for name in call]
    assert len(asked) == 3, asked
    environment.install(*(name.replace("django-visualsearch", str(wheel)) for name in asked))
    return environment


def test_shop_with_nothing_but_the_package(bare: VirtualEnvironment, database: dict[str, Any], tmp_path: Path) -> None:
    """No REST framework, no django-filter, no django-q2, no thumbnails, no TensorFlow, no admin; the image on the
    product itself."""
    project = Project(tmp_path / "site", bare, "posters", database)
    project.without_admin()
    project.apply(code("The picture is on the product itself", "Without django-q2"))
    project.append("config/settings.py", FAKE)

    seen = project.tour("bare")

    assert Path(seen["package"]).is_relative_to(bare.site_packages)
    assert seen["found"] == []
    assert "django-visualsearch" in bare.packages()
    assert not bare.packages() & {"tensorflow", "tensorflow-cpu", "keras", "djangorestframework", "django-q2"}
    assert seen["saved"] == ["p1", "p2", "p3"]
    # Where nothing is said of a queue a check warns, a save is saved all the same, and a run by hand indexes it.
    assert seen["warned"] == ["visualsearch.W030"]
    assert seen["before"] == "pending"
    assert sorted(seen["after"]) == ["p3", "p5"]
    assert seen["photo"] == ["p2"]
    assert seen["rows"] == 6


def test_quickstart_page(
    shared_data: Path,  # first, since without it nothing need be installed
    full: VirtualEnvironment,
    bare: VirtualEnvironment,
    database: dict[str, Any],
    clothing: list[Path],
    tmp_path: Path,
) -> None:
    """Every step of the page with its own code, a real worker, real photographs and the real network."""
    project = Project(tmp_path / "site", full, "products", database)
    project.apply(code(*STEPS))
    template = tmp_path / "product.html"
    template.write_text(next(block.text for block in blocks("Pages") if block.language == "html"))
    *start, worker = commands("python manage.py", "Start")
    assert [call[0] for call in (*start, worker)] == ["migrate", "visualsearch_reindex", "qcluster"]

    old = project.tour("start", json.dumps(start), json.dumps([str(path) for path in clothing[:2]]))
    with project.running(*worker):
        seen = project.tour("search", clothing[0], template, *clothing[2:4])

    first, second = old
    new = seen["made"][0]  # the other is unpublished by then
    assert set(old.values()) == {"ready"}
    assert Path(seen["package"]).is_relative_to(bare.site_packages)
    assert seen["loaded"] == ["ai_edge_litert"]
    assert set(seen["like"]) == set(seen["api"]) == {second, new}
    assert seen["photo"][0] == seen["api_photo"][0] == first
    assert set(seen["photo"]) == set(seen["api_photo"]) == {first, second, new}
    assert set(seen["pages"].values()) == {200}, seen["pages"]
    assert len(re.findall(r"<img ", seen["page"])) == 2
    assert f"/visual-search/product/{first}/similar/" in seen["page"]
    assert 'action="/visual-search/product/photo/"' in seen["page"]
