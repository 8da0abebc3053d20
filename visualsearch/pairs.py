"""The shop's own pairs of images, for calibrating scores: what its searches show, of the same kind as the query or not.

The probability that is fitted to them means: of results shown at this distance, this share is of the same kind. So
pairs are what searches show, found by the store and not by other means: for each of a sample of images its k nearest
eligible products, each counting once. A page may be narrowed by filters until nothing near is left, so some arbitrary
pairs of each query are added, which count as one more result together.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from django.core.exceptions import FieldError, ValidationError
from django.db import models

from visualsearch.calibration import Pairs
from visualsearch.exceptions import CalibrationError
from visualsearch.models import VisualIndex, rows
from visualsearch.sources import ImageSource
from visualsearch.stores import get_store

By = Literal["category", "product"]
Pair = tuple[float, bool, float, int]  # distance, same, weight, query
Progress = Callable[[Sequence[Any]], Iterable[Any]]

ARBITRARY = 5  # pairs of a query with arbitrary images
KEYS_A_QUERY = 5000  # of the database


@dataclass(frozen=True)
class Sample:
    """How many images are searched with, how many results of each are taken, and the seed of the choice."""

    queries: int = 1000
    k: int = 10
    seed: int = 0


@dataclass(frozen=True)
class _Image:
    """One that is searched with: its kinds are its product's categories, or the product itself."""

    pk: str
    product: Any
    kinds: frozenset[Any]
    vector: Any


def shown_pairs(
    index: VisualIndex,
    source: ImageSource,
    by: By,
    *,
    field: str = "category",
    sample: Sample | None = None,
    progress: Progress = iter,
) -> Pairs:
    """Pairs as searches show them: by category, other products of the same ``field`` (a lookup from the product) are of
    the same kind; by product, other images of the same product are.

    A product with no category is neither searched with nor counted. Raises CalibrationError where the field is none, or
    nothing can be searched with.
    """
    chosen = sample or Sample()
    kinds = _categories(source, field) if by == "category" else None
    queries = _queries(index, source, kinds, chosen)
    if not queries:
        raise CalibrationError(
            f"No indexed image of source {source.name!r} belongs to a product with a {field}."
            if by == "category"
            else f"No product of source {source.name!r} has two indexed images; use --by category or --pairs."
        )
    rng = np.random.default_rng(chosen.seed)
    pairs: list[Pair] = []
    for number, query in enumerate(progress(queries)):
        pairs += _results(index, source, query, kinds, chosen.k, number)
        pairs += _arbitrary(query, queries, by, number, rng)
    return Pairs.of(pairs)


def _categories(source: ImageSource, field: str) -> dict[Any, frozenset[Any]]:
    """The values of the field by product, where there are any; a relation to many may give several."""
    model = source.product_model
    try:
        values = list(model._default_manager.order_by().values_list("pk", field))
    except FieldError as error:
        raise CalibrationError(
            f"{model.__name__} has no field {field!r}; name with --field the one that says what kind a product is."
        ) from error
    found: dict[Any, set[Any]] = {}
    for pk, value in values:
        if value not in (None, ""):
            found.setdefault(pk, set()).add(value)
    return {pk: frozenset(kinds) for pk, kinds in found.items()}


def _queries(
    index: VisualIndex, source: ImageSource, kinds: Mapping[Any, frozenset[Any]] | None, sample: Sample
) -> list[_Image]:
    """A sample of the eligible images that have a vector and a kind; by product, of products with several of them."""
    relation = source.product_field
    attribute = source.model._meta.get_field(relation).attname if relation else "pk"  # type: ignore[union-attr]
    products = {str(pk): product for pk, product in source.eligible_images().order_by().values_list("pk", attribute)}
    indexed = rows(index, vector__isnull=False).order_by("object_id").values_list("object_id", flat=True)
    keys = [key for key in indexed if key in products]
    if kinds is None:
        counts: dict[Any, int] = {}
        for key in keys:
            counts[products[key]] = counts.get(products[key], 0) + 1
        known = {product: frozenset([product]) for product, count in counts.items() if count > 1}
    else:
        known = dict(kinds)
    candidates = [key for key in keys if products[key] in known]
    rng = np.random.default_rng(sample.seed)
    chosen = [candidates[place] for place in rng.permutation(len(candidates))[: sample.queries]]
    vectors = vectors_of(index, chosen)
    return [
        _Image(key, products[key], known[products[key]], vectors[key])
        for key in chosen
        if key in vectors  # an image may have gone this moment
    ]


def vectors_of(index: VisualIndex, keys: Sequence[str]) -> dict[str, Any]:
    """Vectors, float32 (dimensions), by image key; images that have none are not in it."""
    found: dict[str, Any] = {}
    for start in range(0, len(keys), KEYS_A_QUERY):
        part = rows(index, vector__isnull=False, object_id__in=keys[start : start + KEYS_A_QUERY])
        found |= {key: np.asarray(vector, np.float32) for key, vector in part.values_list("object_id", "vector")}
    return found


def _results(
    index: VisualIndex,
    source: ImageSource,
    query: _Image,
    kinds: Mapping[Any, frozenset[Any]] | None,
    k: int,
    number: int,
) -> Iterator[Pair]:
    """What a search with this image shows, without its product; by product without the image alone."""
    eligible = source.eligible_images()
    own = {"pk": query.pk} if kinds is None else {source.product_field or "pk": query.product}
    neighbours = get_store().search(
        index, query.vector.tolist(), eligible.exclude(**own), k, distinct=source.product_field
    )
    for neighbour in neighbours:
        product = source.product_pk_of(neighbour.image)
        others = frozenset([product]) if kinds is None else kinds.get(product)
        if others:
            yield max(0.0, neighbour.distance), bool(others & query.kinds), 1.0, number


def _arbitrary(
    query: _Image, queries: Sequence[_Image], by: By, number: int, rng: np.random.Generator
) -> Iterator[Pair]:
    for place in rng.integers(len(queries), size=ARBITRARY):
        other = queries[place]
        if other.pk == query.pk or (by == "category" and other.product == query.product):
            continue
        yield distance(query.vector, other.vector), bool(other.kinds & query.kinds), 1 / ARBITRARY, number


def distance(one: Any, other: Any) -> float:
    """Cosine distance of two vectors of any length."""
    cosine = float(one @ other) / (float(np.linalg.norm(one)) * float(np.linalg.norm(other)))
    return max(0.0, 1 - cosine)


# Staff's own judgement


def judged_pairs(index: VisualIndex, source: ImageSource, path: Path) -> tuple[Pairs, list[str]]:
    """Pairs of a CSV file with the columns ``image``, ``other``, ``same`` or ``product``, ``other``, ``same``: two keys
    and 0 or 1. Each counts once. Also returns keys that have no vector in the index, whose lines are left out.

    Distances are those of a search: of two images, or of a product's mean vector and the other's nearest image. Raises
    CalibrationError, naming the line, for what is no such file.
    """
    what, lines = _read(path)
    keys = list(dict.fromkeys(key for line in lines for key in line[:2]))
    views = _views(index, source, what, keys)
    pairs: list[Pair] = []
    numbers: dict[str, int] = {}
    for one, other, same in lines:
        if views[one] and views[other]:
            query = np.mean(views[one], axis=0)
            nearest = min(distance(query, vector) for vector in views[other])
            pairs.append((nearest, same, 1.0, numbers.setdefault(one, len(numbers))))
    return Pairs.of(pairs), [key for key in keys if not views[key]]


def _read(path: Path) -> tuple[str, list[tuple[str, str, bool]]]:
    """What the keys are of, and (key, key, same) of each line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no CSV file in UTF-8"
        raise CalibrationError(f"{path} cannot be read: {reason}.") from error
    head = [name.strip().lower() for name in table[0]] if table else []
    if head not in (["image", "other", "same"], ["product", "other", "same"]):
        raise CalibrationError(f"The first line of {path} must be image,other,same or product,other,same.")
    lines = []
    for number, line in enumerate(table[1:], start=2):
        cells = [cell.strip() for cell in line]
        if not any(cells):
            continue
        if len(cells) != 3 or not (cells[0] and cells[1]) or cells[2] not in ("0", "1"):
            raise CalibrationError(f"Line {number} of {path} must be two keys and 0 or 1, not {','.join(line)!r}.")
        lines.append((cells[0], cells[1], cells[2] == "1"))
    return head[0], lines


def _views(index: VisualIndex, source: ImageSource, what: str, keys: Sequence[str]) -> dict[str, list[Any]]:
    """The vectors of each image or product."""
    images = {key: _images_of(source, what, key) for key in keys}
    vectors = vectors_of(index, [pk for pks in images.values() for pk in pks])
    return {key: [vectors[pk] for pk in pks if pk in vectors] for key, pks in images.items()}


def _images_of(source: ImageSource, what: str, key: str) -> list[str]:
    try:
        if what == "image":
            return [str(source.pk_field.to_python(key))]
        images: models.QuerySet[Any] = source.images_of(key)
        return [str(pk) for pk in images.order_by("pk").values_list("pk", flat=True)]
    except (ValueError, ValidationError) as error:
        model = source.model if what == "image" else source.product_model
        raise CalibrationError(f"{key!r} is not a key of {model.__name__}.") from error
