"""Vectors of a version whose encoder is another one with a head, computed from that one's stored vectors.

No picture is read. A row takes the file and the content hash of the row that it is computed from, and only where that
one was settled, of the image's present file, and no try of it was under way; all others are left for a build to read.
A try that begins later claims the row like any other and wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connections, models, router, transaction
from django.utils import timezone

from visualsearch.encoders.head import Head
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.exceptions import FingerprintMismatch
from visualsearch.indexing import encoder_of, locked_files
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

CHUNK = 1000  # rows of one transaction: 5 MB of vectors
State = ImageEmbedding.State
# A row whose vector is the last word on its file, and that no try is under way of.
SETTLED: dict[str, Any] = {"state": State.INDEXED, "attempts": 0, "vector__isnull": False}


@dataclass
class Projected:
    """``computed`` rows got their vector from another version's; ``left`` of that version's rows are to be read."""

    base: VisualIndex
    computed: int = 0
    left: int = 0


def head_of(index: VisualIndex) -> Head | None:
    """The head of the encoder that makes this version; None for one that has none, or whose network changed as well.

    Raises FingerprintMismatch and EncoderError as ``encoder_of`` does.
    """
    encoder = encoder_of(index)
    finetuned = encoder.file.finetuned if isinstance(encoder, MobileNetV2) else None
    return finetuned.head if finetuned else None


def base_of(index: VisualIndex, source: ImageSource) -> VisualIndex | None:
    """The version whose vectors this one's can be computed from: of its head's base, the active one first."""
    head = head_of(index)
    if head is None:
        return None
    versions = VisualIndex.objects.of(source).filter(fingerprint=head.base).exclude(pk=index.pk)
    return min(versions, key=lambda version: (version.state != VisualIndex.State.ACTIVE, -version.pk), default=None)


def project(
    index: VisualIndex, source: ImageSource, base: VisualIndex, report: Callable[[int], None] = lambda count: None
) -> Projected:
    """Computes what ``index`` lacks from the vectors of ``base``. Taken up again, it goes on where it stopped.

    Raises FingerprintMismatch where the encoder of ``index`` is not that of ``base`` with a head.
    """
    head = head_of(index)
    if head is None or head.base != base.fingerprint:
        made_for = f"has a head for vectors of {head.base[:12]}" if head else "has no head"
        raise FingerprintMismatch(
            f"The encoder of version {index.pk}, {index.encoder}, {made_for}; version {base.pk} of {base.source!r} "
            f"holds vectors of {base.encoder} {base.fingerprint[:12]}."
        )
    done, last = Projected(base), ""
    while wanted := _next(index, base, last):
        last = wanted[-1]
        done.computed += _write(index, base, source, head, wanted)
        report(len(wanted))
    done.computed -= recheck(index, base)
    done.left = source.with_file().count() - rows(index, vector__isnull=False).count()
    return done


def recheck(index: VisualIndex, base: VisualIndex) -> int:
    """Removes the rows of ``index`` that were computed from rows of ``base`` that are no longer the same.

    A task that listed the versions before ``index`` was made may write a changed picture to ``base`` alone. Its claim
    shows from when it begins to read; so this is done again when nothing but activating is left. Returns their number.
    """
    same = rows(
        base,
        object_id=models.OuterRef("object_id"),
        file=models.OuterRef("file"),
        content_hash=models.OuterRef("content_hash"),
        **SETTLED,
    )
    with transaction.atomic(using=router.db_for_write(ImageEmbedding)):
        computed = rows(index, claim=0).order_by("object_id").select_for_update(no_key=True)
        stale = list(computed.exclude(models.Exists(same)).values_list("object_id", flat=True))
        get_store().delete(index, stale)
    return len(stale)


def _next(index: VisualIndex, base: VisualIndex, after: str) -> list[str]:
    """Object ids of the next rows of ``base`` that ``index`` has no row for."""
    known = rows(index, object_id=models.OuterRef("object_id"))
    wanted = rows(base, object_id__gt=after, **SETTLED).exclude(models.Exists(known)).order_by("object_id")
    return list(wanted.values_list("object_id", flat=True)[:CHUNK])


def _write(index: VisualIndex, base: VisualIndex, source: ImageSource, head: Head, wanted: list[str]) -> int:
    """Rows and vectors of those whose image still has the file of the row of ``base``. Returns their number.

    The images are locked as for a claim, so that no row is made for one that is about to go; the rows of ``base``, so
    that file, content hash and vector are of one another.
    """
    store = get_store()
    with transaction.atomic(using=router.db_for_write(ImageEmbedding)):
        files = locked_files(source, wanted)
        settled = rows(base, object_id__in=wanted, **SETTLED).order_by("object_id").select_for_update(no_key=True)
        held = settled.values_list("object_id", "file", "content_hash")
        mine = _inserted(index, [row for row in held if files.get(row[0]) == row[1]])
        store.upsert(index, mine, head.apply(store.vectors(base, mine)))
    return len(mine)


def _inserted(index: VisualIndex, held: list[tuple[str, str, str]]) -> list[str]:
    """Makes a row for each object id, file and content hash; returns the ids of those that had none before.

    A row that somebody claimed in the meantime is theirs. One statement, since that says which were made; with
    ``bulk_create`` writing them took longer than all the rest.
    """
    if not held:
        return []
    connection = connections[router.db_for_write(ImageEmbedding)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {connection.ops.quote_name(ImageEmbedding._meta.db_table)}"  # noqa: S608 - a name, quoted
            " (index_id, state, code, reason, attempts, claim, indexed_at, object_id, file, content_hash)"
            " SELECT %s, %s, '', '', 0, 0, %s, * FROM unnest(%s::text[], %s::text[], %s::text[])"
            " ON CONFLICT DO NOTHING RETURNING object_id",
            [index.pk, State.INDEXED.value, timezone.now(), *(list(column) for column in zip(*held, strict=True))],
        )
        return [pk for (pk,) in cursor.fetchall()]
