"""All checks in their order, from what everything stands on upward; none of them may end the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from visualsearch.doctor import database, encoders, files, plans, queue, versions
from visualsearch.doctor.configuration import configuration
from visualsearch.doctor.finding import Finding, Verdict, in_words
from visualsearch.sources import ImageSource

Check = Callable[[], Iterator[Finding]]
SourceCheck = Callable[[ImageSource], Iterator[Finding]]

# On these stands everything that comes after them.
GROUND: dict[str, Check] = {
    "settings": configuration,
    "database": database.server,
    "extension": database.extension,
    "tables": database.tables,
}
OF_SOURCES: dict[str, SourceCheck] = {
    "version": versions.version,
    "search": plans.search,
    "memory": versions.memory,
    "storage": files.storage,
    "encoder": encoders.encoder,
}
UNREADABLE = "(visualsearch.E001)"  # the check of a VISUALSEARCH setting that cannot be read at all


def examine(sources: Sequence[ImageSource], wait: float) -> Iterator[Finding]:
    """Looks at everything, and gives each finding as soon as there is one. ``wait`` is how many seconds a task of the
    queue may take. Never raises: what cannot be looked at is a finding too."""
    broken = ""
    for name, check in GROUND.items():
        if broken:
            yield _unknown(name, broken)
            continue
        for finding in _tried(name, check):
            yield finding
            if finding.verdict is Verdict.WRONG and (name != "settings" or UNREADABLE in finding.said):
                broken = name
    if not sources and not broken:
        todo = "Call visualsearch.register() in your app's ready(), and have the app in INSTALLED_APPS."
        yield Finding("sources", Verdict.WRONG, "No source is registered, so there is nothing to search.", todo)
    for source in sources:
        for name, look in OF_SOURCES.items():
            if broken:
                yield _unknown(name, broken, source.name)
            else:
                yield from _tried(name, lambda look=look, source=source: look(source), source.name)  # type: ignore[misc]
    for name, check in {"queue": lambda: queue.queue(wait), "reconcile": queue.reconcile}.items():
        if broken:
            yield _unknown(name, broken)
        else:
            yield from _tried(name, check)


def _tried(name: str, check: Check, source: str = "") -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:  # the shop's own code, its storage and its queue may raise anything
        said = f"This could not be looked at: {in_words(error)}."
        yield Finding(name, Verdict.WRONG, said, f"See docs/doctor.md, {name}.", source)


def _unknown(name: str, broken: str, source: str = "") -> Finding:
    return Finding(name, Verdict.UNKNOWN, f"Not looked at, since the line '{broken}' is wrong.", "", source)
