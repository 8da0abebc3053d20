"""Folds a head into a .tflite model: its operators are added behind the model's output. Needs no TensorFlow.

The model is changed as the flatbuffer that it is, so that any base will do: bundled, exported, of half precision or
finetuned before. Operators: https://ai.google.dev/edge/litert/conversion/tensorflow/operator_compatibility
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.encoders.base import Vectors
from visualsearch.encoders.head import Head

from .exceptions import TrainingError

IDENTIFIER = b"TFL3"  # of the format, in each file


def fold(model: Path | bytes, head: Head) -> bytes:
    """The .tflite model with ``head`` behind it, which gives [unit(matrix x + bias), share x] of its output x.

    x is scaled to unit length first; ``Head.apply`` of unit vectors and the folded model's, scaled, are the same.

    Raises TrainingError where the file is no model with one float32 output as long as the head's input.
    """
    graph = _Graph(model)
    features = graph.output()
    rows, columns = head.matrix.shape
    if graph.length(features) != columns:
        raise TrainingError(f"The head takes {columns} numbers, and the model gives {graph.length(features)}.")
    schema = graph.schema
    operator = schema.BuiltinOperator
    unit = graph.add(operator.L2_NORMALIZATION, [features], columns, "L2Norm", "visualsearch/original")
    matrix = graph.constant(head.matrix, "visualsearch/matrix")
    bias = graph.constant(head.bias, "visualsearch/bias")
    projected = graph.add(operator.FULLY_CONNECTED, [unit, matrix, bias], rows, "FullyConnected", "visualsearch/head")
    direction = graph.add(operator.L2_NORMALIZATION, [projected], rows, "L2Norm", "visualsearch/projected")
    share = graph.constant(np.array([head.share], dtype=np.float32), "visualsearch/share")
    shared = graph.add(operator.MUL, [unit, share], columns, "Mul", "visualsearch/shared")
    joined = graph.add(
        operator.CONCATENATION, [direction, shared], rows + columns, "Concatenation", "visualsearch/joined", axis=-1
    )
    graph.give(joined)
    return graph.packed()


class _Graph:
    """The one subgraph of a model, as objects of the format's schema."""

    def __init__(self, model: Path | bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema: Any = schema
        content = model if isinstance(model, bytes) else model.read_bytes()
        if content[4:8] != IDENTIFIER:
            raise TrainingError("The encoder's file is no .tflite model.")
        self._model = schema.ModelT.InitFromPackedBuf(content, 0)
        self._graph = self._model.subgraphs[0]

    def output(self) -> int:
        """The number of the only output tensor, float32 (1, n)."""
        outputs = [int(number) for number in self._graph.outputs]
        if len(self._model.subgraphs) != 1 or len(outputs) != 1:
            raise TrainingError("The encoder's model has more than one output; a head needs exactly one.")
        if self._graph.tensors[outputs[0]].type != self.schema.TensorType.FLOAT32:
            raise TrainingError("The encoder's model gives no float32 numbers; a head needs them.")
        return outputs[0]

    def length(self, tensor: int) -> int:
        return int(self._graph.tensors[tensor].shape[-1])

    def constant(self, values: Vectors, name: str) -> int:
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values, dtype="<f4").tobytes(), dtype=np.uint8)
        self._model.buffers.append(buffer)
        return self._tensor(list(values.shape), name, len(self._model.buffers) - 1)

    def add(
        self, operator: int, inputs: list[int], length: int, options: str, name: str, axis: int | None = None
    ) -> int:
        """A new operator's output, float32 (1, length)."""
        output = self._tensor([1, length], name, buffer=0)  # buffer 0 is the empty one, by convention
        made = self.schema.OperatorT()
        made.opcodeIndex = self._code(operator)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        made.builtinOptionsType = getattr(self.schema.BuiltinOptions, f"{options}Options")
        made.builtinOptions = getattr(self.schema, f"{options}OptionsT")()
        if axis is not None:
            made.builtinOptions.axis = axis
        self._graph.operators.append(made)
        return output

    def give(self, tensor: int) -> None:
        """Make this tensor the model's output, under the name that the old one had."""
        before = int(self._graph.outputs[0])
        self._graph.outputs = np.array([tensor], np.int32)
        for signature in self._model.signatureDefs or []:
            for output in signature.outputs:
                if output.tensorIndex == before:
                    output.tensorIndex = tensor

    def packed(self) -> bytes:
        import flatbuffers  # type: ignore[import-untyped]

        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, operator: int) -> int:
        """The operator's place in the model's list of those it uses, first versions."""
        for number, known in enumerate(self._model.operatorCodes):
            if known.builtinCode == operator and known.version == 1:
                return number
        made = self.schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = operator
        made.version = 1
        self._model.operatorCodes.append(made)
        return len(self._model.operatorCodes) - 1

    def _tensor(self, shape: list[int], name: str, buffer: int) -> int:
        tensor = self.schema.TensorT()
        tensor.shape = np.array(shape, np.int32)
        tensor.type = self.schema.TensorType.FLOAT32
        tensor.buffer = buffer
        tensor.name = name.encode()
        tensor.hasRank = True
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1
