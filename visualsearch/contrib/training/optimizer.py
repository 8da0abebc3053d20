"""Adam (Kingma and Ba 2014, arXiv 1412.6980) by TensorFlow's fused kernel: one operation a variable.

Keras's own takes a dozen for each, which for the 150 small variables of a MobileNetV2 is most of the time to trace
a step, and some of the time to run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


class Adam:
    """Adam over fixed `variables`, Keras's or TensorFlow's; its own state is in `state`, `rate` can be assigned."""

    def __init__(
        self, variables: Sequence[Any], beta_1: float = BETA_1, beta_2: float = BETA_2, epsilon: float = EPSILON
    ) -> None:
        self._betas, self._epsilon = (beta_1, beta_2), epsilon
        self._variables = [v.value if isinstance(v, keras.Variable) else v for v in variables]
        self._first = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self._variables]
        self._second = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self._variables]
        self.steps = tf.Variable(0.0, trainable=False)
        self.rate = tf.Variable(0.0, trainable=False)

    @property
    def state(self) -> list[Any]:
        """What has to be kept to go on: the number of steps, then both moments of each variable."""
        return [self.steps, *self._first, *self._second]

    def apply(self, gradients: Sequence[Any]) -> None:
        """One update. `gradients` are in the order of the variables."""
        self.steps.assign_add(1.0)
        powers = [tf.pow(beta, self.steps) for beta in self._betas]
        for variable, first, second, gradient in zip(
            self._variables, self._first, self._second, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=self.rate,
                beta1=self._betas[0],
                beta2=self._betas[1],
                epsilon=self._epsilon,
                grad=gradient,
            )
