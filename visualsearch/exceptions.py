"""Everything this package raises on purpose. The class docstring is the default message."""

from __future__ import annotations

import inspect


class VisualSearchError(Exception):
    """Visual search failed."""

    code = "visual_search_error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or ""))


class SourceNotRegistered(VisualSearchError, LookupError):
    """No such image source is registered."""

    code = "unknown_source"


class InvalidSource(VisualSearchError):
    """The arguments of register() do not describe a usable image source."""

    code = "invalid_source"


class InvalidFilter(VisualSearchError, ValueError):
    """A filter is unknown, or its value is not valid."""

    code = "invalid_filter"


class InvalidLimit(VisualSearchError, ValueError):
    """The limit is not a whole number in the allowed range."""

    code = "invalid_limit"


class InvalidOption(VisualSearchError, ValueError):
    """An option of the search is unknown, or its value is not valid."""

    code = "invalid_option"


class InvalidBox(VisualSearchError, ValueError):
    """The box is no part of the picture."""

    code = "invalid_box"


class UnknownProduct(VisualSearchError, LookupError):
    """There is no such product, or it is not indexed."""

    code = "unknown_product"


class NotCalibrated(VisualSearchError):
    """The index has no calibration, so its results have no scores: min_score cannot be used."""

    code = "not_calibrated"


class QueryRefused(VisualSearchError):
    """The query token cannot be used."""

    code = "query_refused"


class InvalidQuery(QueryRefused, ValueError):
    """This is no query token of this shop."""

    code = "invalid_query"


class QueryExpired(QueryRefused):
    """The query token is too old; search with the photo again."""

    code = "query_expired"


class QueryOutdated(QueryRefused):
    """The index was made anew with another encoder since the query token was given; search with the photo again."""

    code = "query_outdated"


class QueryOfAnotherSource(QueryRefused):
    """The query token is of another source."""

    code = "query_of_another_source"


class QueryOfAnotherShop(QueryRefused):
    """The query token is of another shop."""

    code = "query_of_another_shop"


class InvalidCursor(VisualSearchError, ValueError):
    """This is no cursor of this shop."""

    code = "invalid_cursor"


class CursorOfAnotherQuery(VisualSearchError):
    """The cursor is of another query, or of other filters or options; begin at the first page."""

    code = "cursor_of_another_query"


class EncoderError(VisualSearchError):
    """The encoder cannot be used."""

    code = "encoder_error"


class EncoderNotBuilt(EncoderError):
    """There is no exported model file for this encoder; run: manage.py visualsearch_encoder build"""

    code = "encoder_not_built"


class InvalidWeights(EncoderError):
    """The weights file does not fit this encoder."""

    code = "invalid_weights"


class FingerprintMismatch(EncoderError):
    """This process's encoder is not the one that the index was made with."""

    code = "fingerprint_mismatch"


class NoFeatureMap(EncoderError):
    """The encoder gives no feature map, so it finds no parts of a picture."""

    code = "no_feature_map"


class MissingExtra(VisualSearchError, ImportError):
    """An optional dependency is not installed."""

    code = "missing_extra"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed; run: pip install "django-visualsearch[{extra}]"')


class ImageRefused(VisualSearchError):
    """The image is refused."""

    code = "image_refused"


class NotAnImage(ImageRefused):
    """The file is not an image."""

    code = "not_an_image"


class TruncatedImage(ImageRefused):
    """The image file is incomplete or damaged."""

    code = "truncated_image"


class FileTooLarge(ImageRefused):
    """The image file is too large."""

    code = "file_too_large"


class TooManyPixels(ImageRefused):
    """The image has too many pixels."""

    code = "too_many_pixels"


class ImageTooSmall(ImageRefused):
    """The image is too small."""

    code = "image_too_small"


class FormatNotAllowed(ImageRefused):
    """This image format is not accepted."""

    code = "format_not_allowed"


class StoreError(VisualSearchError):
    """The vectors cannot be stored or searched."""

    code = "store_error"


class CalibrationError(VisualSearchError):
    """Scores cannot be calibrated."""

    code = "calibration_error"


class EvaluationError(VisualSearchError):
    """These pictures cannot be evaluated."""

    code = "evaluation_error"


class VersionRefused(VisualSearchError):
    """The index version cannot be used for this."""

    code = "version_refused"


class AnotherOperator(VisualSearchError):
    """Somebody else is changing this source's index versions."""

    code = "another_operator"
