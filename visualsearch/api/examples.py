"""Examples for the OpenAPI description: answers, and every error that a client may meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from visualsearch.api.errors import (
    NO_PRODUCT,
    UNAVAILABLE,
    ImageRequired,
    InvalidBase64,
    LengthRequired,
    OneImageOnly,
    RequestTooLarge,
    UploadTooSlow,
)
from visualsearch.api.serializers import ErrorSerializer
from visualsearch.exceptions import (
    CursorOfAnotherQuery,
    InvalidCursor,
    InvalidQuery,
    NotCalibrated,
    QueryExpired,
    QueryOfAnotherShop,
    QueryOutdated,
)


class Fault(NamedTuple):
    """An error: its status, its code and the detail of its example."""

    status: int
    code: str
    detail: str


# What every address may answer.
COMMON = (
    Fault(401, "not_authenticated", "Authentication credentials were not provided."),
    Fault(401, "authentication_failed", "Invalid username/password."),
    Fault(403, "permission_denied", "You do not have permission to perform this action."),
    Fault(404, "unknown_source", "There is no source 'shoe'. Registered sources: product."),
    Fault(405, "method_not_allowed", 'Method "PUT" not allowed.'),
    Fault(406, "not_acceptable", "Could not satisfy the request Accept header."),
    Fault(429, "throttled", "Request was throttled. Expected available in 12 seconds."),
)
PRODUCT = (Fault(404, "not_found", NO_PRODUCT),)
SEARCH = (
    Fault(400, "invalid_limit", "limit must be a whole number from 1 to 100, not 'abc'."),
    Fault(400, "invalid_filter", "Unknown filter: size. Valid filters: category, colour, price_max, price_min."),
    Fault(400, "invalid_option", "diversity must be a number from 0 to 1, not 'much'."),
    Fault(400, "unknown_product", "There is no such product, or it is not indexed: 17."),
    Fault(400, "not_calibrated", str(NotCalibrated())),
    Fault(400, "invalid_cursor", str(InvalidCursor())),
    Fault(400, "cursor_of_another_query", str(CursorOfAnotherQuery())),
    Fault(422, "no_feature_map", "The encoder 'fake' gives no feature map, so it finds no parts of a picture."),
    Fault(503, "store_error", UNAVAILABLE),
    Fault(503, "database_unavailable", UNAVAILABLE),
    Fault(503, "fingerprint_mismatch", UNAVAILABLE),
    Fault(503, "encoder_not_built", UNAVAILABLE),
    Fault(503, "encoder_error", UNAVAILABLE),
)
PHOTO = (
    Fault(400, "image_required", ImageRequired.default_detail),
    Fault(400, "one_image_only", OneImageOnly.default_detail),
    Fault(400, "invalid_base64", InvalidBase64.default_detail),
    Fault(400, "invalid_box", "The box has no area: it is 0 wide and 0.5 high."),
    Fault(400, "invalid_query", str(InvalidQuery())),
    Fault(400, "query_of_another_source", "The query token is of source 'shoe', not of 'product'."),
    Fault(400, "query_of_another_shop", str(QueryOfAnotherShop())),
    Fault(400, "parse_error", "Malformed request."),
    Fault(400, "not_an_image", "The file is not an image of a known format."),
    Fault(400, "truncated_image", "The image file is incomplete or damaged."),
    Fault(400, "too_many_pixels", "The image is 12000 x 9000 pixels, 108 megapixels; images may have at most 50."),
    Fault(400, "image_too_small", "The image is 12 x 40 pixels; each side must have at least 16."),
    Fault(408, "upload_too_slow", UploadTooSlow.default_detail),
    Fault(410, "query_expired", str(QueryExpired())),
    Fault(410, "query_outdated", str(QueryOutdated())),
    Fault(411, "length_required", LengthRequired.default_detail),
    Fault(413, "file_too_large", "The file is larger than 25 MB (26214400 bytes)."),
    Fault(413, "request_too_large", RequestTooLarge.default_detail),
    Fault(415, "format_not_allowed", "PDF files are not accepted. Accepted: JPEG, PNG, WEBP, GIF."),
    Fault(415, "unsupported_media_type", 'Unsupported media type "text/plain" in request.'),
)
_MEANING = {
    400: "The request cannot be answered as it is.",
    401: "Who is asking is not known (403 where the project's first authentication class asks for no credentials).",
    403: "Not allowed, by the project's permissions.",
    404: "No such source, or no such product that may be shown now.",
    405: "The address does not know this method.",
    406: "None of the project's renderers makes what the Accept header asks for.",
    408: "The body did not come in time.",
    410: "The query token was good and is no more: search with the photo again.",
    411: "The body came in chunks, without a Content-Length.",
    413: "Too large. The image is refused by the Content-Length header already, before it is read.",
    415: "The body is no form, JSON or image, or the image is of a format that is not accepted.",
    422: "The shop's encoder cannot do what is asked for: it gives no feature map.",
    429: "Too many requests.",
    503: "Something that the shop has to repair; it is in the shop's log.",
}
_PRODUCT_SHOWN = {"id": 17, "title": "Red armchair", "price": "249.00"}


def error_responses(*groups: Sequence[Fault]) -> Mapping[int, OpenApiResponse]:
    """The responses of these faults and of the common ones, by status, each fault with its example."""
    faults = sorted((fault for group in (COMMON, *groups) for fault in group), key=lambda fault: fault.status)
    numbers = dict.fromkeys(fault.status for fault in faults)
    return {
        number: OpenApiResponse(
            ErrorSerializer, _MEANING[number], [_example(fault) for fault in faults if fault.status == number]
        )
        for number in numbers
    }


def _example(fault: Fault) -> OpenApiExample:
    value = {"code": fault.code, "detail": fault.detail}
    return OpenApiExample(fault.code, value, response_only=True, status_codes=[str(fault.status)])


def _shown(name: str, value: Mapping[str, Any]) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=["200"])


_PAGE = {
    "state": "ready",
    "reason": "",
    "count": 1,
    "results": [
        {
            "rank": 1,
            "score": 91.4,
            "distance": 0.085793,
            "product": _PRODUCT_SHOWN,
            "image": {"id": 34, "url": "https://shop.example/media/products/armchair-red.jpg"},
        }
    ],
}
RESULTS = _shown("ready", _PAGE)
FOUND = _shown("ready", {**_PAGE, "query": "WyIiLCAicHJvZHVjdCIs...:1vMh2T:Qm0c...", "next": "WyJDPDl...:x9Kk..."})
WAITING = _shown(
    "pending", {"state": "pending", "reason": "The product's images wait to be indexed.", "count": 0, "results": []}
)
STATE = _shown("ready", {"state": "ready", "reason": "", "images": 3, "indexed": 3})
