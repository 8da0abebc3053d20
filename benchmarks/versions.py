"""``python -m benchmarks.versions [--json] [--quick]``: what customers notice while a shop changes its encoder."""

from __future__ import annotations

import sys

from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main("versions"))
