"""``python -m benchmarks.encoder [--json] [--quick]``: LiteRT against other runtimes, each in its own process."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("encoder"))
