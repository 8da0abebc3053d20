"""``python -m benchmarks.freshness [--json] [--quick]``: how long after its commit an image is found."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("freshness"))
