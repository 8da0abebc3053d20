"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) cut into its 18 blocks, and a fast way through them.

A block ends at each `add`, or at a block's last projection where nothing is added; the last one is the
1x1 convolution to the final map. Normalisations are never run on a batch's own statistics: their mean and variance
are set once (`set_normalisations`) and folded into the convolution before them on the way through, which saves two
passes over every map.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.exceptions import MissingExtra

from .exceptions import TrainingError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# On processors without AVX512 TensorFlow leaves oneDNN off. Measured with AVX2, width 1.0, 128 px, end to end: 75 crops
# a second with it, 46 without.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

try:
    import keras
    import tensorflow as tf
except ImportError as exc:
    raise MissingExtra("TensorFlow", "training") from exc

BLOCKS = 18
WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
Tensor = Any
Layer = Any
Block = list[Layer]


def build(alpha: float, size: int = 224) -> Any:
    """A MobileNetV2 of width `alpha` with random weights: pixels in [-1, 1] -> pooled embedding."""
    return keras.applications.MobileNetV2(
        input_shape=(size, size, 3), alpha=alpha, include_top=False, pooling="avg", weights=None
    )


def width_of(path: Path) -> float:
    """The width of the network whose weights are in the Keras file `path`, from its last convolution's shape.

    Raises TrainingError where the file holds no MobileNetV2.
    """
    import h5py  # type: ignore[import-untyped]  # comes with Keras

    shapes: list[tuple[int, ...]] = []
    try:
        with h5py.File(path) as file:
            file.visititems(lambda _, item: shapes.append(item.shape) if hasattr(item, "shape") else None)
    except OSError as exc:
        raise TrainingError(f"{path} is not a Keras weights file: {exc}.") from exc
    inputs = {shape[2] for shape in shapes if len(shape) == 4 and shape[:2] == (1, 1) and shape[3] >= 1280}
    for alpha in WIDTHS:
        if inputs == {_divisible(320 * alpha)}:
            return alpha
    raise TrainingError(f"{path} does not hold the weights of a MobileNetV2 without its classifier.")


def _divisible(channels: float, by: int = 8) -> int:
    # The rounding of the paper's reference implementation: to a multiple of 8, never down by more than 10%.
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


def cut(model: Any) -> list[Block]:
    """The layers of `model`, a MobileNetV2 with average pooling, as a list of 18 blocks."""
    layers = model.layers[1:-1]
    names = {layer.name for layer in layers}
    blocks: list[Block] = [[]]
    for layer in layers:
        blocks[-1].append(layer)
        projects = layer.name.endswith("project_BN")
        if layer.name.endswith("_add") or (projects and layer.name.replace("project_BN", "add") not in names):
            blocks.append([])
    if len(blocks) != BLOCKS:
        raise TrainingError(f"{model.name} has {len(blocks)} blocks, where a MobileNetV2 has {BLOCKS}.")
    return blocks


def _convolved(layer: Layer, x: Tensor, scale: Tensor | None = None) -> Tensor:
    kernel = tf.convert_to_tensor(layer.kernel)
    padding = layer.padding.upper()
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        if scale is not None:
            kernel = kernel * scale[:, None]
        return tf.nn.depthwise_conv2d(x, kernel, [1, *layer.strides, 1], padding)
    if scale is not None:
        kernel = kernel * scale
    if layer.kernel_size == (1, 1):
        # As a matrix product: its gradient is twice as fast on a CPU as that of the convolution.
        height, width, channels = x.shape[1:]
        flat = tf.matmul(tf.reshape(x, (-1, channels)), kernel[0, 0])
        return tf.reshape(flat, (-1, height, width, kernel.shape[-1]))
    return tf.nn.conv2d(x, kernel, list(layer.strides), padding)


def folded(normalisation: Layer) -> tuple[Tensor, Tensor]:
    """(scale, shift) of each channel, which is what a normalisation with fixed mean and variance comes to."""
    # y = gamma * (x - mean) / sqrt(variance + epsilon) + beta = scale * x + shift
    variance = tf.convert_to_tensor(normalisation.moving_variance)
    scale = tf.convert_to_tensor(normalisation.gamma) * tf.math.rsqrt(variance + normalisation.epsilon)
    return scale, tf.convert_to_tensor(normalisation.beta) - tf.convert_to_tensor(normalisation.moving_mean) * scale


def _is_normalisation(layer: Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _other(layer: Layer, x: Tensor, start: Tensor) -> Tensor:
    if isinstance(layer, keras.layers.Add):
        return x + start
    if isinstance(layer, keras.layers.ReLU):
        return tf.nn.relu6(x)
    return layer(x)


def through(block: Block, x: Tensor) -> Tensor:
    """The map (batch, h, w, channels) at the end of `block`, fed `x`. Normalisations keep their mean and variance."""
    start, convolution = x, None
    for layer in block:
        if _is_normalisation(layer):
            scale, shift = folded(layer)
            x = tf.nn.bias_add(_convolved(convolution, x, scale), shift)
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            convolution = layer
        else:
            x = _other(layer, x, start)
    return x


def ends(blocks: list[Block], x: Tensor) -> list[Tensor]:
    """The maps at every block's end."""
    maps = []
    for block in blocks:
        x = through(block, x)
        maps.append(x)
    return maps


def set_normalisations(block: Block, x: Tensor, units: NDArray[np.intp] | None = None) -> Tensor:
    """Set each normalisation's mean and variance from `x`, in order; returns the map at the block's end.

    With `units` those of these channels alone, their gamma and beta as at first.
    """
    start, convolution = x, None
    for layer in block:
        if _is_normalisation(layer):
            x = _convolved(convolution, x)
            mean, variance = tf.nn.moments(x, (0, 1, 2))
            if units is None:
                layer.moving_mean.assign(mean)
                layer.moving_variance.assign(variance)
            else:
                put(layer.moving_mean, units, mean.numpy()[units])
                put(layer.moving_variance, units, variance.numpy()[units])
                put(layer.gamma, units, 1.0)
                put(layer.beta, units, 0.0)
            scale, shift = folded(layer)
            x = x * scale + shift
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            convolution = layer
        else:
            x = _other(layer, x, start)
    return x


def put(variable: Any, place: Any, values: Any) -> None:
    """Assign `values` to a part of a variable."""
    numbers = np.asarray(variable).copy()
    numbers[place] = values
    variable.assign(numbers)
