from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.encoders import keras_side
from tests.encoders.built import ensure_built, real_settings


@pytest.fixture(scope="session")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Calls a function of ``keras_side`` in the session's one process that has TensorFlow."""
    context = multiprocessing.get_context("spawn")
    home = str(tmp_path_factory.mktemp("keras"))
    with ProcessPoolExecutor(1, mp_context=context, initializer=keras_side.start, initargs=(home,)) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result(timeout=300)


@pytest.fixture(params=["mobilenet_v2", "mobilenet_v2_compact"])
def each_real(request: pytest.FixtureRequest, settings: Any) -> str:
    """Each bundled encoder in turn, with real weights, as the one in the settings."""
    settings.VISUALSEARCH = real_settings(request.param)
    return request.param


@pytest.fixture
def real(settings: Any) -> Path:
    """The compact encoder with real weights as the one in the settings; the path of its model."""
    settings.VISUALSEARCH = real_settings("mobilenet_v2_compact")
    return ensure_built("mobilenet_v2_compact")
