"""The shop's palette, and mixing of colours. Colours are sRGB triples of 0 to 255."""

from __future__ import annotations

Colour = tuple[int, int, int]

PALETTE: dict[str, Colour] = {
    "Ivory": (240, 231, 214),
    "Sand": (214, 193, 160),
    "Camel": (183, 138, 92),
    "Chocolate": (94, 64, 50),
    "Terracotta": (196, 100, 70),
    "Coral": (238, 128, 108),
    "Blush": (232, 186, 178),
    "Berry": (150, 46, 80),
    "Red": (190, 48, 46),
    "Mustard": (217, 164, 56),
    "Lemon": (240, 214, 104),
    "Sage": (160, 178, 146),
    "Olive": (120, 122, 70),
    "Forest": (46, 88, 68),
    "Teal": (40, 128, 132),
    "Sky": (142, 186, 214),
    "Denim": (76, 112, 158),
    "Navy": (38, 54, 92),
    "Lilac": (178, 160, 206),
    "Plum": (96, 62, 106),
    "Grey": (158, 160, 162),
    "Charcoal": (62, 66, 72),
    "Black": (34, 34, 38),
    "White": (246, 246, 244),
}

WHITE: Colour = (255, 255, 255)
INK: Colour = (26, 22, 34)  # shadows lean towards violet, as they do under warm light
CREAM: Colour = (248, 242, 230)
OAK: Colour = (206, 164, 116)
WALNUT: Colour = (128, 86, 58)
BRASS: Colour = (204, 164, 92)
STEEL: Colour = (196, 200, 206)
LEATHER: Colour = (158, 100, 62)

# What a pattern is drawn with on a ground of each colour: two companions, the stronger contrast first.
COMPANIONS: dict[str, tuple[str, str]] = {
    "Ivory": ("Terracotta", "Sage"),
    "Sand": ("Chocolate", "Ivory"),
    "Camel": ("Ivory", "Navy"),
    "Chocolate": ("Sand", "Terracotta"),
    "Terracotta": ("Ivory", "Navy"),
    "Coral": ("White", "Berry"),
    "Blush": ("Berry", "White"),
    "Berry": ("Blush", "Mustard"),
    "Red": ("White", "Navy"),
    "Mustard": ("White", "Charcoal"),
    "Lemon": ("Teal", "White"),
    "Sage": ("White", "Forest"),
    "Olive": ("Ivory", "Mustard"),
    "Forest": ("Sage", "Ivory"),
    "Teal": ("Ivory", "Coral"),
    "Sky": ("White", "Navy"),
    "Denim": ("White", "Mustard"),
    "Navy": ("White", "Coral"),
    "Lilac": ("White", "Plum"),
    "Plum": ("Lilac", "Blush"),
    "Grey": ("White", "Charcoal"),
    "Charcoal": ("Grey", "Mustard"),
    "Black": ("White", "Grey"),
    "White": ("Navy", "Coral"),
}


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """``one`` with ``share`` (0 to 1) of ``other`` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def lighter(colour: Colour, share: float) -> Colour:
    return mix(colour, WHITE, share)


def darker(colour: Colour, share: float) -> Colour:
    return mix(colour, INK, share)


def luminance(colour: Colour) -> float:
    """Relative brightness, 0 (black) to 1 (white), by the weights of ITU-R BT.601."""
    red, green, blue = colour
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255
