"""``python -m benchmarks.save [--json] [--quick]``: what a save costs with visualsearch and without it."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("save"))
