"""``python -m benchmarks.weights [--json] [--quick]``: weights in half a file or a quarter: speed and what is found."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("weights"))
