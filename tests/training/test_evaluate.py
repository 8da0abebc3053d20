from __future__ import annotations

from pathlib import Path

import pytest

from visualsearch.contrib.training.evaluate import labelled
from visualsearch.contrib.training.exceptions import NoPictures
from visualsearch.evaluation.measures import by_class, figures, rank
from visualsearch.exceptions import EvaluationError


def test_class_folders_are_needed(painted: Path) -> None:
    with pytest.raises(EvaluationError, match="no class sub-folders"):
        labelled(painted)
    (painted / "broken.jpg").write_bytes(b"not a picture")
    found = labelled(painted.parent)
    assert found.labels == ["painted"]
    assert [path.name for path, _ in found.unreadable] == ["broken.jpg"]
    (painted / "noise.png").unlink()
    with pytest.raises(NoPictures, match="None of the 1 pictures"):
        labelled(painted.parent)


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
    ranking = rank(*found, by_class(queries.labels, gallery.labels))
    assert figures(ranking)["p_at_1"].value >= 0.8
