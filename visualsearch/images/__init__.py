"""The only door for pixels: untrusted bytes in, an upright RGB image or a named refusal out.

Everything else in the package that has a file and wants a picture calls ``open_image``. The parts, in the
order in which a file passes them: ``reading`` (bytes), ``formats`` (what is it, is it accepted), ``streams``,
``tiff``, ``avif``, ``containers`` (one opener for each format, which hands Pillow only what a picture needs),
``limits`` (sizes, before decoding), ``decoding`` (pixels), ``colour`` (RGB, over white). See docs/images.md.
"""

from __future__ import annotations

from visualsearch.images.decoding import open_image, upright_size
from visualsearch.images.formats import accepted_formats
from visualsearch.images.reading import content_hash, read_limited, read_whole

__all__ = ["accepted_formats", "content_hash", "open_image", "read_limited", "read_whole", "upright_size"]
