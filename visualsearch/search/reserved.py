"""Names that a search takes itself: a shop's filter of the same name is never asked."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.checks import CheckMessage, Warning

from visualsearch.search.options import Wishes
from visualsearch.sources import ImageSource

# Of requests: the options, and what says what is searched for and how much of it is shown.
RESERVED = frozenset({*Wishes.__annotations__, "limit", "query", "box"})


def check_filter_names(source: ImageSource) -> Iterator[CheckMessage]:
    """A warning where filters of the source's FilterSet have such names."""
    if shadowed := sorted(RESERVED & set(source.filterset_class.base_filters)):
        yield Warning(
            f"Source {source.name!r}: filters named like options of the search are never asked: {', '.join(shadowed)}.",
            hint="Give them other names, with field_name= saying which field they compare.",
            obj=source.model,
            id="visualsearch.W050",
        )
