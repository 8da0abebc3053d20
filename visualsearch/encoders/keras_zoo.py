"""Builds Keras's MobileNetV2 and exports it to a .tflite file: the only TensorFlow import of the package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.base import Vectors
from visualsearch.encoders.head import read_encoder_file
from visualsearch.encoders.int8 import int8_weights
from visualsearch.encoders.model_file import ModelDescription, ModelFile, sealed, write_whole
from visualsearch.exceptions import EncoderError, InvalidWeights, MissingExtra

SEED = 0  # of "random" weights


def export(
    file: ModelFile,
    target: Path | None = None,
    *,
    float16: bool = False,
    int8: bool = False,
    calibration: Sequence[npt.NDArray[np.uint8]] = (),
) -> Path:
    """Build the model and write its .tflite file, in the model cache unless ``target`` names another.

    Takes seconds and imports TensorFlow. The file appears whole or not at all.

    With ``float16`` or ``int8`` the weights are stored in half or a quarter of the bytes, and the model still computes
    in float32; ``int8`` also takes weights that are a .tflite file, and needs no TensorFlow then. With ``calibration``
    besides, uint8 pictures (side, side, 3) of the kind that will be searched, it computes in int8 with the ranges found
    on them, and takes a minute. The embeddings differ a little, so such a file needs a ``target`` and is used as
    weights of its own.

    Raises MissingExtra without TensorFlow, InvalidWeights where the weights do not fit, EncoderError where
    they are already a .tflite file or cannot be fetched.
    """
    if (float16 or int8) and target is None:
        kind = "An int8" if int8 else "A float16"
        raise EncoderError(f"{kind} export needs a target file: its embeddings differ from the float32 model's.")
    if (float16 and int8) or (len(calibration) and not int8):
        raise EncoderError("An export is float16 or int8, and pictures to calibrate with are for int8 alone.")
    fingerprint = file.fingerprint
    if int8 and not len(calibration):
        content = int8_weights(_exported(file) if file.is_exported else converted(build_model(file)))
    else:
        content = converted(build_model(file), float16=float16, calibration=calibration)
    if file.fingerprint != fingerprint:
        raise EncoderError(f"{file.source} changed while it was read; build it again.")
    return _write(target, content) if target else _write(file.path, sealed(content))


def build_model(file: ModelFile) -> Any:
    """The ``keras.Model`` of these weights: float32 (n, side, side, 3) in -1..1 to (n, dimensions).

    Raises as ``export`` does.
    """
    if file.is_exported:
        raise EncoderError(f"{file.source} is an exported model; Keras needs imagenet, random or a .weights.h5 file.")
    description, source = file.description, file.source
    keras = _keras()
    if source == "imagenet":
        return _architecture(keras, description, weights="imagenet")
    model = _architecture(keras, description, weights=None)
    if isinstance(source, Path):
        _load_weights(model, source, description)
    else:
        _randomise(model)
    return model


class KerasRuntime:
    """The model run by TensorFlow itself, for a worker with a GPU and to check an export against."""

    def __init__(self, file: ModelFile) -> None:
        tensorflow = import_tensorflow()
        self._pid = os.getpid()
        model = build_model(file)
        side = file.description.side
        signature = [tensorflow.TensorSpec((None, side, side, 3), tensorflow.float32)]
        self._call = tensorflow.function(lambda batch: model(batch, training=False), input_signature=signature)

    def run(self, batch: Sequence[npt.NDArray[np.uint8]]) -> Vectors:
        """Embeddings, float32 (n, dimensions), of uint8 (side, side, 3) arrays. Raises EncoderError after a fork."""
        if os.getpid() != self._pid:
            raise EncoderError(
                "TensorFlow was loaded before this process was forked and cannot run in it; encode nothing before the "
                "workers start, or set VISUALSEARCH['RUNTIME'] to \"litert\"."
            )
        return np.asarray(self._call(scaled(batch)), dtype=np.float32)


def scaled(batch: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
    """The model's input, float32 (n, side, side, 3) in -1..1, of uint8 (side, side, 3) arrays."""
    pixels: npt.NDArray[np.float32] = np.stack(batch).astype(np.float32) / np.float32(127.5) - np.float32(1)
    return pixels


def import_tensorflow() -> Any:
    """TensorFlow with its start-up notices off. Raises MissingExtra where it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX512
    try:
        import tensorflow
    except ImportError as exc:
        raise MissingExtra("TensorFlow", "tensorflow") from exc
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


def _keras() -> Any:
    keras = import_tensorflow().keras
    if (backend := keras.backend.backend()) != "tensorflow":
        raise EncoderError(f"Keras runs on {backend} here; set the environment variable KERAS_BACKEND=tensorflow.")
    return keras


def _architecture(keras: Any, description: ModelDescription, weights: str | None) -> Any:
    shape = (description.side, description.side, 3)
    try:
        return keras.applications.MobileNetV2(
            input_shape=shape, alpha=description.width, include_top=False, pooling="avg", weights=weights
        )
    except Exception as exc:
        if weights is None:
            raise
        # Keras raises a bare Exception where a download fails.
        raise EncoderError(f"Keras could not fetch the ImageNet weights of {description.name}: {exc}.") from exc


def _randomise(model: Any) -> None:
    """He-normal kernels from our own generator: the same weights whatever the version of Keras."""
    generator = np.random.default_rng(SEED)
    for variable in model.weights:
        if len(shape := tuple(variable.shape)) < 2:
            continue  # batch normalisation, which starts as the identity
        inputs = int(np.prod(shape[:2])) * (1 if "depthwise" in variable.path else shape[2])
        variable.assign(generator.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32))


def _load_weights(model: Any, path: Path, description: ModelDescription) -> None:
    """Set the model's variables from a file of ``model.save_weights``, which must hold these tensors and no others."""
    with _open(path) as file:
        found = _datasets(file)
        expected = weight_names(model)
        faults = _faults(expected, found)
        if not faults:
            for key, variable in expected.items():
                values = np.asarray(found[key])
                if not np.isfinite(values).all():
                    faults.append(f"{variable.path} has values that are not finite")
                variable.assign(values)
    if faults:
        shown, rest = faults[:3], len(faults) - 3
        more = f"; and {rest} more" if rest > 0 else ""
        raise InvalidWeights(
            f"{path} does not fit {description.name} (width {description.width}): {'; '.join(shown)}{more}."
        )


def weight_names(model: Any) -> dict[str, Any]:
    """The model's variables by their place in a .weights.h5 file.

    Keras 3 names a layer's group by its class in snake case, numbered from the second on in the model's order.
    """
    counts: dict[str, int] = {}
    names: dict[str, Any] = {}
    for layer in model.layers:
        kind = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        number = counts[kind] = counts.get(kind, -1) + 1
        group = f"{kind}_{number}" if number else kind
        names.update({f"layers/{group}/vars/{i}": variable for i, variable in enumerate(layer.weights)})
    return names


def _faults(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    wrong = [
        f"{variable.path} is {found[key].dtype} {found[key].shape}, expected float32 {tuple(variable.shape)}"
        for key, variable in expected.items()
        if key in found and (found[key].shape != tuple(variable.shape) or found[key].dtype.kind != "f")
    ]
    missing = [f"{variable.path} ({key}) is missing" for key, variable in expected.items() if key not in found]
    extra = [f"{key} does not belong to it" for key in found if key not in expected]
    return wrong + missing + extra


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    import h5py  # type: ignore[import-untyped]

    if not path.is_file():
        raise InvalidWeights(f"There is no weights file {path}.")
    if not h5py.is_hdf5(path):
        raise InvalidWeights(f"{path} is not an HDF5 file.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as exc:
        raise InvalidWeights(f"{path} is damaged: {exc}.") from exc


def _datasets(file: Any) -> dict[str, Any]:
    """The tensors of an HDF5 file by their place in it; groups have no shape."""
    found: dict[str, Any] = {}
    file.visititems(lambda name, item: found.update({name: item}) if hasattr(item, "shape") else None)
    return found


def _exported(file: ModelFile) -> bytes:
    """The content of weights that are a .tflite file. Raises EncoderError for one that finetuning wrote."""
    if read_encoder_file(file.path) is not None:
        raise EncoderError(
            f"{file.path} was finetuned, for the very weights it has; "
            "make an int8 file of the weights it started from, and finetune that."
        )
    return file.path.read_bytes()


def converted(model: Any, *, float16: bool = False, calibration: Sequence[npt.NDArray[np.uint8]] = ()) -> bytes:
    """The content of a .tflite file, of the frozen graph: by way of a saved model it takes eight times as long."""
    tensorflow = import_tensorflow()
    signature = [tensorflow.TensorSpec(model.inputs[0].shape, tensorflow.float32, name="pixels")]
    call = tensorflow.function(lambda batch: model(batch, training=False), input_signature=signature)
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function()], model)
    converter.experimental_lower_to_saved_model = False
    if float16 or len(calibration):
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    if float16:
        converter.target_spec.supported_types = [tensorflow.float16]
    if len(calibration):
        converter.representative_dataset = lambda: ([scaled([pixels])] for pixels in calibration)
    return bytes(converter.convert())


def _write(target: Path, content: bytes) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
    except OSError as exc:
        raise EncoderError(
            f"{target} cannot be written: {exc.strerror}; VISUALSEARCH['MODEL_CACHE'] names the folder."
        ) from exc
    return target
