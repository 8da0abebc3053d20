"""Goods in photos: is the same product found, by the whole photo, by its true box, by ``focus``, by ``objects``?

Products are pasted into photos; products and photos of the two parts, train and test, are different ones.
"""

from __future__ import annotations

import io
import time
from typing import Any, NamedTuple

import numpy as np
from django.core.management import call_command
from PIL import Image

from benchmarks.gallery import Vectors, fill
from benchmarks.pasting import Box, cut_out, enlarged, pasted
from benchmarks.stage import milliseconds, percentile, pictures, say
from catalog.models import ProductImage
from visualsearch.conf import conf
from visualsearch.encoders import Encoder, get_encoder
from visualsearch.images import open_image
from visualsearch.models import VisualIndex
from visualsearch.regions import centroids
from visualsearch.regions.explain import explain
from visualsearch.regions.focus import cropped, find_focus
from visualsearch.regions.looking import SIDE
from visualsearch.regions.things import find_things
from visualsearch.regions.windows import Part, overlap
from visualsearch.sources import get_source
from visualsearch.stores import get_store
from visualsearch.stores.together import nearest_of_each

EVERY = 3  # of the catalogue's pictures are the gallery: 3,195
PART = 0.39  # of the photo's shorter side is the product's longer one
ENLARGED = 574  # pixels of the shorter side at which a product of 224 keeps its own
FIRST = 10
SEEDS = {"train": 1, "test": 2}
NONE = 0.1  # of intersection over union with any product: below, a box is of none
TIMED = 40


class Pasted(NamedTuple):
    photo: Image.Image
    numbers: list[int]  # of the products in the gallery
    boxes: list[Box]


def measure(*, quick: bool, queries: int, part: str, only: str | None) -> dict[str, Any]:
    encoder = get_encoder()
    paths = pictures("catalogue")[:: 120 if quick else EVERY]
    count = 6 if quick else queries
    figures: dict[str, Any] = {}
    if only in (None, "focus", "things"):
        say(f"gallery of {len(paths)}")
        index = _filled(encoder, encoded(encoder, paths))
        try:
            if only != "things":
                for name, shorter in (("photo", 0), ("large", ENLARGED)):
                    say(f"{count} products in photos, {name}")
                    figures |= focus(encoder, index, photos(paths, count, part, shorter), name)
                figures |= times(encoder, index, photos(paths, min(count, TIMED), part, ENLARGED))
            if only != "focus":
                say("collages")
                figures |= things(encoder, index, collages(paths, max(2, count // 3), part))
        finally:
            _emptied(index)
    if only in (None, "clothing"):
        say("clothing")
        figures |= clothing(encoder, part, quick=quick)
    return figures


def encoded(encoder: Encoder, paths: list[Any]) -> Vectors:
    return np.concatenate([encoder.encode([open_image(path.read_bytes())]) for path in paths])


def _filled(encoder: Encoder, vectors: Vectors) -> VisualIndex:
    centroids.forget()
    return fill(get_source("product"), encoder, conf.ENCODER, vectors)


def _emptied(index: VisualIndex) -> None:
    get_store().drop(index)
    call_command("flush", verbosity=0, interactive=False)


def _drawn(paths: list[Any], part: str) -> tuple[np.random.Generator, list[int], list[Any]]:
    """Products and photos of this part, in an order of its own."""
    split, generator = np.random.default_rng(0), np.random.default_rng(SEEDS[part])
    numbers, grounds = split.permutation(len(paths)), pictures("photos")
    mixed = [grounds[place] for place in split.permutation(len(grounds))]
    half = len(numbers) // 2
    mine = numbers[:half] if part == "train" else numbers[half:]
    return generator, generator.permutation(mine).tolist(), mixed[:400] if part == "train" else mixed[400:]


def photos(paths: list[Any], count: int, part: str, shorter: int) -> list[Pasted]:
    """A product each, mirrored, cut out and pasted into a photo, of its own pixels or enlarged to ``shorter``."""
    generator, numbers, grounds = _drawn(paths, part)
    made: list[Pasted] = []
    for number in numbers:
        product = _mirrored(paths[number])
        if product is None:
            continue
        ground = Image.open(grounds[generator.integers(len(grounds))]).convert("RGB")
        photo, boxes = pasted(generator, [product], enlarged(ground, shorter) if shorter else ground, PART)
        made.append(Pasted(photo, [number], boxes))
        if len(made) == count:
            break
    return made


def collages(paths: list[Any], count: int, part: str) -> list[Pasted]:
    """Two to four products each on an enlarged photo."""
    generator, numbers, grounds = _drawn(paths, part)
    goods = ((number, product) for number in numbers if (product := _mirrored(paths[number])))
    made = []
    for _ in range(count):
        chosen = [next(goods, None) for _ in range(int(generator.integers(2, 5)))]
        if None in chosen:
            break
        ground = Image.open(grounds[generator.integers(len(grounds))]).convert("RGB")
        photo, boxes = pasted(generator, [one[1] for one in chosen if one], enlarged(ground, ENLARGED), PART)
        if len(boxes) == len(chosen):
            made.append(Pasted(photo, [one[0] for one in chosen if one], boxes))
    return made


def _mirrored(path: Any) -> Image.Image | None:
    return cut_out(Image.open(path).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def focus(encoder: Encoder, index: VisualIndex, queries: list[Pasted], name: str) -> dict[str, Any]:
    """Share of photos with the same product among the first 10: by the whole, by the true box, by the subject."""
    first = ProductImage.objects.earliest("pk").pk
    hits: dict[str, list[bool]] = {"whole": [], "true_box": [], "focus": []}
    boxed, overlaps = [], []
    for photo, (number,), (box,) in queries:
        found = find_focus(encoder, index, photo, ProductImage.objects.all())
        vectors = [*encoder.encode([photo, cropped(photo, Part(*box))]), found.vector]
        near = nearest_of_each(index, np.stack(vectors), ProductImage.objects.all(), FIRST)
        for kind, rows in zip(hits, near, strict=True):
            hits[kind].append(first + number in [row.image for row in rows])
        boxed.append(found.box is not None)
        overlaps.append(overlap(np.array(box), np.array([found.box]))[0] if found.box else 0.0)
    shares = {f"{name}_{kind}_hit_10": round(float(np.mean(values)), 3) for kind, values in hits.items()}
    return shares | {
        f"{name}_boxed": round(float(np.mean(boxed)), 3),
        f"{name}_box_overlap": round(float(np.mean(overlaps)), 3),
    }


def times(encoder: Encoder, index: VisualIndex, queries: list[Pasted]) -> dict[str, Any]:
    """Each from the photo's bytes to its page, in turns."""
    seconds: dict[str, list[float]] = {"plain": [], "focus": [], "things": [], "explain": []}
    everything = ProductImage.objects.all()
    off = 0.0
    for turn, query in enumerate(queries):
        buffer = io.BytesIO()
        query.photo.save(buffer, "JPEG", quality=90)
        content = buffer.getvalue()
        for name in seconds:
            start = time.perf_counter()
            picture = open_image(content, side=SIDE if name in ("focus", "things") else 224)
            if name == "things":
                find_things(encoder, index, picture, everything, product="product")
            elif name == "explain":
                (vector,) = encoder.encode([query.photo])
                off = max(
                    off, abs(explain(encoder, vector, picture).similarity - vector @ encoder.encode([picture])[0])
                )
            else:
                focused = name == "focus"
                vector = (
                    find_focus(encoder, index, picture, everything).vector if focused else encoder.encode([picture])[0]
                )
                get_store().search(index, vector.tolist(), everything, FIRST, distinct="product")
            if turn:  # the first warms up: interpreters are loaded, centroids made
                seconds[name].append(time.perf_counter() - start)
    p50 = {name: milliseconds(percentile(values, 50)) for name, values in seconds.items()}
    return {f"{name}_p50_ms": value for name, value in p50.items() if name != "explain"} | {
        "focus_added_ms": round(p50["focus"] - p50["plain"], 2),
        "focus_vs_plain": round(p50["focus"] / p50["plain"], 2),
        "things_added_ms": round(p50["things"] - p50["plain"], 2),
        "explain_largest_difference": float(f"{off:.1e}"),
    }


def things(encoder: Encoder, index: VisualIndex, queries: list[Pasted]) -> dict[str, Any]:
    """Of the products in collages: found by their own box; of the boxes: those that are of no product."""
    first = ProductImage.objects.earliest("pk").pk
    boxed, found, none, count = [], [], [], []
    for photo, numbers, boxes in queries:
        seen = find_things(encoder, index, photo, ProductImage.objects.all(), product="product")
        vectors = np.stack([thing.vector for thing in seen])
        near = nearest_of_each(index, vectors, ProductImage.objects.all(), FIRST, distinct="product")
        places = np.array([thing.box for thing in seen])
        best = np.stack([overlap(np.array(box), places) for box in boxes])  # (products, things)
        for number, row in zip(numbers, best, strict=True):
            boxed.append(row.max() >= NONE)
            own = [images for images, part in zip(near, row, strict=True) if part >= NONE]
            found.append(any(first + number in [one.image for one in images] for images in own))
        none += (best.max(axis=0) < NONE).tolist()
        count.append(len(seen))
    return {
        "collages": len(queries),
        "things_boxed": round(float(np.mean(boxed)), 3),
        "things_found_10": round(float(np.mean(found)), 3),
        "things_boxes": round(float(np.mean(count)), 2),
        "things_none": round(float(np.mean(none)), 3),
    }


def clothing(encoder: Encoder, part: str, *, quick: bool) -> dict[str, Any]:
    """P@1 of clothes against clothing/train, photos of one thing each; a training picture is not its own answer."""
    gallery = pictures("clothing/train")[:: 60 if quick else 1]
    asked = (
        gallery[:: max(1, len(gallery) // 250)] if part == "train" else pictures("clothing/test")[:: 40 if quick else 1]
    )
    index = _filled(encoder, encoded(encoder, gallery))
    first = ProductImage.objects.earliest("pk").pk
    hits: dict[str, list[bool]] = {"plain": [], "focus": []}
    boxed = []
    try:
        for path in asked:
            picture = open_image(path.read_bytes(), side=SIDE)
            own = first + gallery.index(path) if part == "train" else None
            eligible = ProductImage.objects.exclude(pk=own) if own else ProductImage.objects.all()
            found = find_focus(encoder, index, picture, eligible)
            vectors = np.stack([encoder.encode([picture])[0], found.vector])
            for kind, near in zip(hits, nearest_of_each(index, vectors, eligible, 1), strict=True):
                hits[kind].append(gallery[near[0].image - first].parent.name == path.parent.name)
            boxed.append(found.box is not None)
    finally:
        _emptied(index)
    shares = {f"clothing_{kind}_p_1": round(float(np.mean(values)), 4) for kind, values in hits.items()}
    return {"clothing_queries": len(asked)} | shares | {"clothing_boxed": round(float(np.mean(boxed)), 3)}
