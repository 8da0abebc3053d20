"""The demo shop's shelves: which products there are. Deterministic: the same list every time, everywhere."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal

from catalog.drawing.colour import COMPANIONS, PALETTE
from catalog.drawing.kinds import KINDS
from catalog.drawing.look import Kind, Look
from catalog.drawing.texts import PATTERN_SENTENCES, PATTERN_WORDS, SERIES, TEXTS, Texts

PER_KIND = len(PALETTE)  # each colour once
SOLD_OUT = 0.07  # share of products with no stock


@dataclass(frozen=True)
class Item:
    """One product to seed, and the views of it to draw (indices into its kind's views)."""

    sku: str
    title: str
    kind: str
    category: str
    look: Look
    colour: str
    price: Decimal
    stock: int
    description: str
    views: tuple[int, ...]

    def file_name(self, position: int) -> str:
        return f"products/{self.sku.lower()}-{position + 1}.jpg"


def assortment() -> list[Item]:
    """Every item, kind after kind."""
    return [item for name, kind in KINDS.items() for item in _shelf(name, kind, TEXTS[name])]


def spread(products: int | None) -> list[Item]:
    """So many items, evenly from all kinds; every one where ``products`` is None or more than there are."""
    items = assortment()
    count = len(items) if products is None else min(products, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _shelf(name: str, kind: Kind, texts: Texts) -> list[Item]:
    # random.Random of a string is seeded by SHA-512: the same on every machine, unlike hash().
    chance = random.Random(f"visualsearch demo {name}")  # noqa: S311 - a catalogue, not a secret
    return [_item(name, kind, texts, i, look, chance) for i, look in enumerate(_looks(kind, chance))]


def _looks(kind: Kind, chance: random.Random) -> list[tuple[str, str, str]]:
    """(variant, pattern, colour): each colour once, shapes and patterns about equally often, plain twice as often."""
    colours = list(PALETTE)
    chance.shuffle(colours)
    patterns: list[str] = []
    while len(patterns) < len(colours):
        round_of_all = [*kind.patterns, "plain"]
        chance.shuffle(round_of_all)
        patterns += round_of_all
    variants = (kind.variants[i % len(kind.variants)] for i in range(len(colours)))
    return list(zip(variants, patterns, colours, strict=False))


def _item(name: str, kind: Kind, texts: Texts, i: int, look: tuple[str, str, str], chance: random.Random) -> Item:
    variant, pattern, colour = look
    one, two = COMPANIONS[colour]
    low, high = texts.prices
    price = Decimal(chance.randint(low, high)) + chance.choice((Decimal("0.00"), Decimal("0.50"), Decimal("0.90")))
    stock = 0 if chance.random() < SOLD_OUT else chance.randint(1, 40)
    others = list(range(1, len(kind.views)))
    chance.shuffle(others)
    word = PATTERN_WORDS[pattern]
    series = SERIES[(i * 7 + len(name)) % len(SERIES)]
    sentence = PATTERN_SENTENCES[pattern].format(colour=colour.lower(), Colour=colour)
    return Item(
        sku=f"{texts.code}-{i + 1:03d}",
        title=f"{series} {texts.nouns[variant]}, {colour.lower()}{' ' + word if word else ''}",
        kind=name,
        category=texts.category,
        look=Look(variant, PALETTE[colour], pattern, (PALETTE[one], PALETTE[two])),
        colour=colour,
        price=price,
        stock=stock,
        description=f"{sentence} {texts.material} {texts.care}",
        views=(0, *sorted(others[: chance.choice((0, 1, 1, 2))])),
    )
