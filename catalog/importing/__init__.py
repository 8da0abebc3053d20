"""Pictures in a folder become products.

``plan``: which files, as which products (``manifest`` reads the CSV). ``rows``: a batch of them in one transaction, of
which ``pictures`` reads the files and ``shelf`` finds or makes the products.
"""

from __future__ import annotations

from catalog.importing.entries import Failure, Groups
from catalog.importing.manifest import COLUMNS, ManifestError
from catalog.importing.outcome import Outcome
from catalog.importing.plan import EXTENSIONS, FolderError, plan
from catalog.importing.rows import StorageFault, apply, batches

__all__ = [
    "COLUMNS",
    "EXTENSIONS",
    "Failure",
    "FolderError",
    "Groups",
    "ManifestError",
    "Outcome",
    "StorageFault",
    "apply",
    "batches",
    "plan",
]
