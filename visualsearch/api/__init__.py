"""The REST API, for Django REST Framework: ``path("api/visualsearch/", include("visualsearch.api.urls"))``.

Nothing else in the package imports this. Raises MissingExtra where Django REST Framework is not installed.
"""

from __future__ import annotations

from visualsearch.exceptions import MissingExtra

try:
    import rest_framework  # noqa: F401
except ImportError as exc:
    raise MissingExtra("Django REST Framework", "api") from exc
