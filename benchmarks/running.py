"""Runs one benchmark on a stage of its own, and prints what it found."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.stage import CannotMeasure, stage

Figures = dict[str, Any]

# Which encoder each benchmark runs with; --quick takes the one that needs no weights.
ENCODERS = {
    "save": "visualsearch.testing.FakeEncoder",
    "freshness": "mobilenet_v2",
    "index": "mobilenet_v2",
    "query": "mobilenet_v2_compact",
    "versions": "mobilenet_v2",
    "reconcile": "visualsearch.testing.FakeEncoder",
    "duplicates": "mobilenet_v2_compact",
    "http": "mobilenet_v2_compact",
    "encoder": "mobilenet_v2",
    "weights": "mobilenet_v2",
}
NO_DATABASE = {"encoder", "weights"}
QUICK_ENCODER = "visualsearch.testing.FakeEncoder"
BUNDLED = {"http"}  # with the weights of the package, also with --quick: it asks for parts of pictures


def main(name: str) -> int:
    arguments = parsed(name)
    bundled = name in BUNDLED
    encoder = QUICK_ENCODER if arguments.quick and not bundled else ENCODERS[name]

    def measure() -> Figures:
        with stage(encoder, database=name not in NO_DATABASE, bundled=bundled):
            measures = importlib.import_module(f"benchmarks.measures.{name}")
            found: Figures = measures.measure(quick=arguments.quick)
            return found

    return reported(name, encoder, arguments, measure)


def reported(name: str, encoder: str, arguments: argparse.Namespace, measure: Callable[[], Figures]) -> int:
    """Prints what is measured, after what is in all of them. Returns the exit status."""
    about: Figures = {
        "benchmark": name,
        "encoder": encoder.rpartition(".")[2],
        "quick": arguments.quick,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    try:
        figures = about | measure()
    except CannotMeasure as error:
        print(f"benchmark {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps(figures) if arguments.json else table({name: figures}))
    return 0


def parsed(name: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--json", action="store_true", help="one JSON object; benchmarks/README.md explains its keys")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes and no model: shows that it runs, nothing else"
    )
    return parser.parse_args()


def flat(figures: Figures, prefix: str = "") -> dict[str, Any]:
    """Every figure by its full key: ``galleries.0.product_p50_ms``."""
    found: dict[str, Any] = {}
    for key, value in figures.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = {str(number): part for number, part in enumerate(value)}
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def table(results: dict[str, Figures]) -> str:
    rows = [(name, key, str(value)) for name, figures in results.items() for key, value in flat(figures).items()]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{name:{widths[0]}}  {key:{widths[1]}}  {value}" for name, key, value in rows)
