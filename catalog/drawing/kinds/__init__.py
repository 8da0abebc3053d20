"""Every kind of goods that the demo shop sells, by name."""

from __future__ import annotations

from catalog.drawing.kinds import bottle, cushion, handbag, lamp, mug, shirt, vase
from catalog.drawing.look import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (mug.KIND, vase.KIND, bottle.KIND, lamp.KIND, shirt.KIND, cushion.KIND, handbag.KIND)
}
