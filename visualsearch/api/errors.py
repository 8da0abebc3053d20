"""Every error as one JSON object, ``{"code", "detail"}``. Only the views of this API use it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from visualsearch.exceptions import (
    CursorOfAnotherQuery,
    EncoderError,
    FileTooLarge,
    FormatNotAllowed,
    ImageRefused,
    InvalidBox,
    InvalidCursor,
    InvalidFilter,
    InvalidLimit,
    InvalidOption,
    NoFeatureMap,
    NotCalibrated,
    QueryExpired,
    QueryOutdated,
    QueryRefused,
    SourceNotRegistered,
    StoreError,
    UnknownProduct,
    VisualSearchError,
)

logger = logging.getLogger(__name__)

NO_PRODUCT = "There is no such product."
UNAVAILABLE = "Visual search is not available at the moment."

# The status of what this package raises; the first class that fits counts. What is not here is a fault in the
# shop's code or settings, and becomes its ordinary 500.
STATUS: dict[type[VisualSearchError], int] = {
    SourceNotRegistered: status.HTTP_404_NOT_FOUND,
    InvalidFilter: status.HTTP_400_BAD_REQUEST,
    InvalidLimit: status.HTTP_400_BAD_REQUEST,
    InvalidOption: status.HTTP_400_BAD_REQUEST,
    InvalidBox: status.HTTP_400_BAD_REQUEST,
    UnknownProduct: status.HTTP_400_BAD_REQUEST,
    NotCalibrated: status.HTTP_400_BAD_REQUEST,
    InvalidCursor: status.HTTP_400_BAD_REQUEST,
    CursorOfAnotherQuery: status.HTTP_400_BAD_REQUEST,
    QueryExpired: status.HTTP_410_GONE,
    QueryOutdated: status.HTTP_410_GONE,
    QueryRefused: status.HTTP_400_BAD_REQUEST,
    FileTooLarge: status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    FormatNotAllowed: status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
    ImageRefused: status.HTTP_400_BAD_REQUEST,
    NoFeatureMap: status.HTTP_422_UNPROCESSABLE_ENTITY,
    EncoderError: status.HTTP_503_SERVICE_UNAVAILABLE,
    StoreError: status.HTTP_503_SERVICE_UNAVAILABLE,
}

# What Django raises while it reads a form that is broken, breaks off or has too many parts.
UNREADABLE_BODY = (BadRequest, MultiPartParserError, TooManyFieldsSent, TooManyFilesSent, UnreadablePostError)


# What every database raises where it cannot be asked: it is down, it ended the session, or it takes too long.
DATABASE_FAULTS = (InterfaceError, OperationalError)


class DatabaseUnavailable(exceptions.APIException):
    """The database cannot be asked now."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "database_unavailable"
    default_detail = UNAVAILABLE


class ImageRequired(exceptions.APIException):
    """There is neither a picture nor a query token."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "image_required"
    default_detail = (
        "Send one image: a file in the multipart field 'image', the body itself with an image's content type, or "
        "base64 in JSON. Or send the query token of an earlier answer."
    )


class InvalidBase64(exceptions.APIException):
    """The JSON field ``image`` is no base64."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid_base64"
    default_detail = "The field 'image' must be a picture's bytes in base64, with or without 'data:image/...;base64,'."


class OneImageOnly(exceptions.APIException):
    """More files than the one in ``image``."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "one_image_only"
    default_detail = "Send exactly one file, in the multipart field 'image'."


class LengthRequired(exceptions.APIException):
    """A body sent in chunks, whose size cannot be known before it is read."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_code = "length_required"
    default_detail = "Send a Content-Length header; a body in chunks is not accepted."


class RequestTooLarge(exceptions.APIException):
    """The form fields beside the image exceed ``DATA_UPLOAD_MAX_MEMORY_SIZE``."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "request_too_large"
    default_detail = "The form fields of the request are too large."


class UploadTooSlow(exceptions.APIException):
    """The body did not come in the time that the server gives it. See docs/deployment.md."""

    status_code = status.HTTP_408_REQUEST_TIMEOUT
    default_code = "upload_too_slow"
    default_detail = "The upload is too slow."


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """The response to an exception, or None for one that nobody foresaw: that becomes the project's 500."""
    if isinstance(exc, VisualSearchError):
        return _own(exc)
    error = _as_api_exception(exc)
    if error is None:
        return None
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return _response(error.status_code, _code(error), " ".join(_sentences(error.detail)), headers)


def _own(exc: VisualSearchError) -> Response | None:
    found = next((number for kind, number in STATUS.items() if isinstance(exc, kind)), None)
    if found is None:
        return None
    if found < status.HTTP_500_INTERNAL_SERVER_ERROR:
        return _response(found, exc.code, str(exc))
    logger.error("%s: %s", exc.code, exc)  # for those who run the shop; clients learn only the code
    return _response(found, exc.code, UNAVAILABLE)


def _as_api_exception(exc: Exception) -> exceptions.APIException | None:
    """What Django raises, above all while it reads a body, as an exception of the framework."""
    if isinstance(exc, exceptions.APIException):
        return exc
    if isinstance(exc, Http404):
        return exceptions.NotFound()
    if isinstance(exc, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(exc, RequestDataTooBig):
        return RequestTooLarge()
    if isinstance(exc, UnreadablePostError) and _timed_out(exc):
        return UploadTooSlow()
    if isinstance(exc, UNREADABLE_BODY):
        return exceptions.ParseError()
    if isinstance(exc, DATABASE_FAULTS):
        logger.error("The database cannot be asked: %s", " ".join(str(exc).split()))
        return DatabaseUnavailable()
    return None


def _timed_out(exc: BaseException | None) -> bool:
    """Whether the server's time for reading the body was over. Django wraps that once or twice."""
    return exc is not None and (isinstance(exc, TimeoutError) or _timed_out(exc.__cause__))


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else str(error.default_code)


def _sentences(detail: Any, name: str = "") -> Iterator[str]:
    """The sentences of a detail that may be a list or a dict of them, as a shop's own ValidationError has."""
    if isinstance(detail, Mapping):
        for key, part in detail.items():
            yield from _sentences(part, str(key))
    elif isinstance(detail, list | tuple):
        for part in detail:
            yield from _sentences(part, name)
    else:
        yield f"{name}: {detail}" if name else str(detail)


def _response(number: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    set_rollback()
    return Response({"code": code, "detail": detail}, status=number, headers=dict(headers or {}))
