"""Memory of a worker over 5,000 images."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from django.conf import settings
from PIL import Image

from catalog.models import ProductImage
from tests.drift.scale import FILE, fill
from tests.faults.services import QUICK, Cluster, ended
from tests.faults.truth import assert_true_rows
from tests.processes import wait_until
from visualsearch import tasks
from visualsearch.models import ImageEmbedding

pytestmark = [pytest.mark.fault]

IMAGES = 5_000
WARM = 0.2  # share of the images after which everything is loaded
GROWTH = 10  # megabytes that the last fifth may take more than the second


def photograph() -> bytes:
    """A JPEG of 640 x 480 pixels that is not quite smooth."""
    noise = np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()


def largest(process: psutil.Process) -> float:
    """Megabytes of the cluster's largest process, the worker, which alone has the model."""
    sizes = [0.0]
    for child in process.children(recursive=True):
        try:
            sizes.append(child.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            continue
    return max(sizes)


def test_memory_of_a_worker_is_flat(transactional_db: None, real_encoder: None, log: Path) -> None:
    from django_q.models import OrmQ

    fill(IMAGES).delete()
    OrmQ.objects.all().delete()
    (Path(settings.MEDIA_ROOT) / FILE).write_bytes(photograph())
    keys = ProductImage.objects.order_by("pk").values_list("pk", flat=True)
    assert tasks.enqueue_images("product", keys) == IMAGES
    samples: list[tuple[int, float]] = []
    cluster = Cluster(log, Q_CLUSTER={**QUICK, "timeout": 120, "retry": 150, "workers": 1})

    def done() -> bool:
        indexed = ImageEmbedding.objects.filter(state="indexed").count()
        samples.append((indexed, largest(psutil.Process(cluster.pid))))
        time.sleep(0.4)
        return indexed == IMAGES

    started = time.monotonic()
    with ended(cluster):
        cluster.start()
        wait_until(done, 1500, log)
    early, late = (median(samples, share, share + 0.2) for share in (WARM, 0.8))
    rate = IMAGES / (time.monotonic() - started)
    print(
        f"resident: {early:.1f} MB after a fifth, {late:.1f} MB at the end, of {IMAGES} images at {rate:.0f} a second"
    )
    assert 20 < early < 300
    assert late - early < GROWTH
    assert_true_rows(sample=3)


def median(samples: list[tuple[int, float]], start: float, end: float) -> Any:
    held = [size for indexed, size in samples if start * IMAGES <= indexed <= end * IMAGES]
    assert held, "no sample was taken there"
    return np.median(held)
