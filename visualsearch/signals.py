"""Signals that this package sends, one for each image, with the image's model as sender.

``post_indexed`` and ``post_failed`` carry ``source`` (ImageSource), ``index`` (VisualIndex) and ``object_id`` (the
image's primary key as text); ``post_failed`` carries ``code`` and ``reason`` too. They are sent by the process that
embedded, after its transaction; a receiver that raises is logged and harms nothing.
"""

from __future__ import annotations

from django.dispatch import Signal

post_indexed = Signal()
post_failed = Signal()
