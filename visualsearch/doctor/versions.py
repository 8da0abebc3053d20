"""The version in use, and whether the next one can be built in memory."""

from __future__ import annotations

from collections.abc import Iterator

from visualsearch.conf import conf
from visualsearch.doctor.database import used
from visualsearch.doctor.finding import Finding, Verdict, size
from visualsearch.models import VisualIndex, active_index, rows
from visualsearch.sources import ImageSource
from visualsearch.status import SourceStatus, status_of
from visualsearch.stores import Condition, get_store
from visualsearch.stores.graphs import hnsw_name, is_quantised
from visualsearch.stores.pgvector import PgVectorStore

# Bytes of the graph for each image besides its vector, with HNSW_M 16: links, and what is left free on pages of 8 KB.
# Measured at 90,000 images of 1,280 dimensions: 3.9 KB each (docs/scaling.md).
LINKS = 1_400
MEND = "Run: manage.py visualsearch_reconcile --fix"


def version(source: ImageSource) -> Iterator[Finding]:
    """Which one searches use, how far it is, and whether its database index is whole."""
    status, index = status_of(source), active_index(source)
    if index is None:
        verdict = Verdict.WRONG if status.images else Verdict.ADVICE
        said = f"{source}: nothing is indexed yet; the shop has {status.images} images."
        todo = "Run: manage.py visualsearch_reindex" if status.images else "Save a product with an image."
        yield Finding("version", verdict, said, todo, source.name)
        return
    yield _counts(source, status)
    condition = get_store().condition(index)
    name = hnsw_name(index) if isinstance(get_store(), PgVectorStore) else "of the store"
    if condition is Condition.IN_PROGRESS:
        said = f"{source}: the database index {name} is being made; until then each search compares all images."
        yield Finding("version", Verdict.ADVICE, said, "Wait, and look again.", source.name)
    elif condition is not Condition.READY and rows(index, vector__isnull=False).exists():
        said = f"{source}: the database index {name} is {condition}, so each search compares all images."
        yield Finding("version", Verdict.WRONG, said, MEND, source.name)


def _counts(source: ImageSource, status: SourceStatus) -> Finding:
    said = (
        f"{source}: version {status.version} by {status.encoder}: {status.indexed} of {status.images} images indexed, "
        f"{status.pending} waiting, {status.failed} failed."
    )
    if status.paused_since:
        todo = "Resume it in the admin, under visual search."
        return Finding("version", Verdict.ADVICE, f"{said} Indexing is paused.", todo, source.name)
    if status.failed:
        codes = ", ".join(f"{count} {code}" for code, count in sorted(status.failed_by_code.items()))
        todo = f"Failed: {codes}. The admin's page of image embeddings names each, with its reason."
        return Finding("version", Verdict.ADVICE, said, todo, source.name)
    return Finding("version", Verdict.OK, said, "", source.name)


def memory(source: ImageSource) -> Iterator[Finding]:
    """The graph of as many images, built anew, against maintenance_work_mem."""
    index = active_index(source)
    if index is None or not isinstance(get_store(), PgVectorStore):
        return
    count = rows(index, vector__isnull=False).count()
    needed = graph_bytes(index, count)
    with used().cursor() as cursor:
        cursor.execute("SELECT pg_size_bytes(current_setting('maintenance_work_mem'))")
        (allowed,) = cursor.fetchone()
    said = f"{source}: the database index of {count} images needs {size(needed)} of memory while it is built"
    if needed <= allowed:
        yield Finding("memory", Verdict.OK, f"{said}; maintenance_work_mem is {size(allowed)}.", "", source.name)
        return
    megabytes = 64 * (int(needed * 1.25 / 1024**2) // 64 + 1)
    todo = (
        f'Build with more, e.g. PGOPTIONS="-c maintenance_work_mem={megabytes}MB" manage.py visualsearch_index build '
        f"--sync; or for good, as a superuser: ALTER SYSTEM SET maintenance_work_mem = '{megabytes}MB';"
    )
    said = f"{said}, and maintenance_work_mem is {size(allowed)}: building a version will be many times slower."
    yield Finding("memory", Verdict.ADVICE, said, todo, source.name)


def graph_bytes(index: VisualIndex, count: int) -> int:
    """An estimate, for so many images."""
    vector = index.dimensions // 8 if is_quantised(index) else 2 * index.dimensions
    return int(count * (vector + LINKS * conf.HNSW_M / 16))
