"""Train your own encoder weights from any teacher, on unlabelled pictures: `visualsearch_distil`.

Importing this package, or listing it in INSTALLED_APPS, needs no TensorFlow; training does.
"""

from __future__ import annotations
