"""Vectors of a version whose encoder is another one with a head, computed from that one's stored vectors.

No picture is read. A row takes the file and the content hash of the row that it is computed from, and only where that
one was settled, of the image's present file, and no try of it was under way; all others are left for a build to read.
A try that begins later claims the row like any other and wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import models, router, transaction
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
    while held := _next(index, base, last):
        last = held[-1][0]
        done.computed += _write(index, source, head, held)
        report(len(held))
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
        state=State.INDEXED,
        attempts=0,
    )
    with transaction.atomic(using=router.db_for_write(ImageEmbedding)):
        computed = rows(index, claim=0).order_by("object_id").select_for_update(no_key=True)
        stale = list(computed.exclude(models.Exists(same)).values_list("object_id", flat=True))
        get_store().delete(index, stale)
    return len(stale)


def _next(index: VisualIndex, base: VisualIndex, after: str) -> list[tuple[str, str, str, Any]]:
    """Object id, file, content hash and vector of the next rows of ``base`` that ``index`` has no row for."""
    known = rows(index, object_id=models.OuterRef("object_id"))
    settled = rows(base, object_id__gt=after, state=State.INDEXED, attempts=0, vector__isnull=False)
    wanted = settled.exclude(models.Exists(known)).order_by("object_id")
    return list(wanted.values_list("object_id", "file", "content_hash", "vector")[:CHUNK])


def _write(index: VisualIndex, source: ImageSource, head: Head, held: list[tuple[str, str, str, Any]]) -> int:
    """Rows and vectors of those whose image still has that file. Returns their number.

    The images are locked as for a claim, so that no row is made for one that is about to go.
    """
    now = timezone.now()
    with transaction.atomic(using=router.db_for_write(ImageEmbedding)):
        files = locked_files(source, [pk for pk, *_ in held])
        current = [row for row in held if files.get(row[0]) == row[1]]
        ImageEmbedding.objects.bulk_create(
            [
                ImageEmbedding(
                    index=index, object_id=pk, state=State.INDEXED, file=file, content_hash=content, indexed_at=now
                )
                for pk, file, content, _ in current
            ],
            ignore_conflicts=True,
        )
        # A row that somebody claimed in the meantime is theirs.
        ours = rows(index, object_id__in=[pk for pk, *_ in current], claim=0, vector__isnull=True)
        free = set(ours.select_for_update(no_key=True).order_by("object_id").values_list("object_id", flat=True))
        mine = [row for row in current if row[0] in free]
        if mine:
            vectors = np.stack([np.asarray(vector, dtype=np.float32) for *_, vector in mine])
            get_store().upsert(index, [pk for pk, *_ in mine], head.apply(vectors))
    return len(mine)
