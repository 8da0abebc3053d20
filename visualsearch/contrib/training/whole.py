"""Finetuning the whole network: trained on some products, stopped by others, judged on the rest, a head on top."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from visualsearch.encoders.base import Vectors
from visualsearch.encoders.head import Head
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.evaluation.bootstrap import Comparison, compare
from visualsearch.evaluation.embedding import embed

from .data import Pixels
from .examples import By, Examples, Fold, Integers, folds, numbered
from .exceptions import TrainingError
from .finetuning import (
    Candidate,
    Finetuned,
    Plan,
    Say,
    describe,
    keeping_general,
    list_unreadable,
    record,
    require_better,
    sentence,
)
from .gathering import Gathered, readable
from .general import General, general
from .memory import keep_freed_memory
from .selection import ClosedForm, Measured, Trials, cosines, found
from .writing import write_encoder

FEWEST_PARTS = 3


@dataclass(frozen=True)
class Split:
    """``judged`` searches what was learned from; of the ``rest`` (places), ``stopping`` is not trained on either."""

    judged: Fold
    rest: Integers
    stopping: Fold


def finetune_network(gathered: Gathered, plan: Plan, kept: Sequence[General], say: Say) -> Finetuned:
    """Trains the network, and writes the file with it and a head. Raises as ``finetune`` does, and MissingExtra."""
    keep_freed_memory()
    from . import network

    if gathered.examples.by is By.AUGMENTATIONS:
        raise TrainingError("The whole network needs categories, or products with several images, to learn from.")
    gathered, pixels = _read(gathered, say)
    describe(gathered, say)
    split = _split(gathered.examples, plan.seed)
    base, examples = gathered.encoder, gathered.examples
    model = network.keras_model(base)
    classes = numbered(list(examples.classes[split.rest]))
    say(f"The whole network, on {int(split.stopping.learned.sum()):,} pictures:")
    network.Tuning(
        model=model,
        pixels=[pixels[place] for place in split.rest],
        classes=classes,
        fold=split.stopping,
        side=base.description.side,
        seed=plan.seed,
        say=say,
        rounds=plan.rounds or network.ROUNDS,
        minutes=plan.minutes,
    ).run()
    with tempfile.TemporaryDirectory(prefix="visualsearch-") as folder:
        tuned = network.export(model, base, Path(folder) / "network.tflite")
        return _with_head(gathered, tuned, split, plan, kept, say)


def _read(gathered: Gathered, say: Say) -> tuple[Gathered, list[Pixels]]:
    from . import network

    places, pixels, unreadable = readable(gathered.pictures, network.held, network.MOST_PICTURES)
    list_unreadable(unreadable, say)
    if not places:
        raise TrainingError(f"None of the {len(gathered.pictures):,} pictures can be read: {unreadable[0].reason}")
    pictures = [gathered.pictures[place] for place in places]
    return replace(gathered, examples=gathered.examples.only(np.array(places)), pictures=pictures), pixels


def _split(examples: Examples, seed: int) -> Split:
    parts = folds(examples, seed)
    if len(parts) < FEWEST_PARTS or not len(parts[0].queries):
        raise TrainingError("There are too few products to train on some, stop by others and judge on the rest.")
    rest = np.flatnonzero(parts[0].learned)
    return Split(parts[0], rest, folds(examples.only(rest), seed + 1)[0])


def _with_head(
    gathered: Gathered, tuned: MobileNetV2, split: Split, plan: Plan, kept: Sequence[General], say: Say
) -> Finetuned:
    before = found(cosines(gathered.examples.features, split.judged), split.judged)[:, 0]
    alone, _ = _head(gathered.examples, gathered.encoder.fingerprint, split, plan, (), say)
    only_head = _p_at_1(gathered.examples.features, alone, split.judged)
    say(f"A head alone: held-out P@1 {sentence(compare(before, only_head))}")

    vectors = embed(tuned, gathered.pictures).of(gathered.pictures)[1]
    examples = replace(gathered.examples, features=vectors)
    others = [replace(one, tuned=general(one.folder, tuned, plan.seed).examples) for one in kept]
    head, candidate = _head(examples, tuned.fingerprint, split, plan, others, say)
    after = _p_at_1(vectors, head, split.judged)
    comparison: Comparison = compare(before, after)
    say(f"The network and a head ({candidate.chosen.setting}, {candidate.chosen.share:g} of its own embedding):")
    say(f"  held-out P@1 {sentence(comparison)}")
    say(f"  against a head alone: {sentence(compare(only_head, after))}")
    require_better(comparison)
    judged = replace(candidate, chosen=replace(candidate.chosen, comparison=comparison))
    described = {**record(judged, gathered, plan), "network": "trained"}
    return Finetuned(plan.output, write_encoder(plan.output, tuned, head, described, of_stored=False), comparison)


def _head(
    examples: Examples, base: str, split: Split, plan: Plan, kept: Sequence[General], say: Say
) -> tuple[Head, Candidate]:
    """A head in closed form, learned from what the network was trained on; its setting is chosen by the part that
    stopped the training."""
    rest = examples.only(split.rest)
    family = ClosedForm(rest)
    trials = Trials(rest, family, plan.seed, [split.stopping])
    candidate = Candidate(trials.chosen(), trials, family, rest, base)
    candidate = keeping_general(candidate, kept, say)
    return candidate.head(), candidate


def _p_at_1(features: Vectors, head: Head, fold: Fold) -> Measured:
    return found(cosines(head.apply(features), fold), fold)[:, 0]
