from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from visualsearch.contrib.training.data import Crops
from visualsearch.contrib.training.exceptions import TrainingError
from visualsearch.exceptions import MissingExtra


def test_the_way_through_18_blocks_is_the_network(teacher, crops: Crops) -> None:
    from visualsearch.contrib.training import blocks

    x = crops.batch(0, 224)
    ends = blocks.ends(teacher.blocks, x)
    assert len(ends) == 18
    assert [end.shape[1] for end in ends[::4]] == [112, 28, 14, 14, 7]
    pooled = np.asarray(ends[-1]).mean((1, 2))
    np.testing.assert_allclose(pooled, np.asarray(teacher.model(x, training=False)), atol=2e-4)


def test_normalisations_are_set_from_one_batch_and_learn_the_rest(tf, teacher, crops: Crops) -> None:
    from visualsearch.contrib.training import blocks
    from visualsearch.contrib.training.objective import Objective

    student = blocks.build(0.35)
    objective = Objective(teacher, student)
    x = crops.batch(0, 64)
    objective.start(x)
    end = np.asarray(blocks.through(objective.student_blocks[0][:-2], x))
    assert 0 < end.mean() < 6
    end = np.asarray(blocks.set_normalisations(blocks.cut(blocks.build(0.35))[0], x))
    np.testing.assert_allclose(end.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(end.std((0, 1, 2)), 1, atol=0.05)
    names = {variable.path.split("/")[-1] for variable in objective.variables}
    assert names == {"kernel", "gamma", "beta"}


def test_the_width_is_read_from_the_weights(shared: Path, tmp_path: Path) -> None:
    from visualsearch.contrib.training import blocks

    folder = shared / "weights"
    assert blocks.width_of(folder / "mobilenet_v2_0.35_224_imagenet_notop.weights.h5") == 0.35
    assert blocks.width_of(folder / "mobilenet_v2_1.0_224_imagenet_notop.weights.h5") == 1.0
    (tmp_path / "other.h5").write_text("no")
    with pytest.raises(TrainingError, match="not a Keras weights file"):
        blocks.width_of(tmp_path / "other.h5")


def test_without_tensorflow_the_error_prints_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("blocks", "teachers", "objective", "distil", "record"):
        monkeypatch.delitem(sys.modules, f"visualsearch.contrib.training.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    import visualsearch.contrib.training.evaluate
    import visualsearch.contrib.training.options

    monkeypatch.delattr(visualsearch.contrib.training, "blocks", raising=False)
    with pytest.raises(MissingExtra, match=r'pip install "django-visualsearch\[training\]"'):
        import visualsearch.contrib.training.blocks
