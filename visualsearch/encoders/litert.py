"""Runs an exported model with LiteRT, on the CPU with XNNPACK."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.base import Vectors
from visualsearch.encoders.model_file import ModelDescription
from visualsearch.exceptions import EncoderError, InvalidWeights

LAST_KERNELS = (1280, 1, 1)  # MobileNetV2's last convolution: that many kernels of 1 x 1 ...
LAST_CHANNELS = 320  # ... over so many channels, times the width (Sandler et al. 2018, table 2)

TensorKind = tuple[tuple[int, ...], str]  # shape and dtype


class LiteRTRuntime:
    """One interpreter, loaded by the first call, used by one thread at a time.

    A batch goes through it image by image. Measured with width 1.0 on 2 cores: 4.7 ms an image this way, 5.2 ms in
    a tensor of 8 images, whose activations outgrow the cache and take 50 MB more; on busy cores there is no
    difference either.
    """

    def __init__(self, path: Path, description: ModelDescription, threads: int) -> None:
        if type(threads) is not int or threads < 1:
            raise EncoderError(f"VISUALSEARCH['THREADS'] is {threads!r}; it must be a whole number above 0.")
        self._path = path
        self._description = description
        self._threads = threads
        self._interpreter: Any = None
        self._input = self._output = 0  # the interpreter's numbers of these two tensors
        self._lock = Lock()
        _runtimes.add(self)

    def run(self, batch: Sequence[npt.NDArray[np.uint8]]) -> Vectors:
        """Embeddings, float32 (n, dimensions), of uint8 (side, side, 3) arrays.

        Raises InvalidWeights where the file is damaged or another kind of model.
        """
        vectors = np.empty((len(batch), self._description.dimensions), dtype=np.float32)
        with self._lock:
            if self._interpreter is None:
                self._interpreter = self._load()
            for row, pixels in zip(vectors, batch, strict=True):
                self._invoke(pixels, row)
        return vectors

    def _invoke(self, pixels: npt.NDArray[np.uint8], out: npt.NDArray[np.float32]) -> None:
        """Run the model on one image: pixels are scaled to -1..1 straight into its input, with no copy between.

        ``interpreter.tensor(...)()`` is a view of the model's own memory, and must be gone when the model runs.
        """
        view = self._interpreter.tensor(self._input)()
        np.divide(pixels, np.float32(127.5), out=view[0])
        view -= 1
        del view
        self._interpreter.invoke()
        out[:] = self._interpreter.tensor(self._output)()[0]

    def _load(self) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        try:
            # Read, not mapped: a file that is overwritten in its place would end the process, or change its model.
            interpreter = Interpreter(model_content=self._path.read_bytes(), num_threads=self._threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            raise InvalidWeights(f"{self._path} is damaged or no LiteRT model; build or install it again.") from exc
        except OSError as exc:
            raise InvalidWeights(f"{self._path} cannot be read: {exc.strerror}.") from exc
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        self._require([_kind(tensor) for tensor in [*inputs, *outputs]])
        self._require_width(interpreter)
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        return interpreter

    def _require(self, found: list[TensorKind]) -> None:
        side, dimensions = self._description.side, self._description.dimensions
        expected = [((1, side, side, 3), "float32"), ((1, dimensions), "float32")]
        if found != expected:
            raise InvalidWeights(
                f"{self._path} does not fit {self._description.name}: its tensors are {_sentence(found)}, "
                f"expected {_sentence(expected)}."
            )

    def _require_width(self, interpreter: Any) -> None:
        """Inputs and outputs are the same at every width; what the last convolution takes is not."""
        shapes = {tuple(int(length) for length in tensor["shape"]) for tensor in interpreter.get_tensor_details()}
        widths = {shape[3] / LAST_CHANNELS for shape in shapes if len(shape) == 4 and shape[:3] == LAST_KERNELS}
        if widths and self._description.width not in widths:
            raise InvalidWeights(
                f"{self._path} does not fit {self._description.name}: it is a MobileNetV2 of width "
                f"{', '.join(map(str, sorted(widths)))}, expected {self._description.width}."
            )

    def _after_fork(self) -> None:
        """Start anew in a child process: the interpreter's threads, and who held the lock, stayed in the parent."""
        if self._interpreter is not None:
            # Its destructor joins those threads; here, where they do not exist, it must never run.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._interpreter))
            self._interpreter = None
        self._lock = Lock()


def _kind(tensor: dict[str, Any]) -> TensorKind:
    return tuple(int(length) for length in tensor["shape"]), np.dtype(tensor["dtype"]).name


def _sentence(kinds: list[TensorKind]) -> str:
    return " and ".join(f"{dtype} {shape}" for shape, dtype in kinds)


_runtimes: weakref.WeakSet[LiteRTRuntime] = weakref.WeakSet()


def _forget_parent() -> None:
    for runtime in list(_runtimes):
        runtime._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
