"""What visualsearch_doctor looks at: everything that visual search stands on, each tried for real.

Every check says OK, or what is wrong and what to do about it. See docs/doctor.md.
"""

from __future__ import annotations

from visualsearch.doctor.examining import examine as examine
from visualsearch.doctor.finding import Finding as Finding
from visualsearch.doctor.finding import Verdict as Verdict
