from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visualsearch.contrib.training.evaluate import agreement, bootstrap, labelled, retrieval
from visualsearch.contrib.training.exceptions import NoPictures


def test_retrieval_by_hand() -> None:
    gallery = np.eye(4, dtype=np.float32)
    queries = np.array([[0.9, 0.3, 0.2, 0.1], [0.3, 0.9, 0.2, 0.1]], np.float32)
    figures = retrieval(queries, ["a", "a"], gallery, ["a", "b", "a", "a"], k=3)
    # The first finds a, b, a; the second b, a, a.
    assert figures["p_at_1"].value == 0.5
    assert figures["p_at_3"].value == pytest.approx(2 / 3)
    assert figures["hit_at_3"].value == 1
    assert figures["map_at_3"].value == pytest.approx(((1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 2)
    assert figures["map_at_3_relevant"].value == pytest.approx(((1 + 2 / 3) / 3 + (1 / 2 + 2 / 3) / 3) / 2)


def test_the_interval_of_a_share() -> None:
    figure = bootstrap(np.repeat([0.0, 1.0], 200))
    assert figure.value == 0.5
    # Two standard errors of a share of 0.5 among 400 are 0.05.
    assert figure.low == pytest.approx(0.45, abs=0.01)
    assert figure.high == pytest.approx(0.55, abs=0.01)
    assert str(figure).startswith("0.500 [0.4")


def test_agreement_is_the_mean_cosine() -> None:
    rows = np.eye(3, dtype=np.float32)
    assert agreement(rows, rows[[0, 2, 1]]).value == pytest.approx(1 / 3)


def test_class_folders_are_needed(painted: Path) -> None:
    with pytest.raises(NoPictures, match="no class sub-folders"):
        labelled(painted)
    assert labelled(painted.parent).labels == ["painted"]


def test_the_teacher_is_better_than_chance_on_a_few_pictures(shared: Path, teacher, tmp_path: Path) -> None:
    """Two of ten classes, a few pictures each: its reference on the whole set is P@1 0.672."""
    from visualsearch.contrib.training.evaluate import embed

    for part, count in (("test", 5), ("train", 15)):
        for kind in ("pants", "shoes"):
            (tmp_path / part / kind).mkdir(parents=True)
            for path in sorted((shared / "data" / "clothing" / part / kind).iterdir())[:count]:
                (tmp_path / part / kind / path.name).symlink_to(path)
    queries, gallery = labelled(tmp_path / "test"), labelled(tmp_path / "train")
    found = embed(teacher.model, queries.pixels), embed(teacher.model, gallery.pixels)
    figures = retrieval(found[0], queries.labels, found[1], gallery.labels)
    assert figures["p_at_1"].value >= 0.8
