"""Bodies of a photo search: a form, a picture as it is, or JSON with a picture in base64.

One that is too large is refused before it is read. Any other comes out as what a form would have brought: fields, and
the picture in ``image``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from django.core.files.base import ContentFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, DataAndFiles
from rest_framework.request import Request

from visualsearch.api.errors import ImageRequired, InvalidBase64, LengthRequired, OneImageOnly
from visualsearch.conf import conf
from visualsearch.exceptions import FileTooLarge
from visualsearch.images import read_limited
from visualsearch.images.reading import check_length, megabytes

if TYPE_CHECKING:
    Bodies = DataAndFiles[QueryDict, MultiValueDict[str, Any]]

FORM_OVERHEAD = 64 * 1024  # bytes of a request beside its image: boundaries, part headers, limit and filters
DATA_URL = re.compile(r"data:[\w.+/-]*(;[\w=-]+)*,", re.ASCII)


class ImageParser(BaseParser):
    """A picture as the whole body, under any image's content type."""

    media_type = "image/*"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Bodies:
        """Raises FileTooLarge."""
        return _with_image(QueryDict(), read_limited(stream))


class PhotoJSONParser(BaseParser):
    """JSON as mobile frameworks send it: ``{"image": "<base64>", "limit": 8, "category": ["chair"]}``."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Bodies:
        """Raises ParseError, InvalidBase64, FileTooLarge."""
        given = _object(read_limited(stream, _json_limit()))
        image = given.pop("image", None)
        fields = QueryDict(mutable=True)
        for name, value in given.items():
            if texts := list(_texts(name, value)):
                fields.setlist(name, texts)
        return DataAndFiles(fields, MultiValueDict()) if image is None else _with_image(fields, _decoded(image))


def check_body(request: Request) -> None:
    """Refuses by its header a body that cannot be a photo of allowed size. Raises LengthRequired, FileTooLarge."""
    if request.META.get("CONTENT_LENGTH", "") == "" and "chunked" in request.headers.get("Transfer-Encoding", ""):
        raise LengthRequired
    length = body_length(request)
    kind = (request.content_type or "").lower()
    limit = conf.MAX_BYTES + FORM_OVERHEAD
    if kind.startswith("image/"):
        limit = conf.MAX_BYTES
    elif kind.startswith("application/json"):
        limit = _json_limit()
    if length > limit:
        raise FileTooLarge(f"The request has {length} bytes; an image may have at most {megabytes(conf.MAX_BYTES)}.")


def body_length(request: Request) -> int:
    """Bytes that the request says that it has; 0 for what is no number, as all that read bodies take it."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def photo_of(request: Request) -> Any:
    """The one picture, None where there is a query token instead. Raises ImageRequired, OneImageOnly."""
    files = request.FILES
    if sum(len(parts) for _, parts in files.lists()) > 1:
        raise OneImageOnly if "image" in files else ImageRequired
    if "image" not in files and (files or not fields_of(request).get("query")):
        raise ImageRequired
    return files.get("image")


def fields_of(request: Request) -> QueryDict:
    """The fields beside the picture, those of the address and those of the body."""
    given = request.query_params.copy()
    body: Any = request.data
    if not isinstance(body, MultiValueDict):  # there is no body, so nobody parsed it
        return given
    for name, values in body.lists():
        if name not in request.FILES:
            given.setlistdefault(name).extend(values)
    return given


def _json_limit() -> int:
    """Base64 writes three bytes as four."""
    return int(conf.MAX_BYTES) * 4 // 3 + FORM_OVERHEAD


def _object(content: bytes) -> dict[str, Any]:
    try:
        given = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"The body is no JSON: {error}.") from None
    if not isinstance(given, dict):
        raise ParseError("The body must be a JSON object.")
    return given


def _texts(name: str, value: Any) -> Iterator[str]:
    """A field's values as a form has them. A box is one value of four numbers. Raises ParseError."""
    if name == "box" and isinstance(value, list):
        value = ",".join(_text(name, number) for number in value)
    for one in value if isinstance(value, list) else [value]:
        if one is not None:
            yield _text(name, one)


def _text(name: str, value: Any) -> str:
    if isinstance(value, list | dict) or value is None:
        raise ParseError(f"The field {name!r} must be a text, a number, true or false, or a list of these.")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    try:
        (name + text).encode()
    except UnicodeEncodeError:  # half of a pair, written as \ud800
        raise ParseError("The body holds characters that are none.") from None
    return text


def _decoded(image: Any) -> bytes:
    """The bytes of a picture in base64, be it broken into lines or a data URL. Raises InvalidBase64, FileTooLarge."""
    if not isinstance(image, str):
        raise InvalidBase64
    text = image[found.end() :] if (found := DATA_URL.match(image[:100])) else image
    text = "".join(text.split())
    check_length(len(text) * 3 // 4 - 2, conf.MAX_BYTES)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidBase64 from None


def _with_image(fields: QueryDict, content: bytes) -> Bodies:
    files: MultiValueDict[str, Any] = MultiValueDict({"image": [ContentFile(content, name="image")]})
    return DataAndFiles(fields, files)
