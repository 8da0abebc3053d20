"""Drift that is found image by image: what its file is now, against what its rows say of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connections, models
from django.utils import timezone

from visualsearch.conf import conf
from visualsearch.drift.finding import Drift, Kind
from visualsearch.exceptions import ImageRefused
from visualsearch.images import content_hash, read_whole
from visualsearch.indexing import FILE_MISSING, STORAGE_ERROR
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.readers import Overdue, Readers
from visualsearch.sources import ImageSource

STEP = 1_000  # images of one statement
PATIENCE = 600  # seconds after which a try that has not ended is taken for lost, or a retry that was due

MISSING, REFUSED, UNREADABLE = "missing", "refused", "unreadable"  # in the place of a hash, which is longer

State = ImageEmbedding.State


@dataclass(frozen=True)
class Step:
    """``images`` were looked at, up to the key ``last``; None where there is none after it."""

    drift: list[Drift]
    images: int
    last: str | None


@dataclass(frozen=True)
class _Seen:
    """A file now: its hash, or one of the words above, and what the storage said."""

    hash: str
    said: str = ""


def step(source: ImageSource, after: str | None = None, since: datetime | None = None, size: int = STEP) -> Step:
    """Looks at the next ``size`` images in the order of their keys.

    Their files are read and hashed; with ``since`` only those that the storage says were modified since then, where it
    can say so.
    """
    images = source.with_file().order_by("pk")
    if after is not None:
        images = images.filter(pk__gt=source.pk_field.to_python(after))
    files = {str(pk): file for pk, file in images.values_list("pk", source.image_field)[:size]}
    if not files:
        return Step([], 0, None)
    versions = {index.pk: index for index in VisualIndex.objects.of(source).live()}
    by_image: dict[str, dict[int, Any]] = {key: {} for key in files}
    found = ImageEmbedding.objects.filter(index_id__in=versions, object_id__in=files).defer("vector")
    for row in found.annotate(has_vector=models.Q(vector__isnull=False)):
        by_image[row.object_id][row.index_id] = row
    drift = [case for key, file in files.items() for case in _rows(source, versions, key, file, by_image[key])]
    settled = {key: [row for row in own.values() if _is_settled(row, files[key])] for key, own in by_image.items()}
    names = {key: file for key, file in files.items() if settled[key]}
    for key, seen in _looked_at(source, names, since):
        drift += (case for row in settled[key] for case in _file(source, row, seen))
    return Step(drift, len(files), list(files)[-1])


def _rows(
    source: ImageSource, versions: dict[int, VisualIndex], key: str, file: str, own: dict[int, Any]
) -> Iterator[Drift]:
    if not any(index.state == VisualIndex.State.ACTIVE for index in versions.values()):
        yield Drift(Kind.IMAGE_WITHOUT_ROW, source.name, None, key)
    for number, index in versions.items():
        row = own.get(number)
        if row is None:
            if index.state == VisualIndex.State.ACTIVE:  # others get theirs when they are built
                yield Drift(Kind.IMAGE_WITHOUT_ROW, source.name, number, key)
        elif row.state == State.PENDING:
            if _is_stuck(row):
                yield Drift(Kind.STUCK_PENDING, source.name, number, key, f"{row.attempts} tries {row.reason}".strip())
        elif row.file != file:
            yield Drift(Kind.FILE_REPLACED, source.name, number, key, f"{row.file} by {file}")
        elif row.state == State.INDEXED and not row.has_vector:
            yield Drift(Kind.VECTOR_MISSING, source.name, number, key)


def _is_stuck(row: Any) -> bool:
    """Nobody is at it, and no retry is to come."""
    delays = conf.RETRY_DELAYS
    delay = delays[min(row.attempts, len(delays)) - 1] if row.code == STORAGE_ERROR and delays else 0
    now, patience = timezone.now(), timedelta(seconds=PATIENCE + delay)
    # One that will begin is of before the clock was set back.
    return bool(row.claimed_at is None or not now - patience <= row.claimed_at <= now + patience)


def _is_settled(row: Any, file: str) -> bool:
    return bool(row.file == file and (row.state == State.FAILED or (row.state == State.INDEXED and row.has_vector)))


def _file(source: ImageSource, row: Any, seen: _Seen) -> Iterator[Drift]:
    about = (source.name, row.index_id, row.object_id)
    unread = row.state == State.FAILED and row.code in (FILE_MISSING, STORAGE_ERROR)
    if seen.hash == UNREADABLE:
        yield Drift(Kind.FILE_UNREADABLE, *about, seen.said)
    elif seen.hash == MISSING:
        if not unread:
            yield Drift(Kind.FILE_MISSING, *about, row.file)
    elif unread:
        yield Drift(Kind.FILE_BACK, *about, row.file)
    elif seen.hash != (row.content_hash or REFUSED):  # what is refused before it is read whole has no hash
        yield Drift(Kind.FILE_CHANGED, *about, row.file)


def _looked_at(source: ImageSource, names: dict[str, str], since: datetime | None) -> Iterator[tuple[str, _Seen]]:
    """Files as they are now, read by a few threads that keep nothing but the hash."""
    with Readers(conf.THREADS, conf.STORAGE_TIMEOUT) as readers:
        reads = [readers.submit(partial(_look, source, name, since)) for name in names.values()]
        for key, read in zip(names, reads, strict=True):
            try:
                found = readers.result(read)
            except Overdue as overdue:
                found = _Seen(UNREADABLE, str(overdue))
            if found is not None:
                yield key, found


def _look(source: ImageSource, name: str, since: datetime | None) -> _Seen | None:
    """None for a file that has not been modified since then."""
    storage = source.storage
    try:
        if since is not None:
            with contextlib.suppress(NotImplementedError):
                modified = storage.get_modified_time(name)
                if (modified if timezone.is_aware(modified) else timezone.make_aware(modified)) < since:
                    return None
        with contextlib.closing(storage.open(name, "rb")) as file:
            return _Seen(content_hash(read_whole(file)))
    except ImageRefused:
        return _Seen(REFUSED)
    except FileNotFoundError:
        return _Seen(MISSING)
    except Exception as fault:  # a storage may raise anything: its library's own errors, sockets, time-outs
        return _Seen(UNREADABLE, f"{type(fault).__name__}: {fault}")
    finally:
        connections.close_all()  # a storage that lives in a database opened one for this thread


def keys(drift: Sequence[Drift]) -> list[str]:
    """The images' keys, each once."""
    return list(dict.fromkeys(case.object_id for case in drift))
