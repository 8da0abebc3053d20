"""The options of a search and the bodies of a photo search in OpenAPI."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from visualsearch.conf import conf
from visualsearch.search.fields import declared_fields
from visualsearch.search.options import AUTO, MAX_EXPLAINED, MAX_FEEDBACK
from visualsearch.sources import all_sources

Schema = dict[str, Any]


def option_parameters() -> list[OpenApiParameter]:
    """What a search by product and one by photo may be asked for alike."""
    return [_parameter(*option) for option in _options()]


def photo_parameters() -> list[OpenApiParameter]:
    """What a search by photo may be asked for besides, where it stands in the address."""
    box = OpenApiParameter("box", OpenApiTypes.STR, description=BOX)
    return [box, *(_parameter(*option) for option in _photo_options())]


def _parameter(name: str, schema: Schema, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, description=description)


BOX = "The part of the picture to search with: x,y,w,h in fractions of the upright picture, from its upper left corner."
QUERY = "The token of an earlier answer, instead of a picture. It is good for half an hour."


def _options() -> list[tuple[str, Schema, str]]:
    fields = sorted({name for source in all_sources() for name in declared_fields(source)})
    field: Schema = {"type": "string", **({"enum": fields} if fields else {})}
    keys: Schema = {"type": "array", "items": {"type": "string"}, "maxItems": MAX_FEEDBACK}
    switch: Schema = {"type": "boolean", "default": False}
    return [
        ("cursor", {"type": "string"}, "Empty for the first page of a list of up to 1,000, then each answer's `next`."),
        ("like", keys, "Keys of products that the search moves towards."),
        ("unlike", keys, "Keys of products that the search moves away from."),
        ("include_query", switch, "Whether results may hold the product searched with and those of like and unlike."),
        ("group_by", field, "Shows the best of each value of this field."),
        ("fold", switch, "Shows one of several products with nearly the same picture."),
        (
            "diversity",
            {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
            "Trades likeness for variety (maximal marginal relevance).",
        ),
        ("min_score", {"type": "number", "minimum": 0, "maximum": 100}, "Cuts results of a lower score."),
        ("guess", {"type": "array", "items": field}, "Fields to be guessed from the nearest products."),
        ("facets", {"type": "array", "items": field}, "Fields to be counted over the nearest 1,000 products."),
        ("explain", switch, f"Says what made each result match. The limit is then at most {MAX_EXPLAINED}."),
    ]


def _photo_options() -> list[tuple[str, Schema, str]]:
    """They look at the picture, which a product or a query token has not."""
    focus: Schema = {"type": "string", "enum": [AUTO]}
    switch: Schema = {"type": "boolean", "default": False}
    return [
        ("focus", focus, "Searches with what the picture is of, where that is a part of it, and says which in `box`."),
        ("objects", switch, "Names up to 5 things in the picture, each with its box and its own results."),
    ]


def bodies(limit: Schema) -> Schema:
    """The bodies of a photo search by media type."""
    megabytes = conf.MAX_BYTES // 1024**2
    accepted = f"of at most {megabytes} MB: {', '.join(conf.IMAGE_FORMATS)}."
    file = {"type": "string", "format": "binary", "description": f"One image file {accepted}"}
    text = {"type": "string", "format": "byte", "description": f"An image in base64, or as a data URL, {accepted}"}
    token = {"type": "string", "description": QUERY}
    fields: Schema = {name: {**schema, "description": told} for name, schema, told in [*_options(), *_photo_options()]}
    fields |= {"limit": limit, "box": {"type": "string", "description": BOX}}
    box = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4, "description": BOX}
    filters = {"description": "Filters, as in the address."}
    return {
        "multipart/form-data": _body({"image": file, "query": token, **fields}, {"type": "string", **filters}),
        "application/json": _body({"image": text, "query": token, **fields, "box": box}, filters),
        "application/x-www-form-urlencoded": _body({"query": token, **fields}, {"type": "string", **filters}),
        **{f"image/{kind}": {"type": "string", "format": "binary"} for kind in ("jpeg", "png", "webp")},
    }


def _body(properties: Schema, others: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": others}
