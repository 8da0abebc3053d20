"""What imports what: rooms depend on each other downward only; heavy and optional packages load late or never."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.encoders.built import ROOT, ensure_built, run_python
from tests.processes import environment
from tests.shelf import make_product

PACKAGE = ROOT / "visualsearch"

# From the top down to what everything stands on. What is not named is an entry point: admin, api, management and so on.
# Within one floor a room may use another, but not in a circle.
ENTRY = 1
FLOORS: tuple[set[str], ...] = (
    {"apps", "contrib"},
    {"handlers"},
    {"upkeep"},
    {"tasks"},
    {"lifecycle", "status", "drift", "duplicates"},
    {"indexing", "search", "regions", "pairs", "evaluation", "projection"},
    {"pausing", "workers", "usage"},
    {"encoders", "stores", "sources", "images", "thumbnails", "montage", "signals"},
    {"models", "migrations", "statements", "locks", "readers", "keys"},
    {"calibration"},
    {"conf", "exceptions"},
)
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}

# Where a package from outside may be imported: there, and nowhere else.
HOMES = {
    "django_q": ("tasks.py",),
    "tensorflow": ("encoders/keras_zoo.py", "contrib/training/"),
    "keras": ("encoders/keras_zoo.py", "contrib/training/"),
    "ai_edge_litert": ("encoders/litert.py", "encoders/feature_maps.py", "encoders/int8.py", "contrib/training/"),
    "rest_framework": ("api/",),
    "django_filters": ("api/",),
    "drf_spectacular": ("api/",),
    "easy_thumbnails": ("thumbnails.py",),
    "gunicorn": ("contrib/serving.py",),
    "pillow_heif": ("images/containers.py",),
    "prometheus_client": ("metrics.py",),
    "psycopg": ("stores/pgvector.py",),
    "tqdm": ("management/", "contrib/training/"),
}
HEAVY = ("rest_framework", "django_filters", "django_q", "easy_thumbnails", "ai_edge_litert", "tensorflow", "keras")

# What makes a room know encoders, or know stores. The array type is common ground.
ENCODER_NAMES = {"encoder_of", "get_encoder", "encoder_class", "Encoder"}
STORE_NAMES = {"get_store", "Store", "PgVectorStore"}
ROOMS_OF_BOTH = {"drift", "doctor", "indexing", "search", "lifecycle", "checks", "projection"}


class Import(NamedTuple):
    """``from module import name``, or ``import module`` with no name, found in a file (a path below the package)."""

    file: str
    module: str
    name: str

    @property
    def room(self) -> str:
        """The room that it comes from, where that is the package's own; else an empty string."""
        top, _, rest = self.module.partition(".")
        return (rest or self.name).partition(".")[0] if top == "visualsearch" else ""


def room_of(file: str) -> str:
    return file.partition("/")[0].removesuffix(".py")


def types_only(tree: ast.Module) -> set[ast.AST]:
    """Everything in ``if TYPE_CHECKING:``, which no program runs."""
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    return {inner for guard in guards for statement in guard.body for inner in ast.walk(statement)}


def absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    folder = path.relative_to(ROOT).parts[: -node.level]
    return ".".join([*folder, *([node.module] if node.module else [])])


def imports_of(path: Path) -> Iterator[Import]:
    """Imports anywhere in a file, inside functions as well."""
    tree, file = ast.parse(path.read_text()), path.relative_to(PACKAGE).as_posix()
    ignored = types_only(tree)
    for node in ast.walk(tree):
        if node in ignored:
            continue
        if isinstance(node, ast.Import):
            yield from (Import(file, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(file, absolute(node, path), alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (Import(file, str(name.value), "") for name in node.args if isinstance(name, ast.Constant))


@cache
def all_imports() -> list[Import]:
    return [found for path in sorted(PACKAGE.rglob("*.py")) for found in imports_of(path)]


def own_imports() -> list[Import]:
    """From one room to another."""
    return [
        found
        for found in all_imports()
        if found.room and found.room != room_of(found.file) and found.file != "__init__.py"
    ]


def floor(room: str) -> int:
    return FLOOR.get(room, ENTRY)


def test_named_rooms_exist() -> None:
    rooms = {room_of(path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*.py")}
    assert set(FLOOR) <= rooms
    assert len(own_imports()) > 100


def test_imports_run_downward_only() -> None:
    upward = [found for found in own_imports() if floor(found.room) < floor(room_of(found.file))]
    assert not upward


def test_rooms_do_not_import_each_other_in_a_circle() -> None:
    below: dict[str, set[str]] = {}
    for found in own_imports():
        below.setdefault(room_of(found.file), set()).add(found.room)
        below.setdefault(found.room, set())
    while below:
        leaves = {room for room, others in below.items() if not others}
        assert leaves, f"in a circle, or above one: {below}"
        below = {room: others - leaves for room, others in below.items() if room not in leaves}


@pytest.mark.parametrize("package", HOMES)
def test_package_from_outside_has_its_place(package: str) -> None:
    files = {found.file for found in all_imports() if found.module.partition(".")[0] == package}
    strays = {file for file in files if not file.startswith(HOMES[package])}
    assert not strays
    assert files, f"{package} is imported nowhere: take it out of HOMES"


def test_the_demo_uses_the_queue_through_the_package() -> None:
    texts = {path: path.read_text() for folder in ("catalog", "shop") for path in (ROOT / folder).rglob("*.py")}
    assert not [path for path, text in texts.items() if "import django_q" in text or "from django_q" in text]
    assert not [path for path, text in texts.items() if "import tensorflow" in text or "import keras" in text]


def test_encoders_and_stores_meet_in_indexing_and_search_alone() -> None:
    """Those above them, which make, count or check index versions, may look at both; nobody below may."""
    knowing: dict[str, set[str]] = {}
    for found in own_imports():
        for kind, names in (("encoder", ENCODER_NAMES), ("store", STORE_NAMES)):
            if found.name in names:
                knowing.setdefault(room_of(found.file), set()).add(kind)
    assert {room for room, kinds in knowing.items() if len(kinds) == 2} == ROOMS_OF_BOTH
    assert max(map(floor, knowing)) == floor("indexing")
    sideways = [found for found in own_imports() if {found.room, room_of(found.file)} == {"encoders", "stores"}]
    assert {found.name for found in sideways} <= {"Vectors"}, sideways


def test_pixels_have_one_door() -> None:
    """Nobody but ``images`` opens an image file; what has a picture's header alone to read is named here."""
    opening = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open"
    }
    assert {file for file in opening if not file.startswith(("images/", "contrib/"))} <= {"thumbnails.py"}


def loaded(code: str, **env: str) -> list[str]:
    """Names of the modules that a fresh interpreter has loaded after this code."""
    variables = {"DJANGO_SETTINGS_MODULE": "", **env}
    return json.loads(run_python(f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))", env=variables))


def test_importing_the_package_loads_nothing() -> None:
    modules = loaded("import visualsearch")
    assert [name for name in modules if name.startswith("visualsearch")] == ["visualsearch"]
    assert not {"django", "numpy", "PIL", *HEAVY} & set(modules)


SETUP = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["visualsearch"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql"}},
)
django.setup()
"""


def test_setting_django_up_loads_no_model_and_no_extra() -> None:
    modules = loaded(SETUP)
    assert "visualsearch.models" in modules
    assert not {*HEAVY, "visualsearch.encoders.litert", "visualsearch.encoders.keras_zoo", "visualsearch.api"} & {
        *modules
    }


def test_public_names_are_there_after_setup() -> None:
    code = f"{SETUP}\nimport visualsearch\nfor name in visualsearch.__all__: getattr(visualsearch, name)"
    modules = loaded(code)
    assert {"visualsearch.search", "visualsearch.sources"} <= set(modules)
    assert not set(HEAVY) & set(modules)


SERVE = """
import json, os, sys
import django
django.setup()
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from catalog.models import Product, ProductImage
from visualsearch import tasks

keys = [str(key) for key in ProductImage.objects.values_list("pk", flat=True)]
tasks.index_images("product", keys)
first = Product.objects.earliest("pk")
photo = first.images.get().image.read()
client = Client(headers={"host": "localhost"})
api = "/api/visualsearch/product/"
answers = [
    client.get(f"{api}{first.pk}/similar/"),
    client.post(f"{api}search/", {"image": SimpleUploadedFile("photo.jpg", photo, "image/jpeg")}),
]
counts = [len(answer.json()["results"]) for answer in answers]
heavy = [name for name in ("tensorflow", "keras", "ai_edge_litert") if name in sys.modules]
print(json.dumps({"status": [answer.status_code for answer in answers], "counts": counts, "heavy": heavy}))
"""


def test_no_task_and_no_request_imports_tensorflow(
    transactional_db: None, use_settings: Any, queue: Any, clothing: list[Path]
) -> None:
    weights = ensure_built("mobilenet_v2_compact")
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=str(weights), ENQUEUE="visualsearch.tasks.enqueue")
    for path in clothing[:3]:
        make_product(path.read_bytes())
    seen = json.loads(run_python(SERVE, env=environment()).splitlines()[-1])
    assert seen == {"status": [200, 200], "counts": [2, 3], "heavy": ["ai_edge_litert"]}
