"""``python -m benchmarks.regions [--json] [--quick] [--encoder NAME] [--weights bundled]``: focus, objects, explain."""

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
    if arguments.weights == "bundled" or arguments.quick:
        stage.WEIGHTS.pop(arguments.encoder, None)
    about: dict[str, Any] = {
        "benchmark": "regions",
        "encoder": arguments.encoder,
        "quick": arguments.quick,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "weights": "bundled" if arguments.encoder not in stage.WEIGHTS else "imagenet",
        "part": arguments.part,
    }
    try:
        with stage.stage(arguments.encoder):
            measures = importlib.import_module("benchmarks.measures.regions")
            figures = about | measures.measure(
                quick=arguments.quick, queries=arguments.queries, part=arguments.part, only=arguments.only
            )
    except stage.CannotMeasure as error:
        print(f"benchmark regions: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps(figures) if arguments.json else table({"regions": figures}))
    return 0


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
