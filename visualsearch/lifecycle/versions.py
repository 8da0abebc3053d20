"""Which versions a source has, how the first and the next come to be, and who may change them now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import IntegrityError, connections, router, transaction
from django.utils import timezone

from visualsearch.conf import conf
from visualsearch.encoders import get_encoder
from visualsearch.exceptions import AnotherOperator, VersionRefused
from visualsearch.locks import Space, advisory_lock, holder, number_of
from visualsearch.models import VisualIndex, active_index
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

State = VisualIndex.State


def encoder_name(source: ImageSource) -> str:
    """The encoder that this source's versions are made with, where nobody names another."""
    return str(conf.SOURCE_ENCODERS.get(source.name, conf.ENCODER))


def ensure_active(source: ImageSource) -> VisualIndex:
    """The source's active version, made with its encoder if there is none yet."""
    if index := active_index(source):
        return index
    try:
        with transaction.atomic(using=router.db_for_write(VisualIndex)):
            return _new_version(source, encoder_name(source), State.ACTIVE)
    except IntegrityError:  # another worker was first; the constraint lets one version be active
        return VisualIndex.objects.of(source).active().get()


def begin(source: ImageSource, encoder: str | None = None) -> VisualIndex:
    """A version of this encoder that is being built: one that was begun before, or a new one.

    Raises EncoderError for a name that is none, AnotherOperator.
    """
    name = encoder or encoder_name(source)
    fingerprint = get_encoder(name).fingerprint
    with operating(source, "build"):
        begun = VisualIndex.objects.of(source).filter(state=State.BUILDING, fingerprint=fingerprint).first()
        return begun or _new_version(source, name, State.BUILDING)


def version(source: ImageSource, number: int | None = None, *states: str) -> VisualIndex:
    """The version of this number or, without one, the newest of these states. Raises VersionRefused."""
    versions = VisualIndex.objects.of(source).order_by("-pk")
    if number is None:
        if found := versions.filter(state__in=states).first():
            return found
        kinds = " or ".join(State(state).value for state in states)
        raise VersionRefused(f"Source {source.name!r} has no version that is {kinds}.")
    if found := versions.filter(pk=number).first():
        return found
    known = ", ".join(str(pk) for pk in versions.values_list("pk", flat=True)) or "none"
    raise VersionRefused(f"Source {source.name!r} has no version {number}; its versions: {known}.")


@contextlib.contextmanager
def operating(source: ImageSource, action: str) -> Iterator[None]:
    """Keeps others from changing the source's versions. Raises AnotherOperator, which says who does so now."""
    with _locked(Space.SOURCE, number_of(source.name), f"{source.name}: cannot {action}, since its versions are"):
        yield


@contextlib.contextmanager
def filling(index: VisualIndex) -> Iterator[None]:
    """Keeps others from building this version or throwing it away. Raises AnotherOperator."""
    with _locked(Space.ROWS, index.pk, f"Version {index.pk} of {index.source} is"):
        yield


@contextlib.contextmanager
def _locked(space: Space, number: int, what: str) -> Iterator[None]:
    connection = connections[router.db_for_write(VisualIndex)]
    with advisory_lock(connection, space, number) as ours:
        if not ours:
            raise AnotherOperator(
                f"{what} being changed by somebody else ({holder(connection, space, number)}); try again when they "
                "are done."
            )
        yield


def _new_version(source: ImageSource, name: str, state: str) -> VisualIndex:
    encoder = get_encoder(name)
    index = VisualIndex.objects.create(
        source=source.name,
        encoder=name,
        fingerprint=encoder.fingerprint,
        dimensions=encoder.dimensions,
        state=state,
        activated_at=timezone.now() if state == State.ACTIVE else None,
        calibration=_kept_calibration(source, encoder.fingerprint),
    )
    # After ``flush`` numbers begin anew, and a graph of this one may still stand, perhaps of other dimensions.
    get_store().drop(index)
    return index


def _kept_calibration(source: ImageSource, fingerprint: str) -> Any:
    """What staff fitted to the active version, where a new one has the same vectors."""
    same = VisualIndex.objects.of(source).active().filter(fingerprint=fingerprint)
    return same.values_list("calibration", flat=True).first()
