"""manage.py catalog_seed"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from catalog import seeding
from catalog.drawing.assortment import assortment


class Command(BaseCommand):
    help = (
        "Fills the shop with drawn goods, the same every time. Products that are there (by SKU) are left as they are, "
        "pictures whose files are gone are drawn again and queued. New pictures are not queued one by one: "
        "run visualsearch_reindex --missing afterwards."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--clear", action="store_true", help="first delete the seeded products and their pictures")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["clear"]:
            self.stdout.write(f"{seeding.clear()} seeded products deleted.")
        total = len(assortment())
        counts = seeding.Seeded()
        with tqdm(total=total, unit="product", desc="drawing", disable=not sys.stderr.isatty()) as bar:
            for counts in seeding.seed():
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
