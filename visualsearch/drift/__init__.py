"""Drift: where rows, vectors and database indexes are not what the shop's images say, and how it is mended."""

from __future__ import annotations

from visualsearch.drift.finding import MENDABLE as MENDABLE
from visualsearch.drift.finding import Drift as Drift
from visualsearch.drift.finding import Kind as Kind
from visualsearch.drift.images import Step as Step
from visualsearch.drift.images import step as step
from visualsearch.drift.mending import Reindex as Reindex
from visualsearch.drift.mending import mend as mend
from visualsearch.drift.survey import leftovers as leftovers
from visualsearch.drift.survey import survey as survey
