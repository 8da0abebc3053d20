"""Pages for customers: what looks like a product, what looks like a photo, and why. They work without scripts.

Their templates extend ``visualsearch/page.html``: a shop that overrides this one file has all in its own layout. With
scripts, htmx asks the same addresses for the parts of these pages that change.
"""

from __future__ import annotations

from visualsearch.views.photo import PhotoView
from visualsearch.views.similar import SimilarView
from visualsearch.views.why import WhyView

__all__ = ["PhotoView", "SimilarView", "WhyView"]
