"""``python -m benchmarks.reconcile [--json] [--quick]``: time and memory of looking through a whole catalogue."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("reconcile"))
