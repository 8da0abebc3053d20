"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    ADVICE = "advice"  # it works, and would work better
    WRONG = "wrong"
    UNKNOWN = "unknown"  # not looked at, since what it stands on is wrong


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's: what was looked at, how it stands in a sentence, and what to do where it is not OK."""

    check: str
    verdict: Verdict
    said: str
    todo: str = ""
    source: str = ""


def in_words(error: BaseException) -> str:
    """The first line of an error's text with its kind, since other people's errors may have no text."""
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def size(count: float) -> str:
    """A number of bytes (of 1024 x 1024 and so on) as people read it."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1024 or unit == "GB":
            break
        count /= 1024
    return f"{count:.1f}".removesuffix(".0") + f" {unit}" if count < 10 else f"{count:.0f} {unit}"
