"""What has to be so in the end, whatever happened: one true row for each image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from django.core.files.storage import default_storage

from catalog.models import ProductImage
from visualsearch.encoders import get_encoder
from visualsearch.images import content_hash, open_image
from visualsearch.models import ImageEmbedding, VisualIndex

SAME = 0.999  # cosine similarity of a vector with what the encoder makes of the file again


def assert_true_rows(*, sample: int = 40) -> None:
    """Each image has exactly one row, indexed, of its present file; nothing else has one. The vectors of ``sample``
    images are made again and compared."""
    (index,) = VisualIndex.objects.live()
    files = {str(pk): name for pk, name in ProductImage.objects.exclude(image="").values_list("pk", "image")}
    found = ImageEmbedding.objects.filter(index=index).defer("vector")
    held = {row.object_id: row for row in found}
    assert found.count() == len(held)
    assert set(held) == set(files)
    untrue = [row for pk, row in held.items() if (row.state, row.file) != ("indexed", files[pk])]
    assert not untrue, [(row.object_id, row.state, row.code, row.reason) for row in untrue[:5]]
    assert not ImageEmbedding.objects.filter(index=index, vector__isnull=True).exists()
    assert not [row for row in held.values() if row.reason or row.code or row.attempts]
    keys = sorted(held, key=lambda pk: hash(pk))[:sample]
    for key in keys:
        assert_true_vector(held[key])


def assert_true_vector(row: Any) -> None:
    content = Path(default_storage.path(row.file)).read_bytes()
    assert row.content_hash == content_hash(content)
    (again,) = get_encoder().encode([open_image(content)])
    assert float(np.dot(np.asarray(row.vector), again)) > SAME


def states() -> dict[str, int]:
    """Number of rows by state, for a test's message."""
    held = list(ImageEmbedding.objects.values_list("state", flat=True))
    return {state: held.count(state) for state in set(held)}
