"""Held-out parts, and what is chosen on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.training.test_heads import clouds
from visualsearch.contrib.training.examples import By, Examples, everything, folds, limited, numbered
from visualsearch.contrib.training.exceptions import TrainingError
from visualsearch.contrib.training.heads import SHRINKAGES, Projection
from visualsearch.contrib.training.selection import PATIENCE, SHARES, ClosedForm, Setting, Trials
from visualsearch.evaluation.bootstrap import Verdict


def examples(by: By = By.CATEGORY, count: int = 300, **changes: np.ndarray) -> Examples:
    """Pictures of 40 numbers; three of each product."""
    rows, labels = clouds(count, seed=1)
    products = np.arange(count) // 12 * 4 + labels  # products hold pictures of one class
    given = {
        "classes": labels if by is By.CATEGORY else products,
        "groups": products,
        "shown": np.ones(count, np.bool_),
        **changes,
    }
    return Examples(rows, by=by, **given)


def test_no_product_is_learned_from_and_judged_by() -> None:
    shop = examples()
    parts = folds(shop, seed=0)
    asked = np.concatenate([part.queries for part in parts])
    assert sorted(asked) == list(range(len(shop)))
    for part in parts:
        assert not set(shop.groups[part.queries]) & set(shop.groups[part.learned])
        assert not set(shop.groups[part.queries]) & set(shop.groups[part.gallery])
        same = shop.classes[part.queries][:, None] == shop.classes[part.gallery][None]
        assert (part.relevant == same).all()


def test_by_product_the_others_of_a_product_that_was_not_seen_are_found_among_all() -> None:
    shop = examples(By.PRODUCT)
    for part in folds(shop, seed=0):
        assert len(part.gallery) == len(shop)
        assert not set(shop.groups[part.queries]) & set(shop.groups[part.learned])
        assert (part.relevant.sum(1) == 2).all()
        assert not part.relevant[part.left_out].any()
        assert (part.left_out.sum(1) == 1).all()  # itself


def test_by_augmentations_views_search_pictures() -> None:
    shown = np.arange(300) % 3 == 0
    shop = examples(By.AUGMENTATIONS, shown=shown, classes=np.arange(300) // 3, groups=np.arange(300) // 3)
    for part in folds(shop, seed=0):
        assert not shown[part.queries].any()
        assert shown[part.gallery].all()
        assert (part.relevant.sum(1) == 1).all()


def test_classes_of_one_product_are_never_asked_for() -> None:
    shop = examples()
    lone = shop.groups == shop.groups[0]
    shop = examples(classes=np.where(lone, 99, shop.classes))
    assert not lone[np.concatenate([part.queries for part in folds(shop, seed=0)])].any()
    assert not lone[everything(shop, 0).queries].any()
    with pytest.raises(TrainingError, match="No category has two products: nothing can be held out"):
        folds(examples(classes=np.arange(300), groups=np.arange(300)), 0)
    with pytest.raises(TrainingError, match="but one product"):
        folds(examples(groups=np.zeros(300, np.int64)), 0)


def test_the_whole_of_other_goods_is_asked_once() -> None:
    shop = examples()
    whole = everything(shop, 0)
    assert len(whole.queries) == len(whole.gallery) == len(shop)
    assert (whole.left_out.sum(1) == 3).all()  # its own product's pictures


def test_whole_products_are_drawn_from_too_many() -> None:
    shop = examples()
    kept = shop.only(limited(shop, 0, most=60))
    assert 57 <= len(kept) <= 60
    assert set(np.bincount(numbered(list(kept.groups)))) == {3}
    assert len(limited(shop, 0)) == 300


def test_a_head_that_finds_more_is_chosen_and_shown_to_be_better() -> None:
    trials = Trials(examples(), ClosedForm(examples()), seed=0)
    chosen = trials.chosen()
    assert chosen.comparison.verdict is Verdict.BETTER
    assert chosen.comparison.queries == 300
    assert chosen.after.mean() == pytest.approx(chosen.comparison.after)
    assert chosen.share in SHARES
    assert trials.chosen([5.0]).share == 5.0
    assert trials.settings == [Setting(shrinkage, 3) for shrinkage in SHRINKAGES]
    by_product = Trials(examples(By.PRODUCT), ClosedForm(examples(By.PRODUCT)), seed=0)
    assert Setting(0.3, None) in by_product.settings  # whitening alone


def test_noise_is_not_better() -> None:
    """Classes that mean nothing: with the best of many settings taken, a difference would be found by chance."""
    labels = np.random.default_rng(5).integers(0, 4, 300)
    shop = examples(classes=labels)
    comparison = Trials(shop, ClosedForm(shop), seed=0).chosen().comparison
    assert comparison.verdict is not Verdict.BETTER


class Worsening:
    """A head that forgets more each round."""

    def __init__(self) -> None:
        self.rounds = 0

    def fitted(self, examples: Examples, settings: object = None) -> Iterator[tuple[Setting, Projection]]:
        start = next(iter(ClosedForm(examples).fitted(examples)))[1]
        for number in range(50):
            self.rounds = max(self.rounds, number)
            noise = np.random.default_rng(number).normal(size=start.matrix.shape).astype(np.float32)
            yield Setting(0.1, 3, number), Projection(start.matrix + number * noise, start.bias)


def test_training_stops_early_where_it_finds_no_more() -> None:
    family = Worsening()
    chosen = Trials(examples(), family, seed=0).chosen()
    assert chosen.setting.rounds == 0
    assert family.rounds <= 2 * PATIENCE + 1
