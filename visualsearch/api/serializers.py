"""The shape of what the API answers, as OpenAPI describes it. A product is shown by the shop's own serializer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from visualsearch.search import State
from visualsearch.sources import ImageSource


class KeyField(serializers.ReadOnlyField):
    """A primary key of any type."""


class DefaultProductSerializer(serializers.Serializer[Any]):
    """A product whose source was registered without a serializer."""

    id = KeyField(source="pk")
    str = serializers.CharField(source="__str__", read_only=True)

    class Meta:
        ref_name = "VisualSearchProduct"


class ProductField(serializers.ReadOnlyField):
    """A product as the shop's serializer made it."""


class ImageSerializer(serializers.Serializer[Any]):
    id = KeyField(help_text="Primary key of the image.")
    url = serializers.URLField(
        read_only=True, allow_null=True, help_text="Absolute. Null where the image's storage gives no address."
    )

    class Meta:
        ref_name = "VisualSearchImage"


class ValueField(serializers.JSONField):
    """A value of a field of the shop's: text, number, date or key."""


class ExplanationSerializer(serializers.Serializer[Any]):
    similarity = serializers.FloatField(
        min_value=-1.001, max_value=1.001, help_text="Cosine of the query and this image; what the shares add up to."
    )
    carried = serializers.FloatField(
        min_value=0, help_text="How much of the similarity the strongest quarter of the places carries, as a fraction."
    )
    shares = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()),
        help_text="What each place of the image adds to the similarity: rows from the top, each from the left.",
    )
    heat_map = serializers.CharField(
        help_text="A transparent PNG as a data URI, to be laid over the whole image: the places that carry most."
    )

    class Meta:
        ref_name = "VisualSearchExplanation"


class MatchSerializer(serializers.Serializer[Any]):
    rank = serializers.IntegerField(read_only=True, min_value=1, help_text="From 1, the most similar.")
    score = serializers.FloatField(
        read_only=True,
        allow_null=True,
        min_value=0,
        max_value=100,
        help_text="Probability, in percent, that a person would call it a match of the same kind. It never rises with "
        "the rank. Null where the index has no calibration.",
    )
    distance = serializers.FloatField(
        read_only=True, min_value=0, max_value=2, help_text="Cosine distance of the two images; 0 is the same."
    )
    product = ProductField(help_text="As the shop's own API shows it.")
    image = ImageSerializer(read_only=True, help_text="The product's image that is nearest to the query.")
    folded = serializers.IntegerField(
        required=False,
        min_value=0,
        help_text="With `fold`: how many products with nearly the same picture stand behind this one.",
    )
    group = ValueField(required=False, help_text="With `group_by`: the product's value of that field.")
    explanation = ExplanationSerializer(
        required=False,
        allow_null=True,
        help_text="With `explain`: what of the image made it match. Null where its file can be read no more.",
    )

    class Meta:
        ref_name = "VisualSearchMatch"


_STATES = [
    (State.READY.value, "Results are what the search found."),
    (State.PENDING.value, "The images wait to be indexed; ask again later."),
    (State.FAILED.value, "None of the images could be read; the reason says why."),
    (State.NO_IMAGE.value, "The product has no image."),
]


class GuessSerializer(serializers.Serializer[Any]):
    value = ValueField()
    share = serializers.FloatField(
        min_value=0, max_value=1, help_text="Of the nearest products that have a value, those that have this one."
    )

    class Meta:
        ref_name = "VisualSearchGuess"


class CountSerializer(serializers.Serializer[Any]):
    value = ValueField()
    count = serializers.IntegerField(min_value=1)

    class Meta:
        ref_name = "VisualSearchCount"


BOX = "x, y, width and height in fractions of the upright photo, from its upper left corner."


class BoxField(serializers.ListField):
    """A part of a picture: four fractions."""

    def __init__(self, **options: Any) -> None:
        number = serializers.FloatField(min_value=0, max_value=1)
        super().__init__(child=number, min_length=4, max_length=4, **options)


class PageSerializer(serializers.Serializer[Any]):
    """What every list of results has."""

    state = serializers.ChoiceField(_STATES, read_only=True)
    reason = serializers.CharField(read_only=True, help_text="Why there are no results. Empty when ready.")
    count = serializers.IntegerField(read_only=True, min_value=0, help_text="Length of the list of results.")
    results = MatchSerializer(many=True, read_only=True, help_text="The most similar first.")
    query = serializers.CharField(
        required=False,
        help_text="Of a search by photo: the token with which it goes on without the photo, for half an hour.",
    )
    next = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="With `cursor`: the cursor of the next page, null after the last. The next page may turn out empty.",
    )
    cut = serializers.IntegerField(
        required=False, min_value=0, help_text="With `min_score`: how many of this page had a lower score."
    )
    guess = serializers.DictField(
        required=False,
        child=GuessSerializer(allow_null=True),
        help_text="With `guess`: for each field what the nearest products say, null where none has a value.",
    )
    facets = serializers.DictField(
        required=False,
        child=CountSerializer(many=True),
        help_text="With `facets`: for each field its values among the nearest 1,000 products, the commonest first.",
    )


class ThingSerializer(PageSerializer):
    box = BoxField(help_text=BOX)

    class Meta:
        ref_name = "VisualSearchThing"


class ResultsSerializer(PageSerializer):
    box = BoxField(
        required=False,
        allow_null=True,
        help_text=f"With `focus`: the part that was searched with, {BOX} Null where it was the whole.",
    )
    objects = ThingSerializer(
        many=True,
        required=False,
        help_text="With `objects`: the things in the photo, what looks most like the shop's goods first, each with its "
        "own results and its own token.",
    )

    class Meta:
        ref_name = "VisualSearchResults"


class StateSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(_STATES, read_only=True)
    reason = serializers.CharField(read_only=True, help_text="Why the product is not ready. Empty when it is.")
    images = serializers.IntegerField(read_only=True, min_value=0, help_text="Images that have a file.")
    indexed = serializers.IntegerField(read_only=True, min_value=0, help_text="Of them, those searched with.")

    class Meta:
        ref_name = "VisualSearchState"


class ErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(read_only=True, help_text="For programs; does not change.")
    detail = serializers.CharField(read_only=True, help_text="For people.")

    class Meta:
        ref_name = "VisualSearchError"


def product_serializer(source: ImageSource) -> type[serializers.BaseSerializer[Any]]:
    """The serializer that the source was registered with, or the small default one."""
    found: type[serializers.BaseSerializer[Any]] = source.serializer_class or DefaultProductSerializer
    return found
