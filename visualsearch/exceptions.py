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
