from __future__ import annotations

import numpy as np
import pytest

from visualsearch.contrib.training.data import Crops

from .conftest import SIZE

DEAD = 30


@pytest.fixture
def block(tf):
    """A block with 144 hidden units and as many channels out as in."""
    import keras

    from visualsearch.contrib.training import blocks

    keras.utils.set_random_seed(5)
    return blocks.cut(blocks.build(1.0))[2]


@pytest.fixture
def x(tf, block):
    from visualsearch.contrib.training import blocks

    x = tf.constant(np.random.default_rng(1).normal(size=(4, 8, 8, 24)).astype(np.float32))
    blocks.set_normalisations(block, x)
    return x


def kill(block, units: range) -> None:
    """Close the units' ReLU6 for whatever comes."""
    from visualsearch.contrib.training import blocks

    first = next(layer for layer in block if layer.name.endswith("expand_BN"))
    second = next(layer for layer in block if layer.name.endswith("depthwise_BN"))
    for normalisation in (first, second):
        blocks.put(normalisation.beta, units, -100.0)


def test_a_silent_block_answers_its_input_and_learns(tf, block, x) -> None:
    from visualsearch.contrib.training import blocks, units

    units.silence(block)
    with tf.GradientTape() as tape:
        made = blocks.through(block, x)
        loss = tf.reduce_sum(tf.square(made - 1))
    np.testing.assert_allclose(made.numpy(), x.numpy(), atol=1e-5)
    projection = next(layer for layer in block if layer.name.endswith("project"))
    assert np.abs(tape.gradient(loss, projection.kernel.value).numpy()).max(-1).min() > 0


def test_a_units_contribution_is_the_variance_that_goes_without_it(tf, block, x) -> None:
    from visualsearch.contrib.training import blocks, units

    before = blocks.through(block, x).numpy()
    added = units.contributions(block, x)
    projection = next(layer for layer in block if layer.name.endswith("project"))
    blocks.put(projection.kernel, (..., 7, slice(None)), 0.0)
    gone = before - blocks.through(block, x).numpy()
    assert added.shape == (144,)
    assert gone.var((0, 1, 2)).sum() == pytest.approx(added[7], rel=1e-3)
    assert units.contributions(block, x)[7] == 0


def test_dead_units_are_made_anew_and_change_nothing_at_first(tf, block, x) -> None:
    from visualsearch.contrib.training import blocks, units

    kill(block, range(DEAD))
    before = blocks.through(block, x).numpy()
    others = units.contributions(block, x)[DEAD:]
    assert units.renew(block, x, np.random.default_rng(2)) == DEAD
    np.testing.assert_allclose(blocks.through(block, x).numpy(), before, atol=1e-4)
    np.testing.assert_allclose(units.contributions(block, x)[DEAD:], others, rtol=1e-3)

    # They answer, and the projection learns to use them.
    projection = next(layer for layer in block if layer.name.endswith("project"))
    hidden = blocks.through(block[: block.index(projection)], x).numpy()
    assert hidden.var((0, 1, 2))[:DEAD].min() > 0.01
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(blocks.through(block, x) - 1))
    gradient = tape.gradient(loss, projection.kernel.value).numpy()[0, 0]
    assert np.abs(gradient[:DEAD]).max(-1).min() > 0


def test_where_none_is_dead_the_tenth_that_adds_least_is_made_anew(tf, block, x) -> None:
    from visualsearch.contrib.training import units

    added = units.contributions(block, x)
    least = np.argsort(added)[: len(added) // 10]
    assert units.renew(block, x, np.random.default_rng(2)) == len(least)
    after = units.contributions(block, x)
    assert set(np.flatnonzero(after == 0)) == set(least)


def test_of_the_last_block_dead_units_alone_are_made_anew(tf) -> None:
    from visualsearch.contrib.training import blocks, units

    last = blocks.cut(blocks.build(0.35))[17]
    x = tf.constant(np.random.default_rng(1).normal(size=(4, 4, 4, 112)).astype(np.float32))
    blocks.set_normalisations(last, x)
    before = blocks.through(last, x).numpy()
    units.silence(last)
    assert units.renew(last, x, np.random.default_rng(2)) == 0
    blocks.put(next(layer for layer in last if layer.name.endswith("bn")).beta, range(DEAD), -100.0)
    assert blocks.through(last, x).numpy()[..., :DEAD].max() == 0

    assert units.renew(last, x, np.random.default_rng(2)) == DEAD
    after = blocks.through(last, x).numpy()
    assert after.var((0, 1, 2))[:DEAD].min() > 0.01
    np.testing.assert_allclose(after[..., DEAD:], before[..., DEAD:], atol=1e-4)


def test_the_first_blocks_hidden_units_are_its_first_filters(tf, crops: Crops) -> None:
    from visualsearch.contrib.training import blocks, units

    first = blocks.cut(blocks.build(0.35))[0]
    x = tf.constant(crops.batch(0, SIZE))
    blocks.set_normalisations(first, x)
    assert units.contributions(first, x).shape == (16,)
    assert units.renew(first, x, np.random.default_rng(2)) == 1
