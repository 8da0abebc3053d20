"""A page of results as the API answers it, in the shape of ``serializers.ResultsSerializer``.

Written as it is sent: a serializer that looked every number up again by its name would take as long as the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visualsearch.api.serializers import product_serializer
from visualsearch.calibration import DIGITS
from visualsearch.regions.explain import Explanation
from visualsearch.search import Match, Results, Wishes
from visualsearch.sources import ImageSource


def page(source: ImageSource, results: Results, context: Mapping[str, Any], wishes: Wishes) -> dict[str, Any]:
    """The answer for a page of results. ``context`` is the serializers' own: request, view, format. ``wishes`` are what
    it was asked for.
    """
    shown = _page(source, results, context, wishes)
    if wishes.get("focus"):
        shown["box"] = results.box
    if results.objects is not None:
        each: Wishes = {**wishes, "explain": False}
        shown["objects"] = [{**_page(source, thing, context, each), "box": thing.box} for thing in results.objects]
    return shown


def _page(source: ImageSource, results: Results, context: Mapping[str, Any], wishes: Wishes) -> dict[str, Any]:
    """All products go through one serializer with ``many``: a ``list_serializer_class`` of the shop's can prefetch."""
    products = product_serializer(source)([match.product for match in results], many=True, context=dict(context))
    found = [
        _result(match, product, _image(source, match, context["request"]), explained=bool(wishes.get("explain")))
        for match, product in zip(results, products.data, strict=True)
    ]
    answer: dict[str, Any] = {
        "state": results.state.value,
        "reason": results.reason,
        "count": len(found),
        "results": found,
    }
    answer |= {name: value for name in ("query", "cut") if (value := getattr(results, name)) is not None}
    if results.guess is not None:
        answer["guess"] = {
            name: {"value": guess.value, "share": guess.share} if guess else None
            for name, guess in results.guess.items()
        }
    if results.facets is not None:
        answer["facets"] = {
            name: [{"value": one.value, "count": one.count} for one in counts]
            for name, counts in results.facets.items()
        }
    return answer | ({"next": results.next} if "cursor" in wishes else {})


def _result(match: Match, product: Any, image: dict[str, Any], *, explained: bool) -> dict[str, Any]:
    """A match, its product serialized already. What was not asked for is left out."""
    shown = {
        "rank": match.rank,
        "score": match.score,
        "distance": match.distance,
        "product": product,
        "image": image,
    }
    asked_for = {"folded": match.folded, "group": match.group}
    shown |= {name: value for name, value in asked_for.items() if value is not None}
    return shown | ({"explanation": _explanation(match.explanation)} if explained else {})


def _explanation(explanation: Explanation | None) -> dict[str, Any] | None:
    if explanation is None:
        return None
    return {
        "similarity": round(explanation.similarity, DIGITS),
        "carried": round(explanation.carried(), 3),
        "shares": [[round(float(share), DIGITS) for share in row] for row in explanation.shares],
        "heat_map": explanation.data_uri(),
    }


def _image(source: ImageSource, match: Match, request: Any) -> dict[str, Any]:
    try:
        url = request.build_absolute_uri(source.file_of(match.image).url)
    except (ValueError, NotImplementedError):  # the file was taken away just now, or its storage is private
        url = None
    return {"id": match.image.pk, "url": url}
