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
