"""Measures by hand, and against a plain computation of the same."""

from __future__ import annotations

import numpy as np
import pytest

from tests.encoders.built import run_python
from visualsearch.evaluation import measures
from visualsearch.evaluation.measures import (
    NOTHING,
    Pairs,
    agreement,
    by_class,
    class_means,
    figures,
    leave_one_out,
    per_query,
    rank,
)

GALLERY = np.eye(4, dtype=np.float32)
# The first finds pictures 0, 1, 2, 3 in that order; the second 1, 0, 2, 3.
QUERIES = np.array([[0.9, 0.3, 0.2, 0.1], [0.3, 0.9, 0.2, 0.1]], np.float32)


def random_units(count: int, seed: int, dimensions: int = 16) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_measures_by_hand() -> None:
    found = rank(QUERIES, GALLERY, by_class(["a", "a"], ["a", "b", "a", "a"]), k=3)
    assert found.hits.tolist() == [[True, False, True], [False, True, True]]
    values = {name: figure.value for name, figure in figures(found).items()}
    assert values == {
        "p_at_1": 0.5,
        "p_at_3": pytest.approx(2 / 3),
        "map_at_3": pytest.approx(((1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 2),
        "map_at_3_relevant": pytest.approx(((1 + 2 / 3) / 3 + (1 / 2 + 2 / 3) / 3) / 2),
        "hit_at_3": 1,
        "recall_at_3": pytest.approx(2 / 3),
        "mrr": pytest.approx((1 + 1 / 2) / 2),
    }


def test_what_is_not_retrieved_still_has_a_rank() -> None:
    found = rank(QUERIES, GALLERY, by_class(["z", "z"], ["a", "b", "c", "z"]), k=2)
    values = per_query(found)
    assert values["mrr"].tolist() == [0.25, 0.25]
    assert not values["hit_at_2"].any()
    assert not values["map_at_2"].any()


def test_a_query_that_has_nothing_to_find() -> None:
    found = rank(QUERIES, GALLERY, by_class(["a", "unknown"], ["a", "b", "c", "d"]), k=2)
    assert found.answerable.tolist() == [True, False]
    assert per_query(found)["mrr"].tolist() == [1, 0]
    assert figures(found.only(found.answerable))["p_at_1"].value == 1


def test_places_that_the_gallery_cannot_fill_count_as_misses() -> None:
    found = rank(QUERIES, GALLERY, by_class(["a", "a"], ["a", "a", "a", "a"]), k=8)
    assert (found.nearest[:, 4:] == NOTHING).all()
    assert np.isnan(found.scores[:, 4:]).all()
    values = per_query(found)
    assert values["p_at_8"].tolist() == [0.5, 0.5]
    assert values["map_at_8_relevant"].tolist() == [1, 1]
    scores, same = found.scored_pairs()
    assert len(scores) == len(same) == 8
    assert np.isfinite(scores).all()


def test_leave_one_out_never_finds_itself() -> None:
    rows = np.repeat(random_units(5, seed=1), 2, axis=0)  # every picture has an exact double
    found = rank(rows, rows, leave_one_out([number // 2 for number in range(10)]), k=9)
    assert not (found.nearest == np.arange(10)[:, None]).any()
    assert found.nearest[:, 0].tolist() == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]
    assert found.relevant.tolist() == [1] * 10
    assert figures(found)["mrr"].value == 1


def test_views_of_the_same_product_are_no_answer_to_its_category() -> None:
    rows = random_units(6, seed=2)
    products, categories = [0, 0, 1, 1, 2, 2], ["x", "x", "x", "x", "y", "y"]
    found = rank(rows, rows, leave_one_out(categories, products), k=5)
    for query, nearest in enumerate(found.nearest):
        assert products[query] not in {products[place] for place in nearest if place != NOTHING}
    assert found.relevant.tolist() == [2, 2, 2, 2, 0, 0]


def test_pairs_name_each_querys_own_answers() -> None:
    found = rank(QUERIES, GALLERY, Pairs([[3], [0, 1]], [[0], []], 4), k=2)
    assert found.nearest.tolist() == [[1, 2], [1, 0]]
    assert found.relevant.tolist() == [1, 2]
    assert found.first.tolist() == [3, 1]


def test_equally_near_ones_keep_the_gallerys_order() -> None:
    gallery = np.tile(np.array([[1, 0]], np.float32), (50, 1))
    query = np.array([[1, 0]], np.float32)
    found = rank(query, gallery, by_class(["z"], ["a"] * 20 + ["z"] * 30), k=5)
    assert found.nearest.tolist() == [[0, 1, 2, 3, 4]]
    assert found.first.tolist() == [21]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery = random_units(23, seed=3), random_units(40, seed=4)
    relevance = by_class([n % 4 for n in range(23)], [n % 4 for n in range(40)])
    whole = rank(queries, gallery, relevance, k=7)
    monkeypatch.setattr(measures, "CELLS", 200)
    parts = rank(queries, gallery, relevance, k=7)
    assert (whole.nearest == parts.nearest).all()
    assert (whole.first == parts.first).all()
    assert (whole.relevant == parts.relevant).all()


def test_against_a_plain_computation() -> None:
    queries, gallery, k = random_units(30, seed=5), random_units(60, seed=6), 10
    wanted, known = [n % 5 for n in range(30)], [n % 5 for n in range(60)]
    values = per_query(rank(queries, gallery, by_class(wanted, known), k))
    for query in range(30):
        order = sorted(range(60), key=lambda place: -float(queries[query] @ gallery[place]))
        hits = [known[place] == wanted[query] for place in order]
        precisions = [sum(hits[: place + 1]) / (place + 1) for place in range(k) if hits[place]]
        assert values["p_at_10"][query] == pytest.approx(sum(hits[:k]) / k)
        assert values["recall_at_10"][query] == pytest.approx(sum(hits[:k]) / 12)
        assert values["mrr"][query] == pytest.approx(1 / (hits.index(True) + 1))
        assert values["map_at_10"][query] == pytest.approx(sum(precisions) / max(1, len(precisions)))
        assert values["map_at_10_relevant"][query] == pytest.approx(sum(precisions) / 10)


def test_no_queries_and_a_k_of_none() -> None:
    empty = rank(GALLERY[:0], GALLERY, by_class([], ["a"] * 4), k=3)
    assert empty.nearest.shape == (0, 3)
    with pytest.raises(ValueError, match="one value a query"):
        figures(empty)
    with pytest.raises(ValueError, match="k is 0"):
        rank(QUERIES, GALLERY, by_class(["a", "a"], ["a"] * 4), k=0)


def test_agreement_is_the_mean_cosine() -> None:
    rows = np.eye(3, dtype=np.float32)
    assert agreement(rows, rows[[0, 2, 1]]).value == pytest.approx(1 / 3)


def test_means_of_classes_begin_with_the_worst() -> None:
    means = class_means(["hat", "shoe", "hat", "bag"], [0, 1, 1, 0.5])
    assert list(means.items()) == [("bag", (0.5, 1)), ("hat", (0.5, 2)), ("shoe", (1.0, 1))]


def test_numpy_is_all_that_they_need() -> None:
    code = "import sys, visualsearch.evaluation.measures, visualsearch.evaluation.coverage; print(*sys.modules)"
    modules = set(run_python(code).split())
    assert "numpy" in modules
    assert not {"django", "PIL", "pgvector", "visualsearch.conf", "visualsearch.encoders"} & modules
