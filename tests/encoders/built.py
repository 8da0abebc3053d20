"""Real weights, exported once into a cache that later test runs reuse. The test process never imports TensorFlow."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from visualsearch.encoders import encoder_class
from visualsearch.encoders.model_file import ModelFile

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED_WEIGHTS = ROOT.parent / "shared" / "weights"
WEIGHT_FILES = {
    "mobilenet_v2": "mobilenet_v2_1.0_224_imagenet_notop.weights.h5",
    "mobilenet_v2_compact": "mobilenet_v2_0.35_224_imagenet_notop.weights.h5",
}
EXPORT = """
import sys
from django.conf import settings
settings.configure(VISUALSEARCH={"MODEL_CACHE": sys.argv[1]})
from visualsearch.encoders import encoder_class
from visualsearch.encoders.keras_zoo import export
from visualsearch.encoders.model_file import ModelFile
export(ModelFile(encoder_class(sys.argv[2]).description, sys.argv[3]))
"""


def real_weights(name: str) -> Path:
    """The .weights.h5 file with real ImageNet weights for a bundled encoder; skips the test where it is absent."""
    path = SHARED_WEIGHTS / WEIGHT_FILES[name]
    if not path.is_file():
        pytest.skip(f"needs real weights: there is no {path}")
    return path


def model_cache() -> Path:
    return Path(settings.VISUALSEARCH["MODEL_CACHE"])


def ensure_built(name: str, weights: str | Path | None = None) -> Path:
    """The exported .tflite of an encoder's real weights (or of ``weights``), built in a subprocess if it is
    missing.

    Processes that come at the same time wait for the first one's export.
    """
    source = real_weights(name) if weights is None else weights
    file = ModelFile(encoder_class(name).description, source)
    cache = model_cache()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / ".lock"):
        if not file.is_built:
            run_python(EXPORT, str(cache), name, str(source))
    return file.built_path()


def real_settings(name: str = "mobilenet_v2") -> dict[str, Any]:
    """``VISUALSEARCH`` settings with which ``get_encoder()`` is ``name`` with real weights, exported and ready."""
    ensure_built(name)
    return {**settings.VISUALSEARCH, "ENCODER": name, "WEIGHTS": str(real_weights(name))}


def run_python(code: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What a fresh interpreter prints for this code; fails with its error output where it exits with another status."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
