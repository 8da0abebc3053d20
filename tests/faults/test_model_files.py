"""Model files: a disk that is full while one is written, and files that are damaged on the disk."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from tests.faults.truth import assert_true_rows
from tests.processes import ROOT
from tests.shelf import make_product, picture, shade
from visualsearch import tasks
from visualsearch.encoders.mobilenet import MobileNetV2Compact
from visualsearch.encoders.model_file import BUNDLED_WEIGHTS, ModelFile, sealed
from visualsearch.exceptions import EncoderError, FingerprintMismatch, InvalidWeights
from visualsearch.models import ImageEmbedding

pytestmark = [pytest.mark.fault]

MODEL = (BUNDLED_WEIGHTS / "mobilenet_v2_compact.tflite").read_bytes()
ROOM = 100_000  # bytes that the disk still holds

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda model: b"",
    "cut short": lambda model: model[: len(model) // 2],
    "a lost page": lambda model: b"\0" * 4096 + model[4096:],
    "a lost end": lambda model: model[:-60_000] + b"\0" * 60_000,
    "noise": lambda model: bytes(reversed(model)),
    "bits in the weights": lambda model: model[:400_000] + b"\x7f" * 64 + model[400_064:],
}


def build(target: Path, *, room: int | None = None) -> subprocess.CompletedProcess[str]:
    """Writes a model as visualsearch_encoder does, on a disk with this many bytes left for a file."""
    limit = None if room is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    command = ["visualsearch_encoder", "build", "mobilenet_v2_compact", "--int8", "--output", str(target)]
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_full_disk_leaves_no_half_model(tmp_path: Path) -> None:
    """One sentence, and neither a file that looks whole nor a temporary one; with room again it works."""
    target = tmp_path / "cache" / "model.tflite"
    full = build(target, room=ROOM)
    assert full.returncode == 1
    (sentence,) = full.stderr.strip().splitlines()
    assert "cannot be written: File too large" in sentence
    assert list(target.parent.iterdir()) == []
    assert build(target).returncode == 0
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.fixture
def client() -> Client:
    return Client(headers={"host": "localhost"})


def search(client: Client) -> tuple[int, str]:
    """Status and code of a search by photo."""
    cache.clear()  # the count of this minute's searches
    answer = client.post("/api/visualsearch/product/search/", picture(), content_type="image/png")
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_weights_file(
    damage: str, transactional_db: None, queue: Any, use_settings: Any, tmp_path: Path, client: Client
) -> None:
    """The file that WEIGHTS names: its fingerprint is of its bytes, so that nothing is compared with what it makes."""
    path = tmp_path / "weights.tflite"
    path.write_bytes(MODEL)
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=str(path))
    make_product(picture(shade(1)))
    queue.run()
    path.write_bytes(DAMAGE[damage](MODEL))  # in its place, under a process that runs it
    product = make_product(picture(shade(2)))
    with pytest.raises((FingerprintMismatch, InvalidWeights)):
        queue.run()
    assert search(client)[0] == 503
    assert not ImageEmbedding.objects.filter(state="failed").exists(), "no picture is to blame"
    path.write_bytes(MODEL)
    tasks.index_images("product", [str(product.images.get().pk)])
    assert search(client) == (200, "")
    assert_true_rows()


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_export(
    damage: str, transactional_db: None, queue: Any, use_settings: Any, tmp_path: Path, client: Client
) -> None:
    """A file in the model cache: its fingerprint is of what it was made from, so that its own seal has to tell."""
    weights = tmp_path / "weights.h5"
    weights.write_bytes(b"what the model was made from")
    use_settings(ENCODER="mobilenet_v2_compact", WEIGHTS=str(weights), MODEL_CACHE=str(tmp_path / "cache"))
    export = ModelFile(MobileNetV2Compact.description, weights).path
    export.parent.mkdir()
    export.write_bytes(sealed(MODEL))
    make_product(picture(shade(1)))
    queue.run()
    export.write_bytes(DAMAGE[damage](sealed(MODEL)))
    use_settings(THREADS=1)  # begins anew, as a process that is started now
    product = make_product(picture(shade(2)))
    with pytest.raises(EncoderError, match="damaged"):
        queue.run()
    assert not ImageEmbedding.objects.filter(state="failed").exists(), "no picture is to blame"
    assert search(client) == (503, "invalid_weights")
    export.write_bytes(sealed(MODEL))
    tasks.index_images("product", [str(image.pk) for image in product.images.all()])
    assert search(client) == (200, "")
    assert_true_rows()


def test_model_that_is_overwritten_in_its_place_ends_no_process(tmp_path: Path) -> None:
    """As ``cp`` does: a mapped file that is cut short would be a SIGBUS."""
    path = tmp_path / "weights.tflite"
    path.write_bytes(MODEL)
    code = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from django.conf import settings; settings.configure()\n"
        "from visualsearch.encoders.litert import LiteRTRuntime\n"
        "from visualsearch.encoders.mobilenet import MobileNetV2Compact\n"
        "runtime = LiteRTRuntime(Path(sys.argv[1]), MobileNetV2Compact.description, 1)\n"
        "picture = [np.full((224, 224, 3), 90, np.uint8)]\n"
        "before = runtime.run(picture)\n"
        "os.truncate(sys.argv[1], 1000)\n"
        "assert (runtime.run(picture) == before).all()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
