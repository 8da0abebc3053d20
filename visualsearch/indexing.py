"""The write path: images of a source -> rows of its live index versions.

Each image goes through the same five steps. (1) Claim: its row is made if it has none, and the row's ``claim`` goes
up by one. (2) Read the file and hash it. (3) Where the hash is the row's own, nothing more is done. (4) Decode and
encode. (5) Write, but only where the row still carries our claim: a try that began later has read a newer file, and a
row that is gone belonged to an image that is gone. So tasks may run twice, late, or at the same time.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from django.db import OperationalError, connections, models, router
from django.db.models.functions import Cast
from django.utils import timezone
from PIL import Image

from visualsearch.conf import conf
from visualsearch.encoders import configured, get_encoder
from visualsearch.encoders.base import Encoder, Vectors
from visualsearch.exceptions import EncoderError, EncoderNotBuilt, FingerprintMismatch, ImageRefused, InvalidWeights
from visualsearch.images import content_hash, open_image, read_whole
from visualsearch.locks import short_transaction, waited_too_long
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.readers import Overdue, Read, Readers, answered
from visualsearch.signals import post_failed, post_indexed
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

logger = logging.getLogger(__name__)

State = ImageEmbedding.State
FILE_MISSING = "file_missing"
STORAGE_ERROR = "storage_error"
BATCHES_A_WRITE = 4  # encoder batches of one transaction: commits and statements cost as much for 8 images as for 32


@dataclass
class Outcome:
    """What became of a number of images. ``retry`` holds the primary keys to try again, by number of tries so far."""

    indexed: int = 0
    unchanged: int = 0
    failed: int = 0
    removed: int = 0
    superseded: int = 0
    retry: dict[int, list[str]] = field(default_factory=dict)

    def __iadd__(self, other: Outcome) -> Outcome:
        for name in ("indexed", "unchanged", "failed", "removed", "superseded"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for attempts, pks in other.retry.items():
            self.retry.setdefault(attempts, []).extend(pks)
        return self

    @property
    def total(self) -> int:
        waiting = sum(map(len, self.retry.values()))
        return self.indexed + self.unchanged + self.failed + self.removed + self.superseded + waiting


@dataclass
class Attempt:
    """One image on its way through the steps."""

    object_id: str
    file: str
    claim: int
    attempts: int
    known_hash: str
    settled: bool  # the row holds the final word (a vector or a refusal) on the file that known_hash names
    hash: str = ""
    picture: Image.Image | None = None
    vector: Vectors | None = None
    code: str = ""
    reason: str = ""


def index_images(index: VisualIndex, source: ImageSource, pks: Iterable[Any], *, force: bool = False) -> Outcome:
    """Brings the rows of these images up to date in one version. Images that are gone lose their row.

    With ``force`` a file that has not changed is embedded again. Raises FingerprintMismatch before anything is written
    if this process's encoder is not the index's own; database errors pass through, and the task may run again.
    """
    encoder = encoder_of(index)
    wanted = [str(pk) for pk in pks]
    attempts, outcome = _claim(index, source, wanted)
    group: list[Attempt] = []
    for batch in _loaded(source, encoder, attempts, force):
        _encode(encoder, batch)
        group += batch
        if len(group) >= encoder.batch_size * BATCHES_A_WRITE:
            outcome += _settle(index, source, group)
            group = []
    if group:
        outcome += _settle(index, source, group)
    return outcome


def encoder_of(index: VisualIndex) -> Encoder:
    """The encoder that made this index: the one of its name or, since only the fingerprint counts, any other that the
    settings name. Raises FingerprintMismatch if all of them have other weights or preprocessing.
    """
    named: Encoder | EncoderError | None = None
    for name in (index.encoder, *configured()):
        try:
            encoder = get_encoder(name)
            if encoder.fingerprint == index.fingerprint:
                return encoder
        except EncoderError as error:  # not built, or not there any more: another may have the same weights
            named = named or error
        else:
            named = named or encoder
    if isinstance(named, EncoderError):
        raise named
    assert named is not None
    raise FingerprintMismatch(
        f"Index version {index.pk} of {index.source!r} holds vectors of {index.encoder} "
        f"{index.fingerprint[:12]}, and this process would make vectors of {named.fingerprint[:12]}."
    )


def forget(source: ImageSource, pks: Sequence[Any]) -> None:
    """Removes images' rows and vectors from every version."""
    store = get_store()
    for index in VisualIndex.objects.of(source):
        store.delete(index, [str(pk) for pk in pks])


def out_of_date(index: VisualIndex, source: ImageSource) -> models.QuerySet[Any]:
    """Images that have no row, a pending one, or one of another file; and those with a row but no file."""
    same = rows(index, object_id=_text(models.OuterRef("pk")))
    current = same.filter(file=models.OuterRef(source.image_field)).exclude(state=State.PENDING)
    has_file = models.Q(pk__in=source.with_file().order_by().values("pk"))
    missing = has_file & ~models.Q(models.Exists(current))
    emptied = ~has_file & models.Q(models.Exists(same))
    return source.images().filter(missing | emptied)


def failed(index: VisualIndex, source: ImageSource) -> models.QuerySet[Any]:
    """Images whose present file failed, each with the row's ``visualsearch_code``."""
    same = rows(index, object_id=_text(models.OuterRef("pk")), state=State.FAILED)
    same = same.filter(file=models.OuterRef(source.image_field))
    images: models.QuerySet[Any] = source.images().filter(models.Exists(same))
    coded: models.QuerySet[Any] = images.annotate(visualsearch_code=models.Subquery(same.values("code")))
    return coded


def _text(expression: Any) -> Cast:
    return Cast(expression, models.CharField())


def _claim(index: VisualIndex, source: ImageSource, pks: Sequence[str]) -> tuple[list[Attempt], Outcome]:
    """Makes missing rows and takes the claim of each.

    Where somebody keeps some of them locked for too long, the others are taken without these, which are tried again.
    """
    try:
        return _claimed(index, source, pks, wait=True)
    except OperationalError as error:
        if not waited_too_long(error) or not conf.RETRY_DELAYS:
            raise
    return _claimed(index, source, pks, wait=False)


def _claimed(
    index: VisualIndex, source: ImageSource, pks: Sequence[str], *, wait: bool
) -> tuple[list[Attempt], Outcome]:
    """The images are read under FOR KEY SHARE, the lock that a foreign key takes: a delete under way is waited for, and
    no row is made for an image that is about to go; ordinary saves are not held up."""
    outcome = Outcome()
    with short_transaction(router.db_for_write(ImageEmbedding)):
        files = locked_files(source, pks, wait=wait)
        there = files.keys() if wait else _with_file(source, pks)
        if gone := [pk for pk in pks if pk not in there]:
            outcome.removed = rows(index, object_id__in=gone).count()
            get_store().delete(index, gone)
        ImageEmbedding.objects.bulk_create(
            [ImageEmbedding(index=index, object_id=pk) for pk in sorted(files)], ignore_conflicts=True
        )
        claimed = rows(index, object_id__in=files).order_by("object_id")
        claimed = claimed.select_for_update(no_key=True, skip_locked=not wait)
        held = list(claimed.defer("vector").annotate(has_vector=models.Q(vector__isnull=False)))
        rows(index, object_id__in=[row.object_id for row in held]).update(
            claim=models.F("claim") + 1, attempts=models.F("attempts") + 1, claimed_at=timezone.now()
        )
    if not wait and (locked := sorted(set(there) - {row.object_id for row in held})):
        logger.warning("%s: %s images are locked by somebody's transaction; tried again later.", source, len(locked))
        outcome.retry[1] = locked
    return [_attempt(row, files[row.object_id]) for row in held], outcome


def _attempt(row: Any, file: str) -> Attempt:
    settled = row.has_vector or (row.state == State.FAILED and row.code not in (FILE_MISSING, STORAGE_ERROR))
    attempts = row.attempts + 1 if row.file == file else 1
    return Attempt(row.object_id, file, row.claim + 1, attempts, row.content_hash, settled)


def locked_files(source: ImageSource, pks: Sequence[str], *, wait: bool = True) -> dict[str, str]:
    """The names of the images' files by primary key, of those that have one, locked until the transaction ends. Without
    ``wait`` those are left out that somebody else has locked.

    Names, not instances: an ImageField with dimension fields may open the file whenever an instance is made.
    """
    if not pks:
        return {}
    found = _named(source, pks)
    sql, params = found.values_list("pk", source.image_field).query.sql_with_params()
    connection = connections[found.db]
    table = connection.ops.quote_name(source.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} FOR KEY SHARE OF {table}{'' if wait else ' SKIP LOCKED'}", params)
        return {str(pk): name for pk, name in cursor.fetchall()}


def _named(source: ImageSource, pks: Sequence[str]) -> models.QuerySet[Any]:
    to_python = source.pk_field.to_python
    return source.with_file().order_by("pk").filter(pk__in=[to_python(pk) for pk in pks])


def _with_file(source: ImageSource, pks: Sequence[str]) -> set[str]:
    return {str(pk) for pk in _named(source, pks).values_list("pk", flat=True)}


def _loaded(source: ImageSource, encoder: Encoder, attempts: list[Attempt], force: bool) -> Iterator[list[Attempt]]:
    """Batches of attempts, read and decoded by threads ahead of the encoder, which runs in the caller's thread.

    Three batches at most are held decoded, so that memory does not grow with the chunk.
    """
    size = encoder.batch_size
    batches = [attempts[start : start + size] for start in range(0, len(attempts), size)]
    ahead: deque[list[tuple[Attempt, Read[Attempt]]]] = deque()
    with Readers(conf.THREADS, conf.STORAGE_TIMEOUT) as readers:
        for batch in batches:
            # Copies, so that a read that comes back after it was given up changes nothing any more.
            ahead.append([(one, readers.submit(partial(_load, source, encoder, replace(one), force))) for one in batch])
            if len(ahead) > 2:
                yield [_result(readers, *begun) for begun in ahead.popleft()]
        while ahead:
            yield [_result(readers, *begun) for begun in ahead.popleft()]


def _result(readers: Readers, attempt: Attempt, read: Read[Attempt]) -> Attempt:
    try:
        return readers.result(read)
    except Overdue as overdue:
        return replace(attempt, code=STORAGE_ERROR, reason=str(overdue))


def _load(source: ImageSource, encoder: Encoder, attempt: Attempt, force: bool) -> Attempt:
    """Reads, hashes and decodes one image; what goes wrong with it is kept in the attempt, not raised."""
    try:
        content = _read(source, attempt)
        answered()
        if content is not None:
            attempt.hash = content_hash(content)
            if force or not attempt.settled or attempt.hash != attempt.known_hash:
                attempt.picture = encoder.prepare(open_image(content))
    except ImageRefused as refusal:
        attempt.code, attempt.reason = refusal.code, str(refusal)
    return attempt


def _read(source: ImageSource, attempt: Attempt) -> bytes | None:
    try:
        with contextlib.closing(source.storage.open(attempt.file, "rb")) as file:
            return read_whole(file)
    except ImageRefused:
        raise
    except FileNotFoundError:
        attempt.code, attempt.reason = FILE_MISSING, f"The storage has no file {attempt.file!r}."
    except Exception as fault:  # a storage may raise anything: its library's own errors, sockets, time-outs
        attempt.code, attempt.reason = STORAGE_ERROR, f"{type(fault).__name__}: {fault}"
    finally:
        connections.close_all()  # a storage that lives in a database opened one for this thread
    return None


def _encode(encoder: Encoder, batch: list[Attempt]) -> None:
    """Vectors in the place of pictures. A picture that the encoder cannot take fails alone.

    Raises EncoderNotBuilt and InvalidWeights, which no picture is to blame for.
    """
    pictured = [attempt for attempt in batch if attempt.picture is not None]
    try:
        vectors = encoder.encode([attempt.picture for attempt in pictured])  # type: ignore[misc]
    except (EncoderNotBuilt, InvalidWeights):
        raise
    except EncoderError as error:
        if len(pictured) > 1:
            for attempt in pictured:
                _encode(encoder, [attempt])
        else:
            pictured[0].code, pictured[0].reason = error.code, str(error)
    else:
        for attempt, vector in zip(pictured, vectors, strict=True):
            attempt.vector = vector
    for attempt in pictured:
        attempt.picture = None  # its memory is wanted for the next ones


def _settle(index: VisualIndex, source: ImageSource, group: list[Attempt]) -> Outcome:
    """Writes all of a group, each image by itself right."""
    outcome = Outcome()
    encoder_of(index)  # weights that were replaced under a running worker: nothing is written of what they made
    with short_transaction(router.db_for_write(ImageEmbedding)):
        held = _still_ours(index, group)
        ours = [attempt for attempt in group if attempt.object_id in held]
        outcome.superseded = len(group) - len(ours)
        outcome.indexed = _write_indexed(index, [attempt for attempt in ours if attempt.vector is not None])
        for attempt in ours:
            if attempt.code:
                _write_refused(index, attempt, outcome)
            elif attempt.vector is None:
                _write_unchanged(index, attempt)
                outcome.unchanged += 1
    _announce(index, source, ours)
    return outcome


def _still_ours(index: VisualIndex, group: list[Attempt]) -> set[str]:
    claims = {attempt.object_id: attempt.claim for attempt in group}
    locked = rows(index, object_id__in=claims).order_by("object_id").select_for_update(no_key=True)
    return {pk for pk, claim in locked.values_list("object_id", "claim") if claim == claims[pk]}


def _write_indexed(index: VisualIndex, attempts: list[Attempt]) -> int:
    if not attempts:
        return 0
    now = timezone.now()
    # All rows exist and are locked, so this updates each with its own values, at a tenth of what CASE WHEN costs.
    ImageEmbedding.objects.bulk_create(
        [
            ImageEmbedding(
                index=index,
                object_id=attempt.object_id,
                state=State.INDEXED,
                file=attempt.file,
                content_hash=attempt.hash,
                indexed_at=now,
            )
            for attempt in attempts
        ],
        update_conflicts=True,
        unique_fields=["index", "object_id"],
        update_fields=["state", "file", "content_hash", "indexed_at", "code", "reason", "attempts"],
    )
    vectors = np.stack([attempt.vector for attempt in attempts])  # type: ignore[misc]
    get_store().upsert(index, [attempt.object_id for attempt in attempts], vectors)
    return len(attempts)


def _write_unchanged(index: VisualIndex, attempt: Attempt) -> None:
    """The row's vector, or its refusal, is still the last word on this file; a new name is noted."""
    row = rows(index, object_id=attempt.object_id)
    row.filter(vector__isnull=False).update(state=State.INDEXED, file=attempt.file, code="", reason="", attempts=0)
    row.filter(vector__isnull=True).update(state=State.FAILED, file=attempt.file, attempts=max(1, attempt.attempts - 1))


def _write_refused(index: VisualIndex, attempt: Attempt, outcome: Outcome) -> None:
    """A storage fault keeps the vector and is tried again; a refused or missing file takes the vector with it."""
    fault = attempt.code == STORAGE_ERROR
    retry = fault and attempt.attempts <= len(conf.RETRY_DELAYS)
    changes: dict[str, Any] = {} if fault else {"vector": None, "indexed_at": None, "content_hash": attempt.hash}
    rows(index, object_id=attempt.object_id).update(
        state=State.PENDING if retry else State.FAILED,
        code=attempt.code,
        reason=attempt.reason,
        attempts=attempt.attempts,
        file=attempt.file,
        **changes,
    )
    if retry:
        outcome.retry.setdefault(attempt.attempts, []).append(attempt.object_id)
    else:
        outcome.failed += 1
        logger.warning("%s %s: %s", index.source, attempt.object_id, attempt.reason)


def _announce(index: VisualIndex, source: ImageSource, group: list[Attempt]) -> None:
    for attempt in group:
        about: dict[str, Any] = {"source": source, "index": index, "object_id": attempt.object_id}
        if attempt.vector is not None:
            post_indexed.send_robust(sender=source.model, **about)
        elif attempt.code:
            post_failed.send_robust(sender=source.model, code=attempt.code, reason=attempt.reason, **about)
