"""What is searched with: a vector, of a product's images, a photo or a token, and what feedback makes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from visualsearch.encoders.base import Vectors
from visualsearch.exceptions import UnknownProduct
from visualsearch.images import open_image
from visualsearch.indexing import encoder_of
from visualsearch.models import VisualIndex
from visualsearch.search.boxes import Box
from visualsearch.search.feedback import moved, unit
from visualsearch.search.keys import product_key
from visualsearch.search.options import Options
from visualsearch.search.tokens import signed, vector_of
from visualsearch.sources import ImageSource
from visualsearch.stores.vectors import in_active, vectors_of

SIDE = 224  # pixels of the shorter side that encoders look at


@dataclass(frozen=True)
class Query:
    """A unit vector, float32 (dimensions), of an index version, and the keys of products that are not to be found.

    ``anchors`` are the keys, as text, of the images that it is the mean of. Its numbers are rounded to half precision,
    so that a query that comes back from a token is the very same.
    """

    index: VisualIndex
    vector: Vectors
    excluded: tuple[Any, ...] = ()
    token: str | None = None
    anchors: tuple[str, ...] = ()

    @property
    def digest(self) -> bytes:
        """Of all that decides what it finds."""
        parts = [str(self.index.pk).encode(), self.vector.astype("<f2").tobytes(), repr(self.excluded).encode()]
        return hashlib.sha256(b"\0".join(parts)).digest()


def of_product(source: ImageSource, pk: Any, options: Options) -> Query | None:
    """The mean of the product's vectors; None where it has none. One query."""
    own = in_active(source.name, source.images_of(pk))
    if own is None:
        return None
    index, vectors = own
    excluded = () if options.include_query else (pk,)
    return Query(index, _rounded(np.mean(list(vectors.values()), axis=0)), excluded, anchors=tuple(vectors))


def opened(image: bytes | BinaryIO, box: Box | None, side: int = SIDE) -> Image.Image:
    """The photo, or the part of it in the box, with at least ``side`` pixels where the file has them. Raises
    ImageRefused, InvalidBox."""
    return open_image(image, side=side) if box is None else box.crop(open_image(image, side=box.side(side)))


def of_picture(index: VisualIndex, picture: Image.Image) -> Query:
    """The vector of an upright RGB picture. Raises FingerprintMismatch."""
    return of_vector(index, encoder_of(index).encode([picture])[0])


def of_vector(index: VisualIndex, vector: Vectors) -> Query:
    """A vector of a picture or of a part of one, and its token."""
    rounded = _rounded(vector)
    return Query(index, rounded, token=signed(index, rounded))


def of_token(index: VisualIndex, token: str) -> Query:
    """The vector that the token holds. Raises QueryRefused."""
    return Query(index, vector_of(token, index), token=token)


def with_feedback(query: Query, source: ImageSource, options: Options) -> Query:
    """The query moved towards what is liked and away from what is not. Raises UnknownProduct."""
    if not (options.like or options.unlike):
        return query
    keys = {given: product_key(source, given) for given in (*options.like, *options.unlike)}
    vectors = _vectors_of_products(source, query.index, [key for key in keys.values() if key is not None])
    if unknown := [str(given) for given, key in keys.items() if key not in vectors]:
        raise UnknownProduct(f"There is no such product, or it is not indexed: {', '.join(unknown)}.")
    liked, unliked = ([vectors[keys[given]] for given in side] for side in (options.like, options.unlike))
    kept = () if options.include_query else tuple(dict.fromkeys(keys.values()))
    vector = _rounded(moved(query.vector, liked, unliked))
    return replace(query, vector=vector, excluded=(*query.excluded, *kept), anchors=())


def _vectors_of_products(source: ImageSource, index: VisualIndex, keys: Sequence[Any]) -> dict[Any, Vectors]:
    """The mean vector of each product that may be shown and is indexed. Two queries."""
    products = source.eligible_products().filter(pk__in=keys).order_by().values("pk")
    images = source.images().filter(**{f"{source.product_field}__in" if source.product_field else "pk__in": products})
    owners = {str(pk): owner for pk, owner in images.order_by().values_list("pk", source.product_field or "pk")}
    found: dict[Any, list[Vectors]] = {}
    for key, vector in sorted(vectors_of(index, list(owners)).items()):
        found.setdefault(owners[key], []).append(vector)
    return {owner: unit(np.mean(vectors, axis=0)) for owner, vectors in found.items()}


def _rounded(vector: Vectors) -> Vectors:
    """At unit length, in numbers that half precision has too."""
    numbers: Vectors = unit(vector).astype(np.float16).astype(np.float32)
    return numbers
