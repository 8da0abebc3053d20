"""``python -m benchmarks [--json] [--quick]``, which is ``make bench``: every benchmark, and one table of them all."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.running import ENCODERS, parsed, table


def main() -> int:
    arguments = parsed("all")
    results = {}
    for name in ENCODERS:
        print(f"benchmark: {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(["--quick"] if arguments.quick else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if done.returncode == 0:
            results[name] = json.loads(done.stdout)
    if results:
        print(json.dumps(results) if arguments.json else table(results))
    return 0 if len(results) == len(ENCODERS) else 1


if __name__ == "__main__":
    sys.exit(main())
