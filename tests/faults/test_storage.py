"""A storage that fails for some pictures: these wait, with the reason, and hold up no other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from catalog.models import ProductImage
from tests.drift.conftest import drift_of as drift_of
from tests.drift.conftest import no_graphs as no_graphs
from tests.faults.truth import assert_true_rows
from tests.processes import running, wait_until
from tests.shelf import make_product, picture, shade
from visualsearch import tasks, upkeep
from visualsearch.models import ImageEmbedding

pytestmark = [pytest.mark.fault]

LIMIT = 1.0  # seconds, of a read


def path_of(image: ProductImage) -> Path:
    return Path(image.image.path)


@contextmanager
def hanging(path: Path) -> Iterator[None]:
    """A pipe that nobody writes to: opening it does not end, as in a network folder whose server is gone."""
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    try:
        yield
    finally:
        pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # lets those who wait go
        path.unlink()
        path.write_bytes(content)
        os.close(pipe)


@contextmanager
def erroring(path: Path) -> Iterator[None]:
    """Whoever reads the file is told of an error."""
    kept = path.with_suffix(".kept")
    path.rename(kept)
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        kept.rename(path)


@contextmanager
def halved(path: Path) -> Iterator[None]:
    """The connection ends in the middle of the file, and the storage says nothing of it."""
    opened = FileSystemStorage._open

    class Half(File):
        def read(self, size: int = -1) -> bytes:
            left = self.size // 2 - self.file.tell()
            return self.file.read(left if size < 0 else min(left, size))

    def short(self: Any, name: str, mode: str = "rb") -> Any:
        file = opened(self, name, mode)
        return Half(file.file) if name.endswith(path.name) else file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileSystemStorage, "_open", short)
        yield


def waiting() -> dict[str, str]:
    rows = ImageEmbedding.objects.filter(state="pending", code="storage_error")
    return dict(rows.values_list("object_id", "reason"))


def test_storage_that_errors_hangs_or_gives_half(
    no_graphs: None, fake_encoder: None, queue: Any, use_settings: Any, drift_of: Any
) -> None:
    """Three of 24 pictures of one task, each in its way; the others are done, reconcile says why these are not."""
    use_settings(STORAGE_TIMEOUT=LIMIT, THREADS=2)
    images = list(make_product(*(picture(shade(number)) for number in range(24))).images.order_by("pk"))
    queue.take()
    error, hang, half = (images[number] for number in (1, 5, 20))
    start = time.monotonic()
    with erroring(path_of(error)), hanging(path_of(hang)), halved(path_of(half)):
        tasks.index_images("product", [str(image.pk) for image in images])
        assert time.monotonic() - start < 20 * LIMIT
        reasons = waiting()
        assert set(reasons) == {str(image.pk) for image in (error, hang, half)}
        assert "IsADirectoryError" in reasons[str(error.pk)]
        assert reasons[str(hang.pk)] == "The storage did not answer in 1 seconds."
        assert "bytes" in reasons[str(half.pk)]
        assert ImageEmbedding.objects.filter(state="indexed").count() == len(images) - 3
        (retry,) = queue.take()
        assert retry.delay > 0
    upkeep.reconcile("product")  # nothing of it hangs
    tasks.index_images(*retry.args)
    assert_true_rows()


def test_storage_that_hangs_for_all_is_soon_given_up(
    fake_encoder: None, queue: Any, use_settings: Any, db: None
) -> None:
    """As long as twice the limit, and not once for each picture; and reconcile gets past such files, too."""
    use_settings(STORAGE_TIMEOUT=LIMIT, THREADS=2)
    images = list(make_product(*(picture(shade(number)) for number in range(6))).images.order_by("pk"))
    queue.take()
    tasks.index_images("product", [str(image.pk) for image in images])
    with ExitStack() as stack:
        for image in images:
            stack.enter_context(hanging(path_of(image)))
        start = time.monotonic()
        tasks.index_images("product", [str(image.pk) for image in images])
        assert time.monotonic() - start < 6 * LIMIT
        assert len(waiting()) == len(images)
        assert ImageEmbedding.objects.filter(vector__isnull=True).count() == 0, "searches still find them"
        upkeep.reconcile("product")
        (retry,) = queue.take()
    tasks.index_images(*retry.args)
    assert_true_rows()


def test_worker_with_a_read_that_hangs_goes_on_and_ends(
    transactional_db: None, fake_encoder: None, use_settings: Any, log: Path
) -> None:
    """A real cluster: the next pictures are indexed meanwhile, and a stop is not waited for."""
    use_settings(STORAGE_TIMEOUT=LIMIT)
    product = make_product(*(picture(shade(number)) for number in range(6)))
    images = list(product.images.order_by("pk"))
    quick = {"timeout": 60, "retry": 70, "poll": 0.1}
    with hanging(path_of(images[0])), running("qcluster", log=log, Q_CLUSTER=quick) as cluster:
        wait_until(lambda: ImageEmbedding.objects.filter(state="indexed").count() == 5, 90, log)
        wait_until(waiting, 60, log)
        cluster.terminate()
        cluster.wait(30)
    tasks.index_images("product", [str(images[0].pk)])
    assert_true_rows()
