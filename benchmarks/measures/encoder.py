"""One image and batches of 8 through LiteRT and what else could run the model; what each takes to start and to hold."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from benchmarks.contest import PACKAGES, Contestant, Entry, contest, play
from benchmarks.measures.runtimes import PACKAGES as OF_RUNTIME
from benchmarks.measures.runtimes import installed_mb
from benchmarks.stage import BASE_DIR, WEIGHTS, CannotMeasure, build, say
from visualsearch.encoders import encoder_class
from visualsearch.encoders.model_file import ModelFile

REQUIREMENTS = BASE_DIR / "benchmarks" / "requirements.txt"
NAMES = {
    "litert": "LiteRT",
    "predict": "keras.Model.predict",
    "function": "tf.function",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}
THREADS = (1, 2)
ROUNDS, QUICK = 12, 2
SECONDS = 0.12  # a turn
WIDTH, DEFAULT_THREADS = 1.0, 2  # what the goals are for

Row = dict[str, Any]


def measure(*, quick: bool) -> dict[str, Any]:
    """Each width and number of threads has a contest of its own, so that at most two TensorFlows are in memory."""
    if quick:
        bundled = encoder_class("mobilenet_v2_compact").description
        file = ModelFile(bundled, None)
        contests = [[Entry(NAMES["litert"], "litert", file.built_path(), bundled.width, 1)]]
    else:
        _install()
        contests = [_entries(name, threads) for name in WEIGHTS for threads in THREADS]
    rows: list[Row] = []
    for entries in contests:
        with contest(entries) as contestants:
            play(contestants, QUICK if quick else ROUNDS, SECONDS / 10 if quick else SECONDS)
            rows += [_row(contestant, contestants[0]) for contestant in contestants]
    about = {"encoder": "mobilenet_v2_compact"} if quick else {}
    return about | {"rounds": QUICK if quick else ROUNDS} | goals(rows) | {"runtimes": rows}


def goals(rows: Sequence[Row]) -> dict[str, Any]:
    """LiteRT with one image at width 1.0: by the clock with the default number of threads, and by processor time with
    one thread, which other work on the machine hardly changes; None where it was not measured."""
    clock = _others(rows, DEFAULT_THREADS, "one_litert_is_times_as_fast")
    processor = _others(rows, 1, "one_cpu_litert_is_times_as_fast")
    fastest = min(clock, key=clock.__getitem__, default=None)
    return {
        "one_image_vs_predict": clock.get(NAMES["predict"]),
        "one_image_vs_fastest": clock[fastest] if fastest else None,
        "fastest_other": fastest,
        "one_image_cpu_vs_predict": processor.get(NAMES["predict"]),
        "one_image_cpu_vs_fastest": min(processor.values(), default=None),
    }


def _others(rows: Sequence[Row], threads: int, key: str) -> dict[str, float]:
    """A ratio of each other runtime, at width 1.0."""
    found = (row for row in rows if (row["width"], row["threads"]) == (WIDTH, threads))
    return {row["runtime"]: row[key] for row in found if row["runtime"] != NAMES["litert"]}


def _row(contestant: Contestant, litert: Contestant) -> Row:
    """The contest's first is LiteRT."""
    entry = contestant.entry
    ours, theirs = (np.asarray(one.about["vector"]) for one in (litert, contestant))
    cosine = float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs))
    return {
        "runtime": entry.name,
        "version": contestant.about["version"],
        "width": entry.width,
        "threads": entry.threads,
        "one_ms": round(contestant.median(1), 2),
        "one_cpu_ms": round(contestant.cpu_median(1), 2),
        "one_litert_is_times_as_fast": round(litert.times_as_fast(contestant, 1), 2),
        "one_cpu_litert_is_times_as_fast": round(contestant.cpu_median(1) / litert.cpu_median(1), 2),
        "eight_images_per_s": round(8000 / contestant.median(8), 1),
        "eight_litert_is_times_as_fast": round(litert.times_as_fast(contestant, 8), 2),
        "import_s": round(contestant.about["import_s"], 2),
        "ready_s": round(contestant.about["ready_s"], 2),
        "resident_mb": round(contestant.mb),
        "installed_mb": round(_installed_mb(entry.runtime)),
        "cosine_to_litert": round(cosine, 6),
    }


def _installed_mb(runtime: str) -> float:
    sys.path.append(str(PACKAGES))
    try:
        return installed_mb(OF_RUNTIME[runtime])
    finally:
        sys.path.remove(str(PACKAGES))


def _entries(name: str, threads: int) -> list[Entry]:
    weights = WEIGHTS[name]
    if not weights.is_file():
        raise CannotMeasure(f"There are no weights for {name}: {weights} is absent.")
    description = encoder_class(name).description
    file = ModelFile(description, weights)
    if not file.is_built:
        build(name, "--weights", str(weights))
    models = {"predict": weights, "function": weights, "onnxruntime": _onnx(file.built_path())}
    return [
        Entry(NAMES[runtime], runtime, models.get(runtime, file.built_path()), description.width, threads)
        for runtime in NAMES
    ]


def _install() -> None:
    """The packages of requirements.txt, once; a file beside them says which they are."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    mark = PACKAGES / "installed"
    if mark.is_file() and mark.read_text() == wanted:
        return
    say("installing ONNX Runtime and OpenVINO into var/bench-packages")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target", str(PACKAGES)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "-r", str(REQUIREMENTS)], stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise CannotMeasure("ONNX Runtime and OpenVINO could not be installed (benchmarks/requirements.txt).")
    mark.write_text(wanted)


def _onnx(tflite: Path) -> Path:
    """The same model for ONNX Runtime, converted from the .tflite once."""
    target = Path(settings.VISUALSEARCH["MODEL_CACHE"]) / f"{tflite.stem}.onnx"
    if not target.is_file():
        say(f"{target.name}")
        temporary = target.with_suffix(f".{os.getpid()}.onnx")
        command = [sys.executable, "-m", "tf2onnx.convert", "--tflite", str(tflite), "--output", str(temporary)]
        environment = {**os.environ, "PYTHONPATH": str(PACKAGES), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run([*command, "--opset", "17"], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotMeasure(f"{tflite.name} could not be converted for ONNX Runtime: {done.stderr[-200:]}")
        temporary.replace(target)
    return target
