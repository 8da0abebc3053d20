"""Query tokens: a search by photo goes on without the photo.

A token is signed and holds the vector and what it can be compared with; nothing of the picture, and no address or user.
It is no secret: whoever has it can see roughly what was searched for, and can search for it for half an hour.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from django.core import signing

from visualsearch.conf import conf
from visualsearch.encoders.base import Vectors
from visualsearch.exceptions import InvalidQuery, QueryExpired, QueryOfAnotherShop, QueryOfAnotherSource, QueryOutdated
from visualsearch.models import VisualIndex

MAX_AGE = 30 * 60  # seconds
SALT = "visualsearch.query"
END = b"\n"  # of the head, which is JSON without line breaks


class Head(NamedTuple):
    """What the vector belongs to."""

    shop: str
    source: str
    fingerprint: str


def signed(index: VisualIndex, vector: Vectors) -> str:
    """The token of a query vector, float32 (dimensions). Half-precision numbers: the graph compares no others."""
    head = Head(conf.SHOP, index.source, index.fingerprint)
    content = json.dumps(head).encode() + END + vector.astype("<f2").tobytes()
    return signing.TimestampSigner(salt=SALT).sign(signing.b64_encode(content).decode("ascii"))


def vector_of(token: str, index: VisualIndex) -> Vectors:
    """The vector, float32 (dimensions). ``index`` is the version that is to be searched.

    Raises InvalidQuery for what was not signed here, QueryExpired, QueryOfAnotherShop, QueryOfAnotherSource, and
    QueryOutdated where the version has another encoder.
    """
    try:
        text = signing.TimestampSigner(salt=SALT).unsign(token, max_age=MAX_AGE)
    except signing.SignatureExpired:
        raise QueryExpired from None
    except (signing.BadSignature, UnicodeError):
        raise InvalidQuery from None
    content = signing.b64_decode(text.encode("ascii"))
    head, _, numbers = content.partition(END)
    _check(Head(*json.loads(head)), index)
    vector: Vectors = np.frombuffer(numbers, "<f2").astype(np.float32)
    return vector


def _check(head: Head, index: Any) -> None:
    if head.shop != conf.SHOP:
        raise QueryOfAnotherShop
    if head.source != index.source:
        raise QueryOfAnotherSource(f"The query token is of source {head.source!r}, not of {index.source!r}.")
    if head.fingerprint != index.fingerprint:
        raise QueryOutdated
