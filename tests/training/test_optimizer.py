from __future__ import annotations

import numpy as np


def test_it_updates_as_adam_of_keras_does(tf) -> None:
    import keras

    from visualsearch.contrib.training.optimizer import Adam

    start = np.linspace(0.5, 3, 6, dtype=np.float32)
    ours, plain, theirs = keras.Variable(start), tf.Variable(start), keras.Variable(start)
    adam, wanted = Adam([ours, plain]), keras.optimizers.Adam(0.01)
    adam.rate.assign(0.01)
    wanted.build([theirs])
    for _ in range(20):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(tf.square(ours))) + tf.reduce_sum(tf.sin(tf.square(plain)))
        gradient = tape.gradient(loss, [ours, plain])
        adam.apply(gradient)
        wanted.apply_gradients([(tf.convert_to_tensor(2 * theirs * tf.cos(tf.square(theirs))), theirs)])
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-5)
    np.testing.assert_allclose(plain.numpy(), np.asarray(ours), atol=1e-6)


def test_soap_turns_to_the_axes_that_a_matrix_learns_along(tf) -> None:
    from visualsearch.contrib.training.optimizer import Adam
    from visualsearch.contrib.training.soap import TURN_EVERY, Soap

    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.normal(size=(side, side)))[0].astype(np.float32) for side in (12, 20))
    steepness = (np.geomspace(1, 30, 12)[:, None] * np.geomspace(1, 30, 20)).astype(np.float32)
    wanted = rng.normal(size=(12, 20)).astype(np.float32)

    def left_over(kind: type) -> float:
        kernel, offset = tf.Variable(tf.zeros((1, 1, 12, 20))), tf.Variable(tf.ones(20))
        optimizer = kind([kernel, offset])
        # What is turned is not what Adam sees: every axis of the loss is a mixture of all numbers of the matrix.
        for step in range(5 * TURN_EVERY):
            optimizer.rate.assign(0.1 * min(step / TURN_EVERY, 1 - step / (5 * TURN_EVERY)))
            with tf.GradientTape() as tape:
                missed = left.T @ (kernel[0, 0] - wanted) @ right
                loss = tf.reduce_sum(steepness * missed**2) + tf.reduce_sum(offset**2)
            optimizer.apply(tape.gradient(loss, [kernel, offset]))
        assert float(tf.reduce_max(tf.abs(offset))) < 0.1
        return float(loss)

    assert left_over(Soap) < 0.5 * left_over(Adam)


def test_soap_steps_by_adams_rule_where_nothing_is_a_matrix(tf) -> None:
    import keras

    from visualsearch.contrib.training.soap import BETA_1, BETA_2, EPSILON, Soap

    start = np.linspace(0.5, 3, 6, dtype=np.float32)
    ours, theirs = tf.Variable(start), keras.Variable(start)
    soap, wanted = Soap([ours]), keras.optimizers.Adam(0.01, BETA_1, BETA_2, EPSILON)
    soap.rate.assign(0.01)
    wanted.build([theirs])
    gradients = np.random.default_rng(2).normal(size=(10, 6)).astype(np.float32)
    # The first gradient of SOAP only makes the bases; Adam's moments forget it at the same rate.
    soap.apply([tf.zeros(6)])
    for gradient in gradients:
        soap.apply([tf.constant(gradient)])
    assert soap.state[0].numpy() == 11
    first = np.zeros(6, np.float32)
    for gradient in (first, *gradients):
        wanted.apply_gradients([(tf.constant(gradient), theirs)])
    np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), atol=1e-5)
