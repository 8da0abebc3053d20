"""`python -m visualsearch.contrib.training`: the same command without a Django project."""

from __future__ import annotations

import argparse
import sys

from visualsearch.exceptions import VisualSearchError

from .options import Options, add_arguments, distil


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="visualsearch_distil", description=distil.__doc__)
    add_arguments(parser)
    try:
        weights = distil(Options.read(vars(parser.parse_args())), say)
    except VisualSearchError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    say(str(weights))
    return 0


if __name__ == "__main__":
    sys.exit(main())
