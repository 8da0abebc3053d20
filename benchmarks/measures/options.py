"""What like, unlike, diversity, group_by, fold, guess and min_score do to results: clothes of the test part searched in
those of the training part, by the search itself. A result is right where it is of the query's class."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.gallery import Vectors, fill
from benchmarks.stage import pictures, say
from catalog.models import Category, Product, ProductImage
from visualsearch import search_by_image
from visualsearch.conf import conf
from visualsearch.encoders import Encoder, get_encoder
from visualsearch.images import open_image
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.search import Results
from visualsearch.search.sameness import measure as measure_sameness
from visualsearch.search.tokens import signed
from visualsearch.sources import get_source
from visualsearch.stores import get_store
from visualsearch.stores.vectors import vectors_of

PAGE = 10
DIVERSITIES = (0.2, 0.4, 0.6)
GROUPS = 3
SHARES = (0.9, 0.6, 0.0)  # of the neighbours that agree on a guess: lower ends of three ranges
SCORES = (25, 50, 75, 90)
COPIES = 20  # every so manieth product of the gallery gets a copy
QUALITY = 70  # of the copies' JPEG


class Asked(NamedTuple):
    """A query: its vector, of this index version, and the class of its picture."""

    index: VisualIndex
    vector: Vectors
    kind: str


Search = Callable[..., Results]


def measure(*, quick: bool) -> dict[str, Any]:
    encoder = get_encoder()
    gallery = pictures("clothing/train")[:: 60 if quick else 1]
    test = pictures("clothing/test")[:: 30 if quick else 1]
    say(f"gallery of {len(gallery)}")
    vectors = encoded(encoder, [path.read_bytes() for path in gallery])
    index = fill(get_source("product"), encoder, conf.ENCODER, vectors)
    kinds = classes(gallery)
    measure_sameness(index)
    index.refresh_from_db()
    asked = [
        Asked(index, vector, path.parent.name)
        for path, vector in zip(test, encoded(encoder, [path.read_bytes() for path in test]), strict=True)
    ]
    figures: dict[str, Any] = {"gallery": len(gallery), "queries": len(asked)}
    for part in (feedback, diversity, groups, guesses, scores):
        say(part.__name__)
        figures |= part(asked, kinds)
    say("fold")
    return figures | fold(encoder, index, [path.read_bytes() for path in gallery[::COPIES]], vectors[::COPIES], asked)


def encoded(encoder: Encoder, contents: Sequence[bytes]) -> Vectors:
    return np.concatenate([encoder.encode([open_image(content)]) for content in contents])


def classes(gallery: Sequence[Any]) -> dict[Any, str]:
    """Puts each product into the category of its folder. Returns the class by product."""
    numbers = list(Product.objects.order_by("pk").values_list("pk", flat=True))
    kinds = {number: path.parent.name for number, path in zip(numbers, gallery, strict=True)}
    for kind in sorted(set(kinds.values())):
        category = Category.objects.create(name=kind, slug=kind)
        Product.objects.filter(pk__in=[number for number in kinds if kinds[number] == kind]).update(category=category)
    return kinds


def search(query: Asked, **options: Any) -> Results:
    """By a token of this moment: on a busy machine the whole takes longer than one is good for."""
    return search_by_image(None, options.pop("limit", PAGE), query=signed(query.index, query.vector), **options)


def right(found: Sequence[Any], kinds: dict[Any, str], kind: str) -> list[bool]:
    return [kinds[match.product.pk] == kind for match in found]


def mean(values: Sequence[Any]) -> float | None:
    return round(float(np.mean(values)), 3) if len(values) else None


def feedback(asked: Sequence[Asked], kinds: dict[Any, str]) -> dict[str, Any]:
    """A customer marks the first right result, the first wrong one, or both of the first page; then the page is judged
    beside that of the plain search without what was marked, so that both are of products that nobody has judged."""
    gains: dict[str, list[tuple[float, float]]] = {"like": [], "unlike": [], "both": []}
    first, ten = [], []
    for query in asked:
        plain = search(query, limit=PAGE + 2)
        good = right(plain, kinds, query.kind)
        first.append(good[0])
        ten.append(np.mean(good[:PAGE]))
        if all(good[:PAGE]) or not any(good[:PAGE]):
            continue
        liked, unliked = plain[good.index(True)].product.pk, plain[good.index(False)].product.pk
        ways: dict[str, dict[str, Any]] = {
            "like": {"like": [liked]},
            "unlike": {"unlike": [unliked]},
            "both": {"like": [liked], "unlike": [unliked]},
        }
        for name, given in ways.items():
            marked = [key for keys in given.values() for key in keys]
            left = [match for match in plain if match.product.pk not in marked][:PAGE]
            after = right(search(query, **given), kinds, query.kind)
            gains[name].append((float(np.mean(right(left, kinds, query.kind))), float(np.mean(after))))
    figures: dict[str, Any] = {"plain_p_1": mean(first), "plain_p_10": mean(ten), "marked_queries": len(gains["both"])}
    for name, pairs in gains.items():
        before, after = zip(*pairs, strict=True) if pairs else ((), ())
        worse = [later < earlier for earlier, later in pairs]
        figures |= {f"{name}_plain_p_10": mean(before), f"{name}_p_10": mean(after), f"{name}_worse": mean(worse)}
    return figures


def diversity(asked: Sequence[Asked], kinds: dict[Any, str]) -> dict[str, Any]:
    """Precision that is paid, and what it buys: how far the ten are from each other, and how many classes they show."""
    index = VisualIndex.objects.get()
    rows = []
    for share in (0.0, *DIVERSITIES):
        good, spread, shown = [], [], []
        for query in asked:
            found = search(query, diversity=share)
            good.append(np.mean(right(found, kinds, query.kind)))
            shown.append(len({kinds[match.product.pk] for match in found}))
            vectors = np.stack(list(vectors_of(index, [str(match.image.pk) for match in found]).values()))
            apart = 1 - vectors @ vectors.T
            spread.append(apart.sum() / max(1, len(found) * (len(found) - 1)))
        rows.append({"diversity": share, "p_10": mean(good), "apart": mean(spread), "classes": mean(shown)})
    return {"diversities": rows}


def groups(asked: Sequence[Asked], kinds: dict[Any, str]) -> dict[str, Any]:
    """Whether the right class is among the first three groups, and among the first three plain results."""
    grouped, plain, single = [], [], []
    for query in asked:
        found = search(query, group_by="category")
        grouped.append(any(right(found[:GROUPS], kinds, query.kind)))
        plain.append(any(right(search(query, limit=GROUPS), kinds, query.kind)))
        single.append(len(found))
    return {"group_hit_3": mean(grouped), "plain_hit_3": mean(plain), "groups_a_page": mean(single)}


def guesses(asked: Sequence[Asked], kinds: dict[Any, str]) -> dict[str, Any]:
    """How often the guess of the category is right, over all queries and by the share of the neighbours that agree."""
    told = []
    for query in asked:
        found = search(query, limit=1, guess=["category"])
        guess = (found.guess or {})["category"]
        assert guess is not None
        told.append((guess.value == query.kind, guess.share))
    figures: dict[str, Any] = {"guess_right": mean([good for good, _ in told])}
    rows = []
    for number, least in enumerate(SHARES):
        most = SHARES[number - 1] if number else 2.0
        inside = [good for good, share in told if least <= share < most]
        rows.append(
            {"share_from": least, "of_queries": mean([least <= s < most for _, s in told]), "right": mean(inside)}
        )
    return figures | {"guesses": rows}


def scores(asked: Sequence[Asked], kinds: dict[Any, str]) -> dict[str, Any]:
    """Of the first ten: how many pass, how many of these are right, and how many queries keep none."""
    pages = [(query, search(query, min_score=0)) for query in asked]
    rows = []
    for least in SCORES:
        passing = [(query, [match for match in found if (match.score or 0) >= least]) for query, found in pages]
        good = [one for query, found in passing for one in right(found, kinds, query.kind)]
        rows.append(
            {
                "min_score": least,
                "passing": mean([len(found) / PAGE for _, found in passing]),
                "right": mean(good),
                "empty": mean([not found for _, found in passing]),
            }
        )
    return {"min_scores": rows}


def fold(
    encoder: Encoder, index: VisualIndex, contents: Sequence[bytes], originals: Vectors, asked: Sequence[Asked]
) -> dict[str, Any]:
    """Some products get a copy, the same picture saved again as a JPEG of less quality: how many of the copies stand
    beside their original, and how many other products are folded away."""
    copies = _copied(encoder, index, contents)
    index.refresh_from_db()
    within = measure_sameness(index)["within"]
    owners = dict(zip(copies, ProductImage.objects.order_by("pk")[: len(copies) * COPIES : COPIES], strict=True))
    twins = {image.product_id: copy for copy, image in owners.items()}
    twins |= {copy: original for original, copy in twins.items()}
    beside: dict[bool, list[bool]] = {False: [], True: []}
    for vector in originals:
        query = Asked(index, vector, "")
        for folding, found in beside.items():
            shown = [match.product.pk for match in search(query, fold=folding)]
            found.append(any(twins.get(key) in shown for key in shown[:1]))
    others = []
    for query in asked:
        for match in search(query, fold=True):
            others.append((match.folded or 0) - (match.product.pk in twins and bool(match.folded)))
    return {
        "copies": len(copies),
        "same_within": round(within, 4),
        "copies_beside_plain": mean(beside[False]),
        "copies_beside_folded": mean(beside[True]),
        "others_folded": round(float(np.sum(others)) / len(asked), 3),
    }


def _copied(encoder: Encoder, index: VisualIndex, contents: Sequence[bytes]) -> list[Any]:
    """Products with the same pictures of less quality. Returns their keys."""
    category = Category.objects.order_by("pk")[0]
    made = Product.objects.bulk_create(
        [Product(title=f"Copy {n}", sku=f"K{n}", price=1, stock=1, category=category) for n in range(len(contents))]
    )
    images = ProductImage.objects.bulk_create(
        [ProductImage(product=one, image=f"gallery/{one.sku}.jpg", width=224, height=224) for one in made]
    )
    keys = [str(image.pk) for image in images]
    ImageEmbedding.objects.bulk_create(
        [ImageEmbedding(index=index, object_id=key, state="indexed", file="x.jpg") for key in keys]
    )
    get_store().upsert(index, keys, encoded(encoder, list(_saved_again(contents))))
    return [one.pk for one in made]


def _saved_again(contents: Sequence[bytes]) -> Iterator[bytes]:
    for content in contents:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(content)).convert("RGB").save(buffer, "JPEG", quality=QUALITY)
        yield buffer.getvalue()
