"""What tests ask of a process that has TensorFlow; the test's own process never imports it.

Every function here runs there, and takes and returns what can be pickled.
"""

from __future__ import annotations

import io
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management import call_command
from django.test import override_settings

from visualsearch.encoders import encoder_class, keras_zoo
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.encoders.model_file import ModelFile
from visualsearch.management.commands.visualsearch_encoder import Command


def start(keras_home: str) -> None:
    """Keep Keras's downloads in a folder of the tests' own, and let no download succeed."""
    os.environ.update(KERAS_HOME=keras_home, https_proxy="http://127.0.0.1:9", no_proxy="")


def keras_output(width: float, weights: str, pixels: np.ndarray) -> np.ndarray:
    """Keras's own model, loader and scaling, with none of our code: pixels uint8 (n, 224, 224, 3)."""
    import keras

    model = keras.applications.MobileNetV2((224, 224, 3), alpha=width, include_top=False, pooling="avg", weights=None)
    model.load_weights(weights)
    return np.asarray(model(keras.applications.mobilenet_v2.preprocess_input(pixels.astype(np.float32))))


def saved_by_keras(target: str) -> dict[str, tuple[int, ...]]:
    """Save a MobileNetV2 as Keras does; the place and shape of every tensor as we expect them in that file."""
    model = keras_zoo.build_model(ModelFile(encoder_class("mobilenet_v2_compact").description, "random"))
    model.save_weights(target)
    return {place: tuple(variable.shape) for place, variable in keras_zoo.weight_names(model).items()}


def random_weights(name: str) -> list[np.ndarray]:
    return [np.asarray(v) for v in keras_zoo.build_model(ModelFile(encoder_class(name).description, "random")).weights]


def export(name: str, weights: str, target: str, float16: bool = False) -> None:
    keras_zoo.export(ModelFile(encoder_class(name).description, weights), Path(target), float16=float16)


def load(name: str, weights: str) -> None:
    keras_zoo.build_model(ModelFile(encoder_class(name).description, weights))


def encode(settings: dict[str, Any], pictures: list[Any]) -> np.ndarray:
    with override_settings(VISUALSEARCH=settings):
        return _encoder().encode(pictures)


def encode_in_a_fork(settings: dict[str, Any], pictures: list[Any]) -> str:
    """The name and text of what is raised in a child of a process that has encoded."""
    with override_settings(VISUALSEARCH=settings):
        encoder = _encoder()
        encoder.encode(pictures)
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        child = context.Process(target=_answer, args=(encoder, pictures, answers))
        child.start()
        child.join(60)
        return answers.get()


def _answer(encoder: MobileNetV2, pictures: list[Any], answers: Any) -> None:
    try:
        answers.put(f"encoded {encoder.encode(pictures).shape}")
    except Exception as error:
        answers.put(f"{type(error).__name__}: {error}")


def _encoder() -> MobileNetV2:
    found = encoder_class()
    assert issubclass(found, MobileNetV2)
    return found()


def command(settings: dict[str, Any], *arguments: str) -> str:
    """What ``manage.py visualsearch_encoder`` prints. Raises CommandError as it does."""
    with override_settings(VISUALSEARCH=settings):
        out = io.StringIO()
        call_command(Command(stdout=out), *arguments)
        return out.getvalue()
