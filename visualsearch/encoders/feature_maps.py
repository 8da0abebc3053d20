"""Reads an exported model's last feature map: what its embedding is the average of.

The file on disk is left as it is, and so is its fingerprint. A copy in memory gets another output: the tensor that the
model averages over the picture. LiteRT runs it with XNNPACK at the speed of the original, at any size in whole steps
of 32 px, where every layer pads as at 224 px. The average of the map at 224 px is the embedding (measured: to 5e-7).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.base import Maps
from visualsearch.encoders.litert import LiteRTRuntime, _kind
from visualsearch.encoders.model_file import ModelDescription
from visualsearch.exceptions import EncoderError, NoFeatureMap

STEP = 32  # pixels of the picture to one place of the map
LAST_SIZES = 6  # interpreters kept, one for each size asked for last: 25 to 45 MB each at width 0.35, 50 to 80 at 1.0
OUTPUTS_FIELD = 8  # of SubGraph in the format's schema (tensorflow/lite/schema/schema.fbs): its third field


class MapRuntime(LiteRTRuntime):
    """One interpreter for pictures of one size, loaded by the first call, used by one thread at a time."""

    def __init__(self, path: Path, description: ModelDescription, threads: int, size: tuple[int, int]) -> None:
        """``size`` is width and height in pixels, each a multiple of 32. Raises EncoderError for another."""
        super().__init__(path, description, threads)
        if any(type(length) is not int or length < STEP or length % STEP for length in size):
            raise EncoderError(f"A feature map is of a picture whose sides are multiples of {STEP} px, not {size!r}.")
        self._width, self._height = size
        self._channels = 0

    def run(self, batch: Sequence[npt.NDArray[np.uint8]]) -> Maps:
        """Feature maps, float32 (n, height / 32, width / 32, channels), of uint8 (height, width, 3) arrays.

        Raises EncoderError where the file is damaged, NoFeatureMap where its embedding is no average over places.
        """
        with self._lock:
            if self._interpreter is None:
                self._interpreter = self._load()
            shape = (len(batch), self._height // STEP, self._width // STEP, self._channels)
            maps = np.empty(shape, dtype=np.float32)
            for row, pixels in zip(maps, batch, strict=True):
                self._invoke(pixels, row)
        return maps

    def _load(self) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        content = with_map_as_output(self._path)
        try:
            interpreter = Interpreter(model_content=content, num_threads=self._threads)
            self._input = interpreter.get_input_details()[0]["index"]
            interpreter.resize_tensor_input(self._input, (1, self._height, self._width, 3))
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            raise EncoderError(f"{self._path} is damaged or no LiteRT model; build or install it again.") from exc
        output = interpreter.get_output_details()[0]
        shape, dtype = _kind(output)
        if len(shape) != 4 or shape[:3] != (1, self._height // STEP, self._width // STEP) or dtype != "float32":
            raise NoFeatureMap(f"{self._path} gives no feature map of float32 places: its last one is {dtype} {shape}.")
        self._output, self._channels = output["index"], shape[3]
        return interpreter


def with_map_as_output(path: Path) -> bytes:
    """The model's bytes with the tensor that is averaged over the picture as its output, instead of what follows.

    Four bytes differ from the file's. Raises NoFeatureMap where nothing is averaged, EncoderError for what is no model.
    """
    from ai_edge_litert import schema_py_generated as schema

    content = bytearray(path.read_bytes())
    try:
        model = schema.Model.GetRootAs(content, 0)
        graph = model.Subgraphs(0)
        averaged = _averaged(schema, model, graph)
        place = graph._tab.Vector(graph._tab.Offset(OUTPUTS_FIELD))
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as exc:
        raise EncoderError(f"{path} is damaged or no LiteRT model; build or install it again.") from exc
    if averaged is None or graph.OutputsLength() != 1:
        raise NoFeatureMap(f"The embedding of {path} is not the average of a feature map.")
    struct.pack_into("<i", content, place, averaged)
    return bytes(content)


def _averaged(schema: Any, model: Any, graph: Any) -> int | None:
    """The number of the tensor that the last MEAN of the graph averages, where it has four dimensions."""
    for number in reversed(range(graph.OperatorsLength())):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        if code.BuiltinCode() == schema.BuiltinOperator.MEAN:
            tensor = int(operator.Inputs(0))
            return tensor if graph.Tensors(tensor).ShapeLength() == 4 else None
    return None
