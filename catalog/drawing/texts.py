"""What the demo shop says about its goods: names, prices and descriptions for every kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Texts:
    """``prices``: lowest and highest, in the shop's currency. ``nouns``: what each variant is called."""

    category: str
    code: str
    nouns: dict[str, str]
    prices: tuple[int, int]
    material: str
    care: str


SERIES = (
    "Alma", "Birk", "Cora", "Dune", "Edda", "Fjell", "Greta", "Holm", "Ilse", "Juno", "Kaja", "Lund",
    "Mira", "Nour", "Oslo", "Pia", "Rune", "Saga", "Tove", "Ulla", "Vera", "Wilma", "Yara", "Zoe",
)  # fmt: skip

PATTERN_WORDS: dict[str, str] = {
    "plain": "",
    "striped": "striped",
    "breton": "Breton stripe",
    "pinstriped": "pinstriped",
    "dotted": "dotted",
    "checked": "gingham",
    "tartan": "tartan",
    "two-tone": "two-tone",
    "chevron": "zigzag",
    "argyle": "argyle",
    "floral": "flowers",
    "leaf": "leaf print",
    "terrazzo": "terrazzo",
    "triangle": "triangles",
}

PATTERN_SENTENCES: dict[str, str] = {
    "plain": "One quiet colour, {colour}, and nothing else.",
    "striped": "Broad stripes on {colour}.",
    "breton": "Narrow sailor's stripes on {colour}.",
    "pinstriped": "Fine upright stripes on {colour}.",
    "dotted": "Round dots on {colour}, evenly set.",
    "checked": "A classic gingham check over {colour}.",
    "tartan": "A woven tartan over {colour}.",
    "two-tone": "{Colour} with a second colour set against it.",
    "chevron": "A zigzag runs across {colour}.",
    "argyle": "Diamonds in two colours on {colour}.",
    "floral": "Small flowers scattered over {colour}.",
    "leaf": "Printed sprigs on {colour}.",
    "terrazzo": "Speckled like terrazzo, on {colour}.",
    "triangle": "Little triangles in two colours on {colour}.",
}

TEXTS: dict[str, Texts] = {
    "mug": Texts(
        "Mugs", "MUG",
        {"classic": "mug", "tall": "tall mug", "round": "round mug", "tapered": "tapered mug"},
        (12, 26), "Stoneware, thrown and glazed by hand; holds 0.3 l.", "Dishwasher and microwave safe.",
    ),
    "vase": Texts(
        "Vases", "VAS",
        {"bottle": "bottle vase", "amphora": "amphora vase", "globe": "globe vase", "cylinder": "cylinder vase",
         "flared": "flared vase"},
        (24, 79), "Earthenware, watertight, with a felt foot.", "Wipe clean; rinse by hand.",
    ),
    "bottle": Texts(
        "Bottles", "BOT",
        {"slim": "slim bottle", "wide": "wide-neck bottle", "flask": "flask"},
        (19, 42), "Double-walled steel: cold for 24 hours, hot for 12; 0.5 l.", "Rinse by hand; the cap comes apart.",
    ),
    "lamp": Texts(
        "Lamps", "LMP",
        {"drum": "table lamp", "cone": "cone lamp", "dome": "dome lamp", "tripod": "tripod lamp"},
        (59, 149), "Cotton shade on a frame of steel; E27, up to 40 W.", "Dust with a dry cloth.",
    ),
    "shirt": Texts(
        "Shirts", "SHI",
        {"tee": "T-shirt", "long sleeve": "long-sleeved shirt", "polo": "polo shirt", "tank": "tank top"},
        (25, 59), "Organic cotton jersey, 180 g/m².", "Wash at 30 °C with like colours.",
    ),
    "cushion": Texts(
        "Cushions", "CUS",
        {"square": "cushion", "tasselled": "tasselled cushion", "long": "long cushion", "round": "round cushion"},
        (22, 54), "Linen and cotton cover with a hidden zip; feather filling.", "Cover washable at 30 °C.",
    ),
    "handbag": Texts(
        "Handbags", "BAG",
        {"tote": "tote", "satchel": "satchel", "bucket": "bucket bag", "half-moon": "half-moon bag"},
        (79, 189), "Waxed canvas with trim of vegetable-tanned leather.", "Wipe with a damp cloth.",
    ),
    "chair": Texts(
        "Chairs", "CHA",
        {"dining": "dining chair", "shell": "shell chair", "armchair": "armchair", "stool": "stool"},
        (89, 379), "Solid oak, oiled; wool cover.", "Vacuum the cover; oil the wood once a year.",
    ),
    "sneaker": Texts(
        "Sneakers", "SNE",
        {"low": "sneaker", "high-top": "high-top", "slip-on": "slip-on", "runner": "runner"},
        (59, 129), "Cotton canvas on a sole of natural rubber; sizes 36 to 46.", "Brush off when dry.",
    ),
    "backpack": Texts(
        "Backpacks", "PAC",
        {"daypack": "daypack", "flap": "flap backpack", "roll-top": "roll-top backpack", "mini": "mini backpack"},
        (65, 159), "Recycled polyester, padded back, a sleeve for a laptop of 14 inches.", "Wipe with a damp cloth.",
    ),
    "watch": Texts(
        "Watches", "WAT",
        {"round": "watch", "square": "square watch", "diver": "diver's watch", "chronograph": "chronograph"},
        (95, 249), "Quartz movement, mineral glass; 38 mm across.", "Water resistant to 5 bar.",
    ),
    "headphones": Texts(
        "Headphones", "HEA",
        {"over-ear": "over-ear headphones", "on-ear": "on-ear headphones", "studio": "studio headphones",
         "retro": "retro headphones"},
        (49, 219), "Wireless, 30 hours of music, folds flat.", "Ear pads can be replaced.",
    ),
}  # fmt: skip
