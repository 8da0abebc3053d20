"""What made each result match: its picture is read again, and looked at as the index did."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from visualsearch.indexing import encoder_of
from visualsearch.regions.explain import explain, picture_of
from visualsearch.search.queries import Query
from visualsearch.search.results import Match
from visualsearch.sources import ImageSource

logger = logging.getLogger(__name__)


def explained(source: ImageSource, query: Query, matches: Sequence[Match]) -> list[Match]:
    """The matches with their explanations; None for one whose file is gone or can be read no more.

    Raises NoFeatureMap, FingerprintMismatch.
    """
    encoder = encoder_of(query.index)
    pictures = [_picture(source, match) for match in matches]
    return [
        replace(match, explanation=explain(encoder, query.vector, picture)) if picture else match
        for match, picture in zip(matches, pictures, strict=True)
    ]


def _picture(source: ImageSource, match: Match) -> Image.Image | None:
    try:
        return picture_of(source, match.image)
    except Exception as fault:  # a storage may raise anything: its library's own errors, sockets, time-outs
        logger.warning("A result is not explained: image %s: %s: %s", match.image.pk, type(fault).__name__, fault)
        return None
