"""What is searched with where parts of a photo are looked at: the subject, and each of the things in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import models
from PIL import Image

from visualsearch.indexing import encoder_of
from visualsearch.models import VisualIndex
from visualsearch.regions.focus import find_focus
from visualsearch.regions.looking import view_of
from visualsearch.regions.things import find_things
from visualsearch.search.boxes import Box
from visualsearch.search.options import Options
from visualsearch.search.queries import Query, of_vector
from visualsearch.sources import ImageSource


class PartQuery(NamedTuple):
    """A part of the picture in fractions of it, None for the whole, and the query that it makes."""

    box: Box | None
    query: Query


class Seen(NamedTuple):
    """What to search with first, and the things in the picture."""

    subject: PartQuery
    things: Sequence[PartQuery]


def seen_in(
    source: ImageSource,
    index: VisualIndex,
    picture: Image.Image,
    eligible: models.QuerySet[Any],
    options: Options,
) -> Seen:
    """What an upright RGB picture, opened with ``side=SIDE``, is of, among the ``eligible`` images, as ``options`` ask.

    The encoder runs once over the picture and once over a larger copy, and over each part that is found. One statement
    each for ``focus`` and ``objects``. Raises NoFeatureMap, FingerprintMismatch.
    """
    encoder = encoder_of(index)
    view = view_of(encoder, picture)
    subject = PartQuery(None, of_vector(index, view.whole))
    if options.focus:
        focus = find_focus(encoder, index, picture, eligible, view=view)
        if focus.box:
            subject = PartQuery(Box(*focus.box), of_vector(index, focus.vector))
    things = []
    if options.objects:
        found = find_things(encoder, index, picture, eligible, product=source.product_field, view=view)
        things = [PartQuery(Box(*thing.box), of_vector(index, thing.vector)) for thing in found]
    return Seen(subject, things)
