"""Finetuning an encoder on a shop's own goods: what is tried, in which order, and when a file is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch import __version__
from visualsearch.encoders.head import Head
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.evaluation.bootstrap import Comparison, Verdict, compare
from visualsearch.evaluation.embedding import Unreadable

from .examples import By, Examples
from .exceptions import NotBetter
from .gathering import Gathered, with_views
from .general import ALLOWED_LOSS, General, worst_loss
from .learned import LearnedHead
from .selection import SHARES, Chosen, ClosedForm, Family, Trials
from .writing import write_encoder

SHOWN_UNREADABLE = 20
VIEWS = 3  # of each picture, where they are needed and nobody says how many

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """``learned``: whether the head is trained after its closed form. ``views``: augmented views of each picture to
    learn from besides; None for as many as the rest needs. ``rounds`` and ``minutes`` limit training the network."""

    output: Path
    learned: bool = False
    views: int | None = None
    seed: int = 0
    rounds: int | None = None
    minutes: float | None = None

    def views_of(self, by: By) -> int:
        needed = self.learned or by is By.AUGMENTATIONS
        return self.views if self.views is not None else VIEWS * needed


@dataclass(frozen=True)
class Finetuned:
    """What was written. ``comparison`` is P@1 on products that the head was not learned from."""

    path: Path
    encoder: MobileNetV2
    comparison: Comparison


@dataclass(frozen=True)
class Candidate:
    """A head that may be written: how it was chosen, and from what."""

    chosen: Chosen
    trials: Trials
    family: Family
    examples: Examples
    base: str

    def head(self) -> Head:
        """Learned from all examples, in the way that was chosen."""
        _, projection = next(iter(self.family.fitted(self.examples, [self.chosen.setting])))
        return Head(projection.matrix, projection.bias, self.chosen.share, self.base)


def finetune(gathered: Gathered, plan: Plan, kept: Sequence[General], say: Say) -> Finetuned:
    """Learns a head, and writes the encoder file with it. ``kept`` are other kinds of goods.

    Raises NotBetter where it is not shown to be better, or only at the cost of other goods; TrainingError where there
    is nothing to learn from.
    """
    describe(gathered, say)
    views = plan.views_of(gathered.examples.by)
    best: Candidate | None = None
    if gathered.examples.by is not By.AUGMENTATIONS:
        best = _tried("in closed form", ClosedForm(gathered.examples), gathered, plan, None, say)
    if views:
        known = len(gathered.unreadable)
        gathered = with_views(gathered, views, plan.seed)
        list_unreadable(gathered.unreadable[known:], say)
        label = f"in closed form, with {views} views of each picture"
        best = _tried(label, ClosedForm(gathered.examples), gathered, plan, best, say)
    assert best is not None
    if plan.learned:
        family = LearnedHead(best.chosen.setting, plan.seed, say=say)
        best = _tried("learned", family, gathered, plan, best, say)
    best = keeping_general(best, kept, say)
    require_better(best.chosen.comparison)
    encoder = write_encoder(plan.output, gathered.encoder, best.head(), record(best, gathered, plan))
    return Finetuned(plan.output, encoder, best.chosen.comparison)


def require_better(comparison: Comparison) -> None:
    """Raises NotBetter where the paired bootstrap does not show the second to be better than the first."""
    if comparison.verdict is not Verdict.BETTER:
        found = sentence(comparison)
        raise NotBetter(f"Not shown to be better than what it started from: {found}. No file is written.")


def _tried(label: str, family: Family, gathered: Gathered, plan: Plan, before: Candidate | None, say: Say) -> Candidate:
    """The best head of a family, or ``before`` where that one finds as much."""
    trials = Trials(gathered.examples, family, plan.seed)
    chosen = trials.chosen()
    say(f"Head {label}: {chosen.setting}, {chosen.share:g} of the original embedding.")
    say(f"  held-out P@1 {sentence(chosen.comparison)}")
    made = Candidate(chosen, trials, family, gathered.examples, gathered.encoder.fingerprint)
    if before is None:
        return made
    step = compare(before.chosen.after, chosen.after)
    say(f"  against the head before it: {sentence(step)}")
    return made if step.difference.value > 0 else before


def keeping_general(candidate: Candidate, kept: Sequence[General], say: Say) -> Candidate:
    """The candidate with as much more of the original embedding as other goods need.

    Raises NotBetter where even the most is not enough.
    """
    if not kept:
        return candidate
    for share in SHARES[SHARES.index(candidate.chosen.share) :]:
        tried = replace(candidate, chosen=candidate.trials.chosen([share]))
        head = tried.head()
        say(f"With {share:g} of the original embedding: held-out P@1 {sentence(tried.chosen.comparison)}")
        for one in kept:
            say(f"  {one.folder}: P@1 {sentence(one.compared(head))}")
        if worst_loss(kept, head) <= ALLOWED_LOSS:
            return tried
    raise NotBetter(
        f"Other goods lose more than {ALLOWED_LOSS} of P@1, however much of the original embedding is kept."
    )


def sentence(comparison: Comparison) -> str:
    """The figures of a comparison in words."""
    return (
        f"{comparison.before:.3f} -> {comparison.after:.3f}, difference {comparison.difference} over "
        f"{comparison.queries:,} queries: {comparison.verdict.value}"
    )


def describe(gathered: Gathered, say: Say) -> None:
    """Says what is learned from."""
    examples = gathered.examples
    kinds = {By.CATEGORY: "categories", By.PRODUCT: "products", By.AUGMENTATIONS: "pictures, each by itself"}
    classes = len(np.unique(examples.classes))
    products = len(np.unique(examples.groups))
    by, kind = examples.by.value, kinds[examples.by]
    say(f"{len(examples):,} pictures of {products:,} products, by {by}: {classes:,} {kind}.")
    if (alone := classes - examples.several) and examples.by is not By.AUGMENTATIONS:
        say(f"  {alone:,} of them have one picture: they are learned from, and cannot be asked for.")
    for note in gathered.notes:
        say(f"  {note}")
    list_unreadable(gathered.unreadable, say)


def list_unreadable(unreadable: Sequence[Unreadable], say: Say) -> None:
    if not unreadable:
        return
    say(f"  {len(unreadable):,} pictures cannot be read, and are left out:")
    for one in unreadable[:SHOWN_UNREADABLE]:
        say(f"    {one.name} ({one.code}: {one.reason})")
    if len(unreadable) > SHOWN_UNREADABLE:
        kinds = Counter(one.code for one in unreadable[SHOWN_UNREADABLE:])
        say(f"    and more: {', '.join(f'{count:,} {code}' for code, count in kinds.items())}")


def record(candidate: Candidate, gathered: Gathered, plan: Plan) -> dict[str, Any]:
    """How the file was made, for people: kept inside it."""
    comparison = candidate.chosen.comparison
    return {
        "by": candidate.examples.by.value,
        "head": str(candidate.chosen.setting),
        "share": candidate.chosen.share,
        "pictures": len(gathered.pictures),
        "views": int((~candidate.examples.shown).sum()),
        "seed": plan.seed,
        "held_out_p_at_1": {
            "before": comparison.before,
            "after": comparison.after,
            "difference": [comparison.difference.value, comparison.difference.low, comparison.difference.high],
            "queries": comparison.queries,
        },
        "version": __version__,
    }
