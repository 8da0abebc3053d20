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


class LiteRTRuntime:
    """One interpreter, loaded by the first call, used by one thread at a time.

    It takes one image at a time, also in a batch: measured on 2 cores (width 1.0), 4.7 ms an image so against 5.2 ms
    in a tensor of 8 images, whose activations no longer fit the cache and cost 50 MB more.
    """

    def __init__(self, path: Path, description: ModelDescription, threads: int) -> None:
        if not isinstance(threads, int) or threads < 1:
            raise EncoderError(
                f"VISUALSEARCH['THREADS'] is {threads!r}; it must be a whole number of at least 1."
            )
        self._path = path
        self._description = description
        self._threads = threads
        self._interpreter: Any = None
        self._lock = Lock()
        _runtimes.add(self)

    def run(self, batch: Sequence[npt.NDArray[np.uint8]]) -> Vectors:
        """Embeddings, float32 (n, dimensions), of uint8 (side, side, 3) arrays.

        Raises EncoderError where the file is damaged, InvalidWeights where it is another kind of model.
        """
        vectors = np.empty((len(batch), self._description.dimensions), dtype=np.float32)
        with self._lock:
            if self._interpreter is None:
                self._interpreter = self._load()
            for row, pixels in zip(vectors, batch, strict=True):
                _invoke(self._interpreter, pixels, row)
        return vectors

    def _load(self) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        try:
            # By path, so that the file is mapped: its pages are shared by all processes and need no copy.
            interpreter = Interpreter(model_path=str(self._path), num_threads=self._threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            raise EncoderError(
                f"{self._path} is damaged or not a LiteRT model; build or install it again."
            ) from exc
        self._require_shapes(interpreter)
        return interpreter

    def _require_shapes(self, interpreter: Any) -> None:
        side, dimensions = self._description.side, self._description.dimensions
        expected = [((1, side, side, 3), np.float32), ((1, dimensions), np.float32)]
        tensors = [*interpreter.get_input_details(), *interpreter.get_output_details()]
        found = [(tuple(map(int, tensor["shape"])), tensor["dtype"]) for tensor in tensors]
        if found != expected:
            raise InvalidWeights(
                f"{self._path} does not fit {self._description.name}: it has {_sentence(found)}, expected "
                f"{_sentence(expected)}."
            )

    def _after_fork(self) -> None:
        """Start anew in a child process: the interpreter's threads and a lock's holder stayed in the parent."""
        if self._interpreter is not None:
            # Its destructor would wait for those threads for ever, so that it must never run.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._interpreter))
            self._interpreter = None
        self._lock = Lock()


def _invoke(interpreter: Any, pixels: npt.NDArray[np.uint8], out: npt.NDArray[np.float32]) -> None:
    """Run the model on one image. Pixels are scaled to -1..1 straight into the input tensor, with no copy between.

    ``interpreter.tensor(...)()`` is a view of the model's own memory; it must be gone when the model runs.
    """
    view = interpreter.tensor(interpreter.get_input_details()[0]["index"])()
    np.divide(pixels, np.float32(127.5), out=view[0])
    view -= 1
    del view
    interpreter.invoke()
    out[:] = interpreter.tensor(interpreter.get_output_details()[0]["index"])()[0]


def _sentence(tensors: Sequence[tuple[tuple[int, ...], Any]]) -> str:
    return " and ".join(f"{np.dtype(dtype).name} {shape}" for shape, dtype in tensors)


_runtimes: weakref.WeakSet[LiteRTRuntime] = weakref.WeakSet()


def _forget_parent() -> None:
    for runtime in list(_runtimes):
        runtime._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
