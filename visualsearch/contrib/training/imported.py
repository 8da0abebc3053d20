"""Weights of a .tflite MobileNetV2 -> the Keras model of the same width, so that a bundled file can be trained on.

In the file each normalisation is folded into the convolution before it. The Keras model gets those kernels as they are,
and normalisations that add the bias and change nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exceptions import TrainingError

Floats = NDArray[np.float32]


def import_weights(model: Any, path: Path) -> None:
    """Set the model's weights to those of the file. Raises TrainingError where it has other layers."""
    layers = _convolutions(model)
    stored = _stored(path)
    if [layer.kernel.shape for layer, _ in layers] != [kernel.shape for kernel, _ in stored]:
        raise TrainingError(f"{path} does not have the layers of {model.name}; train from a .weights.h5 file instead.")
    for (layer, normalisation), (kernel, bias) in zip(layers, stored, strict=True):
        layer.kernel.assign(kernel)
        normalisation.moving_mean.assign(np.zeros_like(bias))
        normalisation.moving_variance.assign(np.ones_like(bias))
        normalisation.gamma.assign(np.full_like(bias, np.sqrt(1 + normalisation.epsilon)))
        normalisation.beta.assign(bias)


def _convolutions(model: Any) -> list[tuple[Any, Any]]:
    """Each convolution and the normalisation behind it, in the model's order."""
    kinds = [type(layer).__name__ for layer in model.layers]
    found = [number for number, kind in enumerate(kinds) if kind in ("Conv2D", "DepthwiseConv2D")]
    return [(model.layers[number], model.layers[number + 1]) for number in found]


def _stored(path: Path) -> list[tuple[Floats, Floats]]:
    """Kernels in Keras's layout, and biases, of a file's convolutions in the order that they are run."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    copied = {int(one.outputs[0]): int(one.inputs[0]) for one in graph.operators if _code(model, one) == _DEQUANTIZE}

    def numbers(tensor: int) -> Floats:
        held = graph.tensors[copied.get(tensor, tensor)]
        kind = {0: np.float32, 1: np.float16, 9: np.int8}.get(held.type)
        if kind is None:
            raise TrainingError(f"{path} holds numbers that cannot be trained on; train from a .weights.h5 file.")
        values = np.frombuffer(bytes(model.buffers[held.buffer].data), kind).reshape(held.shape).astype(np.float32)
        if kind is np.int8:
            axis = [1] * values.ndim
            axis[held.quantization.quantizedDimension] = -1
            values = values * np.asarray(held.quantization.scale, np.float32).reshape(axis)
        return values

    return [
        (np.transpose(numbers(int(one.inputs[1])), (1, 2, 3, 0)), numbers(int(one.inputs[2])))
        for one in graph.operators
        if _code(model, one) in (_CONVOLUTION, _DEPTHWISE)
    ]


_CONVOLUTION, _DEPTHWISE, _DEQUANTIZE = 3, 4, 6  # BuiltinOperator in the format's schema


def _code(model: Any, operator: Any) -> int:
    known = model.operatorCodes[operator.opcodeIndex]
    return int(max(known.builtinCode, known.deprecatedBuiltinCode))
