"""How good the answers are, through the whole product: import, queue, worker, index, API."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from catalog.models import Product
from tests.encoders.built import ensure_built
from tests.processes import running, wait_until
from visualsearch.models import ImageEmbedding

pytestmark = [
    pytest.mark.slow,
    pytest.mark.queue,
    pytest.mark.django_db(transaction=True),
]

REFERENCE = 0.777  # whole pictures, cosine, the first neighbour's class; shared/data/README.md
TOLERANCE = 0.02


def test_clothes_find_clothes_of_their_class(shared_data: Path, use_settings: Any, tmp_path: Path) -> None:
    """The clothing test set against its train set with real weights of width 1.0: P@1 as in the reference."""
    use_settings(ENCODER="mobilenet_v2", WEIGHTS=str(ensure_built("mobilenet_v2")), PHOTO_RATE="100000/min", CHUNK=128)
    call_command("catalog_import", str(shared_data / "clothing" / "train"), recursive=True, stdout=StringIO())
    gallery = Product.objects.count()
    assert gallery == len(list((shared_data / "clothing" / "train").glob("*/*.jpg")))
    call_command("visualsearch_reindex", stdout=StringIO())
    log = tmp_path / "qcluster.log"
    with running("qcluster", log=log):
        wait_until(lambda: ImageEmbedding.objects.filter(state="indexed").count() == gallery, 400, log, every=1)
    client, hits, queries = Client(), 0, sorted((shared_data / "clothing" / "test").glob("*/*.jpg"))
    for path in queries:
        photo = SimpleUploadedFile(path.name, path.read_bytes(), content_type="image/jpeg")
        answer = client.post("/api/visualsearch/product/search/?limit=1", {"image": photo})
        assert answer.status_code == 200, answer.content
        hits += answer.json()["results"][0]["product"]["category"] == path.parent.name
    assert len(queries) == 372
    assert hits / len(queries) == pytest.approx(REFERENCE, abs=TOLERANCE)
