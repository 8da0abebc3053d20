"""Index versions: how they come to be, are built, verified, put to use, taken back and thrown away.

A version is building, then active, then retired. Building and active ones are live: they follow the shop's images. Only
the active one is searched. Whoever changes a source's versions holds its lock, so that of two operators one is told.
"""

from __future__ import annotations

from visualsearch.lifecycle.building import Progress as Progress
from visualsearch.lifecycle.building import Step as Step
from visualsearch.lifecycle.building import build as build
from visualsearch.lifecycle.building import build_step as build_step
from visualsearch.lifecycle.building import progress_of as progress_of
from visualsearch.lifecycle.following import Scope as Scope
from visualsearch.lifecycle.following import index_images as index_images
from visualsearch.lifecycle.following import prepare as prepare
from visualsearch.lifecycle.following import to_index as to_index
from visualsearch.lifecycle.listing import Listed as Listed
from visualsearch.lifecycle.listing import listed as listed
from visualsearch.lifecycle.switching import Switch as Switch
from visualsearch.lifecycle.switching import activate as activate
from visualsearch.lifecycle.switching import prune as prune
from visualsearch.lifecycle.switching import rollback as rollback
from visualsearch.lifecycle.verifying import Changed as Changed
from visualsearch.lifecycle.verifying import Verification as Verification
from visualsearch.lifecycle.verifying import verify as verify
from visualsearch.lifecycle.versions import begin as begin
from visualsearch.lifecycle.versions import encoder_name as encoder_name
from visualsearch.lifecycle.versions import ensure_active as ensure_active
from visualsearch.lifecycle.versions import operating as operating
from visualsearch.lifecycle.versions import version as version
