"""Django's debug pages show settings, code and data to everybody who can reach them: for this machine alone."""

from __future__ import annotations

from collections.abc import Sequence

LOCAL = {"localhost", "127.0.0.1", "[::1]"}


def refuse_strangers(debug: bool, hosts: Sequence[str], *, told: bool) -> None:
    """Ends the process, with what to do, where DEBUG is on and the shop answers to names of other machines."""
    if debug and not told and (others := sorted(set(hosts) - LOCAL)):
        raise SystemExit(
            f"DEBUG=1 shows settings and code to everybody, and ALLOWED_HOSTS names {', '.join(others)}: "
            "run without DEBUG, take those out, or set DEBUG_ANYWHERE=1 if you mean it."
        )
