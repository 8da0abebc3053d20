"""Settings and registered sources: the app's own system checks."""

from __future__ import annotations

from collections.abc import Iterator

from visualsearch.checks import check_configuration
from visualsearch.doctor.finding import Finding, Verdict
from visualsearch.sources import all_sources

SAID_BY_OTHERS = {"visualsearch.W003"}  # the encoder has a line of its own


def configuration() -> Iterator[Finding]:
    """Errors are wrong, warnings are advice; what SILENCED_SYSTEM_CHECKS names is neither."""
    messages = [one for one in check_configuration() if not one.is_silenced() and one.id not in SAID_BY_OTHERS]
    for message in messages:
        verdict = Verdict.WRONG if message.is_serious() else Verdict.ADVICE
        yield Finding("settings", verdict, f"{message.msg} ({message.id})", message.hint or "")
    if not messages:
        names = ", ".join(source.name for source in all_sources()) or "none"
        yield Finding("settings", Verdict.OK, f"Django's checks find nothing wrong; sources: {names}.")
