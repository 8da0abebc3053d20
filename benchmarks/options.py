"""``python -m benchmarks.options [--json] [--quick] [--encoder NAME]``: what each option does to clothes' results."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks import stage
from benchmarks.running import Figures, reported

ENCODERS = ("mobilenet_v2_compact", "mobilenet_v2")


def main() -> int:
    arguments = parsed()
    stage.WEIGHTS.pop(arguments.encoder, None)  # the bundled ones, which have a calibration

    def measure() -> Figures:
        with stage.stage(arguments.encoder):
            measures = importlib.import_module("benchmarks.measures.options")
            found: Figures = measures.measure(quick=arguments.quick)
            return found

    return reported("options", arguments.encoder, arguments, measure)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.options")
    parser.add_argument("--json", action="store_true", help="one JSON object; benchmarks/README.md explains its keys")
    parser.add_argument("--quick", action="store_true", help="a few pictures: shows that it runs")
    parser.add_argument("--encoder", choices=ENCODERS, default=ENCODERS[0])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
