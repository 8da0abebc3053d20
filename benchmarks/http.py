"""``python -m benchmarks.http [--json] [--quick]``: the API over HTTP, as a shop's page and a mobile app use it."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("http"))
