from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visualsearch.contrib.training.data import Crops
from visualsearch.contrib.training.exceptions import TrainingError

from .conftest import SIZE


def test_a_student_that_equals_its_teacher_has_no_loss(tf, teacher, weights: Path, crops: Crops) -> None:
    from visualsearch.contrib.training import blocks
    from visualsearch.contrib.training.objective import Objective

    student = blocks.build(0.35)
    student.load_weights(weights)
    objective = Objective(teacher, student)
    x = tf.constant(crops.batch(0, 64))
    assert float(objective.by_block(x)[0]) < 1e-6
    loss, errors, cosine = objective.whole(x, 1.0)
    assert float(loss) < 1e-4
    assert errors.shape == (18,)
    assert float(cosine) == pytest.approx(1, abs=1e-5)


def test_another_width_learns_linear_maps_at_block_ends(tf, teacher, crops: Crops) -> None:
    from visualsearch.contrib.training import blocks
    from visualsearch.contrib.training.objective import Objective

    objective = Objective(teacher, blocks.build(0.5))
    assert not objective.can_cut
    # Widths 0.35 and 0.5 round to the same channels at three of the ends; the last map has 1280 in both.
    assert 17 not in objective.links
    assert all(link.shape[0] > link.shape[1] for link in objective.links.values())
    x = tf.constant(crops.batch(0, SIZE))
    objective.start(x)
    with tf.GradientTape() as tape:
        loss, errors, _ = objective.whole(x, 1.0)
    gradients = tape.gradient(loss, objective.variables)
    assert np.isfinite(float(loss))
    assert errors.shape == (18,)
    assert all(gradient is not None for gradient in gradients)


def test_a_teacher_of_another_kind_gives_its_embedding(tf, crops: Crops, tmp_path: Path) -> None:
    import keras

    from visualsearch.contrib.training import blocks, teachers
    from visualsearch.contrib.training.objective import Objective

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((48, 48, 3)), layers.Conv2D(8, 3), layers.GlobalAveragePooling2D(), layers.Dense(24)]
    )
    model.save(tmp_path / "other.keras")
    objective = Objective(teachers.find(str(tmp_path / "other.keras")), blocks.build(0.35))
    assert objective.links[0].shape == (1280, 24)
    x = tf.constant(crops.batch(0, SIZE))
    objective.start(x)
    loss, errors, cosine = objective.whole(x, 1.0)
    assert float(loss) == pytest.approx(5 * (1 - float(cosine)), rel=1e-5)
    assert errors.shape == (0,)


def test_a_teacher_that_is_not_there_is_named_with_the_choices(tf, tmp_path: Path) -> None:
    from visualsearch.contrib.training import teachers

    with pytest.raises(TrainingError, match="mobilenet_v2, mobilenet_v2_compact"):
        teachers.find("resnet")
    (tmp_path / "weights.pt").touch()
    with pytest.raises(TrainingError, match="neither"):
        teachers.find(str(tmp_path / "weights.pt"))
