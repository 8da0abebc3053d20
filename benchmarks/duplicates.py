"""``python -m benchmarks.duplicates [--json] [--quick]``: near-duplicates by the index, against comparing all pairs."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("duplicates"))
