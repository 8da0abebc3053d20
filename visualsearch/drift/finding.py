"""What drift there is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of drift; docs/index-versions.md says how each comes about."""

    ROW_WITHOUT_IMAGE = "row_without_image"
    IMAGE_WITHOUT_ROW = "image_without_row"
    FILE_REPLACED = "file_replaced"  # the image has another file than its row
    FILE_CHANGED = "file_changed"  # the file has the same name and other bytes
    FILE_MISSING = "file_missing"  # the storage has not the file of an indexed image
    FILE_BACK = "file_back"  # the storage has a file that could not be read before
    FILE_UNREADABLE = "file_unreadable"  # the storage failed, so that nothing is known
    STUCK_PENDING = "stuck_pending"
    VECTOR_MISSING = "vector_missing"  # said to be indexed
    VECTOR_UNFIT = "vector_unfit"  # not of unit length, not finite, or of another number of dimensions
    VECTOR_WRONG = "vector_wrong"  # not what the version's encoder makes of the file
    WRONG_FINGERPRINT = "wrong_fingerprint"  # no encoder of this process made the version
    INDEX_MISSING = "index_missing"
    INDEX_INVALID = "index_invalid"
    INDEX_LEFT_OVER = "index_left_over"  # belongs to no version


# The others need somebody: the settings' encoder, or the storage.
MENDABLE = frozenset(Kind) - {Kind.WRONG_FINGERPRINT, Kind.FILE_UNREADABLE}


@dataclass(frozen=True)
class Drift:
    """One case. ``version`` and ``object_id`` (the image's key as text) are empty where it belongs to none."""

    kind: Kind
    source: str
    version: int | None = None
    object_id: str = ""
    detail: str = ""
