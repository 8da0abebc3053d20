"""manage.py catalog_seed"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from catalog import seeding
from catalog.drawing.assortment import spread


class Command(BaseCommand):
    help = (
        "Fills the shop with drawn goods, the same every time. Products that are there (by SKU) are left as they are, "
        "pictures whose files are gone are drawn again and queued. New pictures are not queued one by one: "
        "run visualsearch_reindex --missing afterwards."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--clear", action="store_true", help="first delete the seeded products and their pictures")
        parser.add_argument(
            "--products", type=int, metavar="N", help="only so many, of all kinds; by default every one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["products"] is not None and options["products"] < 1:
            raise CommandError("--products is a number from 1 on.")
        if options["clear"]:
            self.stdout.write(f"{seeding.clear()} seeded products deleted.")
        items = spread(options["products"])
        counts = seeding.Seeded()
        with tqdm(total=len(items), unit="product", desc="drawing", disable=not sys.stderr.isatty()) as bar:
            for counts in seeding.seed(items):
                bar.update(counts.products + counts.kept - bar.n)
        self.stdout.write(_sentence(counts))


def _sentence(counts: seeding.Seeded) -> str:
    if not counts.products and not counts.redrawn:
        return f"Nothing to do: all {counts.kept} products are there."
    parts = [f"{counts.products} products made, {counts.pictures} pictures drawn"] if counts.products else []
    if counts.redrawn:
        parts.append(f"{counts.redrawn} missing pictures drawn again")
    if counts.kept:
        parts.append(f"{counts.kept} products were there")
    return f"{'; '.join(parts)}."
