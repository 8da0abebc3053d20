"""Every kind of goods that the demo shop sells, by name."""

from __future__ import annotations

from catalog.drawing.kinds import (
    backpack,
    bottle,
    chair,
    cushion,
    handbag,
    headphones,
    lamp,
    mug,
    shirt,
    sneaker,
    vase,
    watch,
)
from catalog.drawing.look import Kind

_ALL = (mug, vase, bottle, lamp, chair, cushion, shirt, sneaker, handbag, backpack, watch, headphones)
KINDS: dict[str, Kind] = {module.KIND.name: module.KIND for module in _ALL}
