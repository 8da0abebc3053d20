"""One runtime with one model in a process of its own: loads it, then measures what is asked for, line by line.

``python -m benchmarks.measures.runtimes RUNTIME MODEL WIDTH THREADS`` prints a JSON line when it is ready, and answers
each line ``BATCH SECONDS`` on stdin by another. All take the same resized pictures, uint8, and give their embeddings.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Embed = Callable[[Sequence[Image.Image]], Any]

SIDE, LARGEST_BATCH = 224, 8
# What importing a runtime means, and the packages that it takes, apart from numpy.
MODULES = {
    "litert": ("visualsearch.encoders.mobilenet", "ai_edge_litert.interpreter"),
    "predict": ("tensorflow", "keras"),
    "function": ("tensorflow", "keras"),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
}
PACKAGES = {
    "litert": ("ai-edge-litert",),
    "predict": ("tensorflow-cpu", "tensorflow", "keras"),
    "function": ("tensorflow-cpu", "tensorflow", "keras"),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
}


def main() -> None:
    runtime, model, width, threads = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    settings.configure(VISUALSEARCH={"THREADS": threads})
    start = time.perf_counter()
    for module in MODULES[runtime]:
        importlib.import_module(module)
    imported = time.perf_counter() - start
    embed: Embed = globals()[f"_{runtime}"](model, width, threads)
    images = pictures(LARGEST_BATCH)
    vectors = np.asarray(embed(images[:1]))
    ready = time.perf_counter() - start
    embed(images)  # some prepare for each batch size
    answer({"import_s": imported, "ready_s": ready, "version": version(runtime), "vector": vectors[0].tolist()})
    for line in sys.stdin:
        batch, seconds = line.split()
        answer(measured(embed, images[: int(batch)], float(seconds)))


def measured(embed: Embed, images: Sequence[Image.Image], seconds: float) -> dict[str, Any]:
    """Median milliseconds of a call, by the clock and of processor time, of the calls that fit in these seconds."""
    wall, processor = [], []
    end = time.perf_counter() + seconds
    while not wall or time.perf_counter() < end:
        clock, own = time.perf_counter(), time.process_time()
        embed(images)
        wall.append(time.perf_counter() - clock)
        processor.append(time.process_time() - own)
    return {"ms": float(np.median(wall)) * 1000, "cpu_ms": float(np.median(processor)) * 1000, "mb": resident_mb()}


def pictures(count: int) -> list[Image.Image]:
    """Coloured blotches of the model's size, the same everywhere."""
    generator = np.random.default_rng(0)
    cells = [generator.integers(0, 256, (number + 3, 5, 3), dtype=np.uint8) for number in range(count)]
    return [Image.fromarray(part).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for part in cells]


def resident_mb() -> float:
    """Memory that the process holds, shared pages of libraries and models among it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def version(runtime: str) -> str:
    return importlib.metadata.version(_installed(PACKAGES[runtime])[0])


def installed_mb(packages: Sequence[str]) -> float:
    """Size of these packages' files, of those that are installed."""
    files = [file for name in _installed(packages) for file in importlib.metadata.files(name) or []]
    return sum(size for file in files if (size := _size(Path(str(file.locate()))))) / 1e6


def _installed(packages: Sequence[str]) -> list[str]:
    found = {
        str(distribution.metadata["Name"]).lower().replace("_", "-")
        for distribution in importlib.metadata.distributions()
    }
    return [name for name in packages if name in found]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() and path.suffix != ".pyc" else 0


def answer(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)


def _litert(model: Path, width: float, threads: int) -> Embed:
    """Ours, as a shop has it: from pictures to unit vectors. The number of threads is in the settings."""
    from visualsearch.encoders.mobilenet import MobileNetV2, MobileNetV2Compact
    from visualsearch.encoders.model_file import ModelFile

    found = next(each for each in (MobileNetV2, MobileNetV2Compact) if each.description.width == width)
    return found(ModelFile(found.description, model)).encode


def _scaled(images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
    pixels: npt.NDArray[np.float32] = np.stack([np.asarray(image) for image in images]).astype(np.float32)
    pixels /= np.float32(127.5)
    pixels -= np.float32(1)
    return pixels


def _keras_file(model: Path, width: float, threads: int) -> Any:
    from visualsearch.encoders.keras_zoo import import_tensorflow
    from visualsearch.encoders.model_file import ModelDescription, ModelFile

    threading = import_tensorflow().config.threading
    threading.set_intra_op_parallelism_threads(threads)
    threading.set_inter_op_parallelism_threads(threads)
    return ModelFile(ModelDescription("mobilenet_v2", width=width), model)


def _predict(model: Path, width: float, threads: int) -> Embed:
    from visualsearch.encoders.keras_zoo import build_model

    built = build_model(_keras_file(model, width, threads))
    return lambda images: built.predict(_scaled(images), verbose=0)


def _function(model: Path, width: float, threads: int) -> Embed:
    """The package's other runtime, ``VISUALSEARCH["RUNTIME"] = "tensorflow"``."""
    from visualsearch.encoders.keras_zoo import KerasRuntime

    runtime = KerasRuntime(_keras_file(model, width, threads))
    return lambda images: runtime.run([np.asarray(image) for image in images])


def _onnxruntime(model: Path, width: float, threads: int) -> Embed:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: _scaled(images)})[0]


def _openvino(model: Path, width: float, threads: int) -> Embed:
    """Reads the .tflite itself. Its fastest form: a model compiled for each batch size, that takes the uint8."""
    import openvino
    from openvino.preprocess import PrePostProcessor

    core = openvino.Core()
    requests: dict[int, Any] = {}

    def compiled(count: int) -> Any:
        network = core.read_model(str(model))
        network.reshape([count, SIDE, SIDE, 3])
        steps = PrePostProcessor(network)
        steps.input().tensor().set_element_type(openvino.Type.u8)
        steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(127.5).scale(127.5)
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        return core.compile_model(steps.build(), "CPU", options).create_infer_request()

    def embed(images: Sequence[Image.Image]) -> Any:
        count = len(images)
        if count not in requests:
            requests[count] = compiled(count)
        requests[count].infer({0: np.stack([np.asarray(image) for image in images])})
        return requests[count].get_output_tensor(0).data.copy()

    return embed


if __name__ == "__main__":
    main()
