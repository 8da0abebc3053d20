"""``python -m benchmarks.index [--json] [--quick]``: images a second, against the encoder alone."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("index"))
