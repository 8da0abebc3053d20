"""How well an encoder finds: labelled pictures in, figures with their intervals out.

``measures`` (rankings and their measures) and ``bootstrap`` (intervals, comparisons) need numpy alone; ``coverage`` is
precision by score; ``pictures`` and ``shop`` say what is to be found, ``embedding`` runs an encoder over it, ``trial``
puts them together, ``report``, ``plot`` and ``sheet`` show it. See docs/evaluation.md.
"""

from __future__ import annotations
