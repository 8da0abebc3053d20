"""Near-duplicates: products that have nearly the same picture as another one. See docs/duplicates.md.

What a search finds is kept, since it takes a minute for ten thousand images and a page may not: pairs of products with
the nearest two of their pictures. Pairs that hang together are shown as one group. Staff dismiss them by pair.
"""

from __future__ import annotations

from visualsearch.duplicates.clusters import dismiss as dismiss
from visualsearch.duplicates.clusters import regroup as regroup
from visualsearch.duplicates.queueing import queue_search as queue_search
from visualsearch.duplicates.searching import begin as begin
from visualsearch.duplicates.searching import latest as latest
from visualsearch.duplicates.searching import search as search
from visualsearch.duplicates.searching import step as step
from visualsearch.duplicates.searching import under_way as under_way
from visualsearch.duplicates.showing import Found as Found
from visualsearch.duplicates.showing import Group as Group
from visualsearch.duplicates.showing import Side as Side
from visualsearch.duplicates.showing import groups_of as groups_of
from visualsearch.duplicates.showing import loaded as loaded
from visualsearch.duplicates.showing import members as members
from visualsearch.duplicates.showing import names as names
from visualsearch.duplicates.showing import shown as shown
