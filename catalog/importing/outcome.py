"""What became of the files."""

from __future__ import annotations

from dataclasses import dataclass, field

from catalog.importing.entries import Failure


@dataclass
class Outcome:
    """Files by what happened to them; ``steps`` says so for each that is not unchanged."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    products: int = 0  # new ones
    failures: list[Failure] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.products += other.products
        self.failures += other.failures
        self.steps += other.steps
