"""The HNSW graphs of pgvector: one partial index for each version, made and dropped without blocking anybody.

Up to 4,000 dimensions a graph holds half-precision vectors. Beyond, it holds one bit for each dimension (pgvector's
binary quantisation, https://github.com/pgvector/pgvector#binary-quantization), and what it finds is ranked again by the
exact distance. A bit says whether the value lies above the version's own mean: features behind a ReLU are never
negative, so that their signs alone would say little.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
from django.db import OperationalError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from visualsearch.conf import conf
from visualsearch.exceptions import StoreError
from visualsearch.locks import Space, advisory_lock, lock_timeout, long_transaction, waited_too_long
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.stores.base import Condition

MAX_DIMENSIONS = 16_000  # of pgvector's types
MAX_HALF_DIMENSIONS = 4_000  # of an HNSW index over halfvec
PATIENCE = 60.0  # seconds that a graph waits for transactions that began before, when it is made and when it is dropped
LARGEST = 30_000  # that halfvec holds
CENTRE_SAMPLE = 2_000  # vectors whose mean the bits are taken against
GRAPH, BITS = "visualsearch_hnsw_", "visualsearch_bits_"
TABLE = ImageEmbedding._meta.db_table


def hnsw_name(index: VisualIndex) -> str:
    """The name of the version's own index in the database."""
    return f"{GRAPH}{index.pk:d}"


def bits_name(index: VisualIndex) -> str:
    """The name of the function that makes bits of the version's vectors."""
    return f"{BITS}{index.pk:d}"


def is_quantised(index: VisualIndex) -> bool:
    """Whether the version's graph holds bits, being too wide for half-precision vectors."""
    return index.dimensions > MAX_HALF_DIMENSIONS


def distance(index: VisualIndex, column: str, query: str) -> str:
    """SQL for the cosine distance, on the very expression that a graph of half-precision vectors holds."""
    return f"({column}::halfvec({index.dimensions:d}) <=> {query})"


def bits_apart(index: VisualIndex, column: str, query: str) -> str:
    """SQL for the number of bits that differ, on the very expression that a graph of bits holds."""
    bits, length = bits_name(index), f"{index.dimensions:d}"
    return f"({bits}({column})::bit({length}) <~> {bits}({query}::vector)::bit({length}))"


def literal(vector: Sequence[float]) -> str:
    """pgvector's notation. Five digits name a half-precision number exactly, and make the statement a third as long as
    ``repr`` does."""
    return "[" + ",".join([f"{value:.5g}" for value in vector]) + "]"


def scaled(vector: Sequence[float]) -> str:
    """The vector's direction in whole numbers up to LARGEST, for cosine distances: it minds no scale (measured: to
    1e-6), and whole numbers take a tenth of the time to write and half the bytes to send."""
    numbers = np.asarray(vector, dtype=np.float32)
    return str(np.rint(numbers * (LARGEST / (np.abs(numbers).max() or 1))).astype(np.int32).tolist())


def build(index: VisualIndex) -> None:
    """Makes the graph, where it is not there or not whole. Another process that makes it is left to it.

    Raises StoreError for more dimensions than pgvector holds, and where a transaction that does not end is in the way.
    """
    if index.dimensions > MAX_DIMENSIONS:
        raise StoreError(
            f"pgvector holds at most {MAX_DIMENSIONS} dimensions; encoder {index.encoder!r} has {index.dimensions}."
        )
    if condition(index) is Condition.READY:
        return
    connection = connections[router.db_for_write(ImageEmbedding)]
    with advisory_lock(connection, Space.GRAPH, index.pk) as ours:
        if not ours or condition(index) is Condition.READY:
            return
        _require_no_long_transaction(connection, index)
        # A concurrent build that was interrupted leaves an invalid index behind under the same name.
        drop(index)
        if connection.in_atomic_block:
            connection.check_constraints()  # foreign keys that wait for the commit would stop the build
        if is_quantised(index):
            _make_bits(connection, index)
        with _patient(connection), connection.cursor() as cursor:
            cursor.execute(
                f"CREATE INDEX {_concurrently(connection)} {hnsw_name(index)} ON {TABLE} USING hnsw ({_held(index)})"
                f" WITH (m = {int(conf.HNSW_M)}, ef_construction = {int(conf.HNSW_EF_CONSTRUCTION)})"
                f" WHERE index_id = {index.pk:d}"
            )


def _require_no_long_transaction(connection: BaseDatabaseWrapper, index: VisualIndex) -> None:
    """Told before the graph is computed, which would be in vain."""
    if not connection.in_atomic_block and (session := long_transaction(connection, PATIENCE)):
        raise StoreError(
            f"The database index of version {index.pk} cannot be made while {session} has a transaction open; end it. "
            "Searches compare every image until then."
        )


@contextlib.contextmanager
def _patient(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """What is done concurrently waits for the transactions of others: PATIENCE seconds, and then StoreError."""
    if connection.in_atomic_block:
        yield
        return
    try:
        with lock_timeout(connection, PATIENCE):
            yield
    except OperationalError as error:
        if not waited_too_long(error):
            raise
        session = long_transaction(connection, PATIENCE) or "somebody"
        raise StoreError(
            f"A database index can neither be made nor dropped while {session} has a transaction open; end it, and try "
            "again."
        ) from error


def _held(index: VisualIndex) -> str:
    if is_quantised(index):
        return f"({bits_name(index)}(vector)::bit({index.dimensions:d})) bit_hamming_ops"
    return f"(vector::halfvec({index.dimensions:d})) halfvec_cosine_ops"


def _make_bits(connection: BaseDatabaseWrapper, index: VisualIndex) -> None:
    """A function that has the mean in it, since an index may look nothing up. Its body is parsed here and now, so that
    a restored dump finds pgvector in whatever schema it is."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT avg(vector)::text FROM (SELECT vector FROM {TABLE} WHERE index_id = %s AND vector IS NOT NULL"
            " LIMIT %s) sample",
            [index.pk, CENTRE_SAMPLE],
        )
        mean = cursor.fetchone()[0] or literal([0.0] * index.dimensions)
        cursor.execute(
            f"CREATE OR REPLACE FUNCTION {bits_name(index)}(embedding vector) RETURNS bit LANGUAGE sql"
            f" IMMUTABLE STRICT PARALLEL SAFE RETURN binary_quantize(embedding - '{mean}'::vector)"
        )


def condition(index: VisualIndex) -> Condition:
    """Whether the graph is there, whole, and of this version's dimensions."""
    with connections[router.db_for_write(ImageEmbedding)].cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid, pg_get_indexdef(indexrelid), EXISTS (SELECT 1 FROM pg_stat_progress_create_index p"
            " WHERE p.index_relid = indexrelid) FROM pg_index WHERE indexrelid = to_regclass(%s)",
            [hnsw_name(index)],
        )
        row = cursor.fetchone()
    if row is None:
        return Condition.MISSING
    is_valid, definition, in_progress = row
    if in_progress:
        return Condition.IN_PROGRESS
    held = f"bit({index.dimensions})" if is_quantised(index) else f"halfvec({index.dimensions})"
    return Condition.READY if is_valid and held in definition else Condition.INVALID


def drop(index: VisualIndex) -> None:
    """Drops the graph, and the function that it may use."""
    connection = connections[router.db_for_write(ImageEmbedding)]
    _drop_graph(connection, hnsw_name(index))
    _drop_bits(connection, bits_name(index))


def _drop_graph(connection: BaseDatabaseWrapper, name: str) -> None:
    with _patient(connection), connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:
            cursor.execute(f"DROP INDEX {_concurrently(connection)} IF EXISTS {connection.ops.quote_name(name)}")


def _drop_bits(connection: BaseDatabaseWrapper, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regproc(%s)", [name])
        if cursor.fetchone()[0] is not None:
            cursor.execute(f"DROP FUNCTION IF EXISTS {connection.ops.quote_name(name)}")


def _concurrently(connection: BaseDatabaseWrapper) -> str:
    return "" if connection.in_atomic_block else "CONCURRENTLY"


def leftovers() -> list[str]:
    """Names of graphs that belong to no version, as after ``flush``, or after a version was deleted by hand."""
    with connections[router.db_for_write(ImageEmbedding)].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = to_regclass(%s) UNION"
            " SELECT proname FROM pg_proc WHERE proname LIKE %s",
            [TABLE, f"{BITS}%"],
        )
        found = [match for (name,) in cursor.fetchall() if (match := re.fullmatch(rf"({GRAPH}|{BITS})(\d+)", name))]
    known = set(VisualIndex.objects.values_list("pk", flat=True))
    return sorted((match[0] for match in found if int(match[2]) not in known), reverse=True)  # graphs before functions


def drop_leftovers() -> list[str]:
    """Drops them, and returns their names."""
    connection, names = connections[router.db_for_write(ImageEmbedding)], leftovers()
    for name in names:
        (_drop_graph if name.startswith(GRAPH) else _drop_bits)(connection, name)
    return names
