"""``python -m benchmarks.regions [--json] [--quick] [--encoder NAME] [--weights bundled]``: focus, objects, explain."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks import stage
from benchmarks.running import Figures, reported

ENCODERS = ("mobilenet_v2_compact", "mobilenet_v2")


def main() -> int:
    arguments = parsed()
    if arguments.weights == "bundled" or arguments.quick:
        stage.WEIGHTS.pop(arguments.encoder, None)
    about = {"weights": "bundled" if arguments.encoder not in stage.WEIGHTS else "imagenet", "part": arguments.part}

    def measure() -> Figures:
        with stage.stage(arguments.encoder):
            measures = importlib.import_module("benchmarks.measures.regions")
            found: Figures = measures.measure(
                quick=arguments.quick, queries=arguments.queries, part=arguments.part, only=arguments.only
            )
            return about | found

    return reported("regions", arguments.encoder, arguments, measure)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regions")
    parser.add_argument("--json", action="store_true", help="one JSON object; benchmarks/README.md explains its keys")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and bundled weights: shows that it runs")
    parser.add_argument("--encoder", choices=ENCODERS, default=ENCODERS[0])
    parser.add_argument("--weights", choices=("imagenet", "bundled"), default="imagenet")
    parser.add_argument("--queries", type=int, default=300, help="photos with a product; collages are a third of them")
    parser.add_argument(
        "--part", choices=("test", "train"), default="test", help="train: what thresholds are chosen on"
    )
    parser.add_argument("--only", choices=("focus", "things", "clothing"), help="one of the parts")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
