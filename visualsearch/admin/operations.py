"""What staff can set going on the dashboard: each with a permission of its own, a question, and what it then does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import router, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from visualsearch import indexing, lifecycle, pausing, tasks, upkeep
from visualsearch.admin import forms
from visualsearch.conf import conf
from visualsearch.exceptions import VersionRefused
from visualsearch.models import ImageEmbedding, VisualIndex, active_index
from visualsearch.sources import ImageSource
from visualsearch.status import SourceStatus
from visualsearch.stores import Condition

State = VisualIndex.State
# Queries that a version is verified with while somebody waits for the page: with 100,000 pictures exact search takes a
# tenth of a second for each. The command asks more.
SAMPLE = 20


@dataclass(frozen=True)
class Situation:
    """A source as it is: what decides which operations make sense now."""

    source: ImageSource
    status: SourceStatus
    versions: list[lifecycle.Listed]

    @classmethod
    def of(cls, source: ImageSource, status: SourceStatus) -> Situation:
        return cls(source, status, lifecycle.listed(source))

    def of_state(self, *states: str) -> list[lifecycle.Listed]:
        return [version for version in self.versions if version.state in states]


@dataclass(frozen=True)
class Operation:
    """``perform`` does it with the form's values and returns the sentence that the user and the history are told.

    It raises VisualSearchError where it is refused, and whatever a queue raises that cannot be reached.
    """

    name: str
    permission: str
    label: Any
    question: Any
    perform: Callable[[ImageSource, dict[str, Any]], str]
    makes_sense: Callable[[Situation], bool] = lambda situation: True
    form: type[forms.OperationForm] = forms.OperationForm
    leading: bool = False  # the one that the situation asks for


def _queued(count: int) -> str:
    if not count:
        return _("There is no image to index.")
    text = ngettext("%(count)d image is queued to be indexed.", "%(count)d images are queued to be indexed.", count)
    return text % {"count": count}


@contextmanager
def _all_or_none() -> Iterator[None]:
    with transaction.atomic(using=router.db_for_write(ImageEmbedding)):
        yield


def _retry(source: ImageSource, given: dict[str, Any]) -> str:
    index = lifecycle.ensure_active(source)
    pks = list(indexing.failed(index, source).order_by("pk").values_list("pk", flat=True))
    with _all_or_none():
        return _queued(tasks.enqueue_images(source.name, pks, force=True))


def _reindex(source: ImageSource, given: dict[str, Any]) -> str:
    with _all_or_none():
        if given["scope"] == forms.MISSING:
            return _queued(upkeep.catch_up(source))
        pks = source.with_file().order_by("pk").values_list("pk", flat=True)
        return _queued(tasks.enqueue_images(source.name, pks.iterator(chunk_size=conf.CHUNK), force=True))


def _pause(source: ImageSource, given: dict[str, Any]) -> str:
    if not pausing.pause(source):
        raise VersionRefused(_("It is paused already."))
    return _("Indexing is paused; what is saved meanwhile waits.")


def _resume(source: ImageSource, given: dict[str, Any]) -> str:
    images = upkeep.resume(source)
    if images is None:
        raise VersionRefused(_("It is not paused."))
    return _("Indexing goes on. %(queued)s") % {"queued": _queued(images) if images else ""}


def _build(source: ImageSource, given: dict[str, Any]) -> str:
    index = lifecycle.begin(source, given["encoder"])
    upkeep.queue_build(index, given["rate"])
    return _("Version %(version)d (%(encoder)s) is being built by the queue.") % {
        "version": index.pk,
        "encoder": index.encoder,
    }


@contextmanager
def _as_shown(source: ImageSource, given: dict[str, Any], action: str) -> Iterator[None]:
    """Refuses what was decided in view of another version in use. The lock is the session's: inside it is had again."""
    with lifecycle.operating(source, action):
        active = active_index(source)
        if (active.pk if active else None) != given["active"]:
            raise VersionRefused(
                _("Somebody else has changed the version in use meanwhile: it is %(version)s now. Nothing was done.")
                % {"version": active.pk if active else "-"}
            )
        yield


def _activate(source: ImageSource, given: dict[str, Any]) -> str:
    with _as_shown(source, given, "activate"):
        switch, queued = upkeep.activate(source, lifecycle.version(source, given["version"]), sample=SAMPLE)
    return _switched(switch, queued)


def _roll_back(source: ImageSource, given: dict[str, Any]) -> str:
    with _as_shown(source, given, "roll back"):
        switch, queued = upkeep.rollback(source)
    return _switched(switch, queued)


def _switched(switch: lifecycle.Switch, queued: int) -> str:
    said = _("Searches use version %(version)s instead of %(before)s.") % {
        "version": switch.version,
        "before": switch.before or "-",
    }
    return f"{said} {_queued(queued)}" if queued else said


def _prune(source: ImageSource, given: dict[str, Any]) -> str:
    upkeep.queue_prune(source, given["version"])
    if given["version"] is None:
        return _("The queue throws unused versions away.")
    return _("The queue throws version %(version)d away.") % {"version": given["version"]}


def _can_roll_back(situation: Situation) -> bool:
    return any(version.activated_at for version in situation.of_state(State.RETIRED))


OPERATIONS = (
    Operation(
        "retry",
        "retry",
        gettext_lazy("Retry failed"),
        gettext_lazy("Images that failed are queued to be tried again, also where their file has not changed."),
        _retry,
        lambda situation: bool(situation.status.failed),
    ),
    Operation(
        "pause",
        "pause",
        gettext_lazy("Pause"),
        gettext_lazy(
            "Workers finish the task at hand and then index nothing more. Searches go on. Images that are saved "
            "meanwhile wait until indexing is resumed; none is lost."
        ),
        _pause,
        lambda situation: situation.status.paused_since is None,
    ),
    Operation(
        "resume",
        "pause",
        gettext_lazy("Resume"),
        gettext_lazy("Workers go on with what was queued before and during the pause."),
        _resume,
        lambda situation: situation.status.paused_since is not None,
        leading=True,
    ),
    Operation(
        "reindex",
        "reindex",
        gettext_lazy("Reindex"),
        gettext_lazy("Images are queued to be indexed in the version in use and in those being built."),
        _reindex,
        form=forms.ReindexForm,
    ),
    Operation(
        "build",
        "build",
        gettext_lazy("Build a version"),
        gettext_lazy(
            "A new version is built by the queue beside the one in use, which searches go on with. A version of this "
            "encoder that was begun before is gone on with."
        ),
        _build,
        form=forms.BuildForm,
    ),
    Operation(
        "activate",
        "activate",
        gettext_lazy("Activate"),
        gettext_lazy(
            "The version is verified, which may take some seconds, and searches then use it. The one in use now is "
            "kept, so that you can roll back."
        ),
        _activate,
        lambda situation: any(version.graph == Condition.READY for version in situation.of_state(State.BUILDING)),
        form=forms.ActivateForm,
        leading=True,
    ),
    Operation(
        "rollback",
        "activate",
        gettext_lazy("Roll back"),
        gettext_lazy("Searches use the version that was in use before, at once."),
        _roll_back,
        _can_roll_back,
        form=forms.SwitchForm,
    ),
    Operation(
        "prune",
        "prune",
        gettext_lazy("Throw versions away"),
        gettext_lazy("Vectors and database index go for good; the images stay. The version in use cannot be chosen."),
        _prune,
        lambda situation: bool(situation.of_state(State.RETIRED, State.BUILDING)),
        form=forms.PruneForm,
    ),
)
