"""The learned head: its gradients, what it finds, and what is left of it where the loss is lost."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.test_selection import examples
from visualsearch.contrib.training import learned
from visualsearch.contrib.training.heads import Projection, Spread
from visualsearch.contrib.training.learned import LearnedHead, Training
from visualsearch.contrib.training.selection import Setting, Trials

START = Setting(0.3, 3)


def test_gradients_are_those_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "DROPOUT", 0.0)
    shop = examples()
    start = Spread.of(shop.features, shop.classes).discriminant(0.3, 3)
    training = Training(start, shop.features, shop.classes, 1, 0)
    training._values = [value.astype(np.float64) for value in training._values]
    _, gradients = training.loss(shop.features, shop.classes)
    for value, gradient in zip(training._values, gradients, strict=True):
        place = tuple(int(part) for part in np.unravel_index(np.abs(gradient).argmax(), gradient.shape))
        before, step = value[place], 1e-4
        losses = []
        for moved in (step, -step):
            value[place] = before + moved
            losses.append(training.loss(shop.features, shop.classes)[0])
        value[place] = before
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(gradient[place], rel=1e-2)


def test_the_loss_falls_and_the_same_seed_gives_the_same_head() -> None:
    shop = examples()
    stages = list(LearnedHead(START, seed=3, rounds=6).fitted(shop))
    assert [setting.rounds for setting, _ in stages] == list(range(7))
    assert not np.array_equal(stages[0][1].matrix, stages[6][1].matrix)
    losses = []
    for _, projection in (stages[0], stages[6]):
        losses.append(Training(projection, shop.features, shop.classes, 1, 0).loss(shop.features, shop.classes)[0])
    assert losses[1] < losses[0]
    again = dict(LearnedHead(START, seed=3, rounds=6).fitted(shop, [Setting(0.3, 3, 4)]))
    assert np.array_equal(again[Setting(0.3, 3, 4)].matrix, stages[4][1].matrix)


def test_it_is_chosen_only_where_it_finds_more() -> None:
    chosen = Trials(examples(), LearnedHead(START, 0, rounds=3), seed=0).chosen()
    closed = Trials(examples(), LearnedHead(START, 0, rounds=0), seed=0).chosen()
    assert chosen.after.mean() >= closed.after.mean() - 0.01


def test_a_loss_that_is_not_a_number_keeps_the_last_good_head(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    whole = Training.loss
    calls = iter(range(100))

    def lost(self: Training, *batch: np.ndarray) -> tuple[float, list[np.ndarray]]:
        loss, gradients = whole(self, *batch)
        return (float("nan") if next(calls) >= 4 else loss), gradients

    monkeypatch.setattr(Training, "loss", lost)
    stages = list(LearnedHead(START, 0, rounds=6, say=said.append).fitted(examples()))  # two batches a round
    assert [setting.rounds for setting, _ in stages] == [0, 1, 2]
    assert isinstance(stages[-1][1], Projection)
    assert np.isfinite(stages[-1][1].matrix).all()
    assert said == ["The loss is not a number in round 3. The head of round 2 is kept."]
