"""``python -m benchmarks.query [--json] [--quick]``: searches, filtered and not: time, recall and plan."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("query"))
