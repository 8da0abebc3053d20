"""``python -m benchmarks.options [--json] [--quick] [--encoder NAME]``: what each option does to clothes' results."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from typing import Any

from benchmarks import stage
from benchmarks.running import table

ENCODERS = ("mobilenet_v2_compact", "mobilenet_v2")


def main() -> int:
    arguments = parsed()
    stage.WEIGHTS.pop(arguments.encoder, None)  # the bundled ones, which have a calibration
    about: dict[str, Any] = {
        "benchmark": "options",
        "encoder": arguments.encoder,
        "quick": arguments.quick,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    try:
        with stage.stage(arguments.encoder):
            measures = importlib.import_module("benchmarks.measures.options")
            figures = about | measures.measure(quick=arguments.quick)
    except stage.CannotMeasure as error:
        print(f"benchmark options: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps(figures) if arguments.json else table({"options": figures}))
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.options")
    parser.add_argument("--json", action="store_true", help="one JSON object; benchmarks/README.md explains its keys")
    parser.add_argument("--quick", action="store_true", help="a few pictures: shows that it runs")
    parser.add_argument("--encoder", choices=ENCODERS, default=ENCODERS[0])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
