"""Stores a .tflite model's weights as int8: a quarter of the file, the same speed. Needs no TensorFlow.

The convolutions' larger kernels become int8, with one scale for each output channel (Krishnamoorthi 2018, "Quantizing
deep convolutional networks for efficient inference", section 3.1.1); an operator in front of each turns them back when
the model is loaded, so that everything is computed in float32 as before. The converter's own ways, which compute in
int8, are slower on processors without int8 dot products: 1.2 times (full integer) to 1.7 times (dynamic range) at width
1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.exceptions import EncoderError

IDENTIFIER = b"TFL3"  # of the format, in each file
# Smaller kernels stay as they are: they are a tenth of the int8 file at most, and at width 0.35 the mean cosine to the
# float32 embeddings is 0.998 with them and 0.983 without.
FEWEST = 2048  # values
LARGEST = 127  # symmetric: -128 is not used
DEQUANTIZE_VERSION = 5  # of the operator: the first that takes a scale for each channel

Kernel = npt.NDArray[np.float32]


def int8_weights(model: bytes) -> bytes:
    """The .tflite model with its convolutions' float32 or float16 kernels stored as int8.

    Raises EncoderError for what is no .tflite model, and for one without such kernels.
    """
    graph = _Graph(model)
    if not graph.store_kernels():
        raise EncoderError("The model has no convolutions with float weights; they may be int8 already.")
    return graph.packed()


def quantised(kernel: Kernel, axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """The kernel as int8 of the same shape, and the scale of each of its channels along ``axis``."""
    others = tuple(number for number in range(kernel.ndim) if number != axis)
    scales = np.abs(kernel).max(axis=others, keepdims=True) / np.float32(LARGEST)
    scales[scales == 0] = 1  # a channel of zeros stays one
    return np.rint(kernel / scales).astype(np.int8), scales.reshape(-1)


class _Graph:
    """The one subgraph of a model, as objects of the format's schema (tensorflow/lite/schema/schema.fbs)."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        if content[4:8] != IDENTIFIER:
            raise EncoderError("This is no .tflite model.")
        self._model = schema.ModelT.InitFromPackedBuf(content, 0)
        self._graph = self._model.subgraphs[0]
        # What each tensor is computed by: a half-precision kernel is turned into float32 by an operator of its own.
        self._producers = {int(out): operator for operator in self._graph.operators for out in operator.outputs}

    def store_kernels(self) -> int:
        """Replace every convolution's float kernel; how many there were."""
        builtin = self._schema.BuiltinOperator
        channels = {builtin.CONV_2D: 0, builtin.DEPTHWISE_CONV_2D: 3}  # the kernel's axis of output channels
        found = {
            int(operator.inputs[1]): axis
            for operator in self._graph.operators
            if (axis := channels.get(self._kind(operator))) is not None
        }
        kernels = {
            number: values for number in found if (values := self._values(number)) is not None and values.size >= FEWEST
        }
        self._graph.operators = [
            *(self._restoring(number, values, found[number]) for number, values in kernels.items()),
            *(operator for operator in self._graph.operators if not self._settled(operator, kernels)),
        ]
        return len(kernels)

    def _settled(self, operator: Any, kernels: Mapping[int, Kernel]) -> bool:
        """Whether an operator is needed no more: one that restored half precision. What it restored besides kernels,
        the biases, becomes a float32 constant: half precision beside int8 takes three times as long in all."""
        output = int(operator.outputs[0])
        if output in kernels:
            return True
        if self._kind(operator) != self._schema.BuiltinOperator.DEQUANTIZE or (values := self._values(output)) is None:
            return False
        self._graph.tensors[output].buffer = self._buffer(values)
        return True

    def packed(self) -> bytes:
        import flatbuffers  # type: ignore[import-untyped]

        self._drop_unused()
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())

    def _kind(self, operator: Any) -> int:
        return int(self._model.operatorCodes[operator.opcodeIndex].builtinCode)

    def _values(self, tensor: int) -> Kernel | None:
        """A constant's values as float32; None where it is computed from others, or no float."""
        producer = self._producers.get(tensor)
        if producer is not None:
            restores = self._kind(producer) == self._schema.BuiltinOperator.DEQUANTIZE
            return self._values(int(producer.inputs[0])) if restores else None
        found = self._graph.tensors[tensor]
        kinds = {self._schema.TensorType.FLOAT32: "<f4", self._schema.TensorType.FLOAT16: "<f2"}
        stored = self._model.buffers[found.buffer].data
        if found.type not in kinds or stored is None:
            return None
        flat = np.frombuffer(np.asarray(stored, dtype=np.uint8).tobytes(), dtype=kinds[found.type])
        return flat.reshape(found.shape).astype(np.float32)

    def _restoring(self, kernel: int, values: Kernel, axis: int) -> Any:
        """The operator that gives the float32 tensor ``kernel`` from its new int8 constant."""
        numbers, scales = quantised(values, axis)
        target = self._graph.tensors[kernel]
        target.buffer = 0  # the empty one, by convention: it is computed from now on
        stored = self._schema.TensorT()
        stored.name = (target.name or b"kernel") + b"/int8"
        stored.shape, stored.hasRank = target.shape, True
        stored.type = self._schema.TensorType.INT8
        stored.quantization = self._schema.QuantizationParametersT()
        stored.quantization.scale = scales
        stored.quantization.zeroPoint = np.zeros(len(scales), dtype=np.int64)
        stored.quantization.quantizedDimension = axis
        stored.buffer = self._buffer(numbers)
        self._graph.tensors.append(stored)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._dequantise()
        operator.inputs = np.array([len(self._graph.tensors) - 1], dtype=np.int32)
        operator.outputs = np.array([kernel], dtype=np.int32)
        return operator

    def _buffer(self, values: npt.NDArray[Any]) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), dtype=np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _dequantise(self) -> int:
        """The operator's place in the model's list of those it uses."""
        kind = self._schema.BuiltinOperator.DEQUANTIZE
        for number, known in enumerate(self._model.operatorCodes):
            if known.builtinCode == kind and known.version >= DEQUANTIZE_VERSION:
                return number
        made = self._schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = kind
        made.version = DEQUANTIZE_VERSION
        self._model.operatorCodes.append(made)
        return len(self._model.operatorCodes) - 1

    def _drop_unused(self) -> None:
        """Empty the buffers that no tensor and no metadata names any more: the old kernels."""
        named = {int(tensor.buffer) for tensor in self._used_tensors()}
        named |= {int(entry.buffer) for entry in self._model.metadata or []}
        for number, buffer in enumerate(self._model.buffers):
            if number not in named:
                buffer.data = None

    def _used_tensors(self) -> list[Any]:
        numbers = {int(number) for number in [*self._graph.inputs, *self._graph.outputs]}
        for operator in self._graph.operators:
            numbers |= {int(number) for number in [*operator.inputs, *operator.outputs] if number >= 0}
        return [self._graph.tensors[number] for number in numbers]
