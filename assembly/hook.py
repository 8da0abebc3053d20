"""Hatchling's hook: a wheel, or an sdist, is only made whole. A wheel of an sdist needs no npm."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Assembly(BuildHookInterface[Any]):
    def dependencies(self) -> list[str]:
        steps = self.steps()
        return [] if steps["is_complete"]() else list(steps["NEEDED"].values())

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            self.steps()["assemble"]()

    def steps(self) -> dict[str, Any]:
        return runpy.run_path(str(Path(self.root) / "assembly" / "assemble.py"))
