"""manage.py visualsearch_encoder list | build | check"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from PIL import Image

from visualsearch.conf import conf
from visualsearch.encoders import Encoder, encoder_class, encoder_names, get_encoder, short_name
from visualsearch.encoders.mobilenet import MobileNetV2, Pixels, runtime_name
from visualsearch.encoders.model_file import ModelFile, configured_weights
from visualsearch.exceptions import EncoderError, ImageRefused, VisualSearchError
from visualsearch.images import open_image

ALLOWED_DIFFERENCE = 1e-4  # between LiteRT's embedding and Keras's, before scaling to unit length
CHECKED_IMAGES = 20
CALIBRATION_IMAGES = 100  # to find the ranges of activations; more change them little
COLUMNS = ("", "name", "width", "dimensions", "weights", "fingerprint", "built", "size")


class Command(BaseCommand):
    help = "Lists, builds and checks the encoders that turn images into embeddings."
    # What the system checks ask for where a model is missing is this very command.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list | build | check")
        actions.add_parser("list", help="the encoders, their weights, and whether they are built")
        build = actions.add_parser("build", help="export a model with TensorFlow to the .tflite file that is run")
        build.add_argument("name", help="an encoder's name, as `list` shows it")
        check = actions.add_parser("check", help="compare the exported model with Keras's own output")
        check.add_argument("name", nargs="?", help="an encoder's name; by default the one in the settings")
        for action in (build, check):
            action.add_argument("--weights", help="a .weights.h5 file, imagenet or random; default: the settings'")
        build.add_argument("--output", type=Path, help="write this .tflite file instead of one in the model cache")
        smaller = build.add_mutually_exclusive_group()
        smaller.add_argument("--float16", action="store_true", help="store weights in half the bytes (with --output)")
        smaller.add_argument("--int8", action="store_true", help="store them in a quarter (with --output)")
        build.add_argument(
            "--calibrate",
            type=Path,
            metavar="FOLDER",
            help="with --int8: compute in int8, too, with ranges found on this folder's pictures; faster only on "
            "processors with int8 dot products (VNNI), slower on others",
        )
        check.add_argument("--images", type=Path, help="compare on the pictures of this folder, too")

    def handle(self, *args: Any, **options: Any) -> None:
        action = {"list": self._list, "build": self._build, "check": self._check}[options["action"]]
        try:
            action(options)
        except VisualSearchError as error:
            raise CommandError(str(error)) from error

    def _list(self, options: dict[str, Any]) -> None:
        used = short_name(conf.ENCODER)
        rows, notes = [list(COLUMNS)], []
        for name in encoder_names():
            found = encoder_class(name)
            label = name.partition("@")[2]
            row, note = _model_row(found, label) if issubclass(found, MobileNetV2) else _other_row(found, name)
            rows.append(["*" if name == used else "", f"{found.name}@{label}" if label else found.name, *row])
            notes += [note] if note else []
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
        self.stdout.write("\n".join(["", "* is VISUALSEARCH['ENCODER'].", *notes]))

    def _build(self, options: dict[str, Any]) -> None:
        from visualsearch.encoders.keras_zoo import export

        output: Path | None = options["output"]
        if output and output.suffix != ".tflite":
            raise CommandError(f"--output {output} does not end in .tflite.")
        smaller = next((name for name in ("float16", "int8") if options[name]), None)
        if smaller and not output:
            raise CommandError(f"--{smaller} needs --output FILE: the embeddings differ from the float32 model's.")
        if options["calibrate"] and smaller != "int8":
            raise CommandError("--calibrate is for --int8 alone.")
        found = _mobilenet(options["name"])
        source = _file(found, options["weights"], _label(options["name"]))
        pictures = self._calibration(options["calibrate"], found(source)) if options["calibrate"] else []
        path = export(source, output, float16=options["float16"], int8=options["int8"], calibration=pictures)
        built = ModelFile(found.description, path) if output else source
        self.stdout.write(f"{found.name} is built from {_described(source)}.")
        self.stdout.write(f"  file         {path} ({_megabytes(path)})")
        self.stdout.write(f"  fingerprint  {built.fingerprint}")
        self.stdout.write(f"  speed here   {_speed(found(built))} ({runtime_name()}, {conf.THREADS} threads)")
        if encoder_class() is not found or _file(found, label=_label(options["name"])).source != built.source:
            self.stdout.write(f'To use it, set ENCODER to "{options["name"]}" and WEIGHTS to "{built.source}".')

    def _calibration(self, folder: Path, encoder: MobileNetV2) -> list[Pixels]:
        """Pictures spread over those in a folder and its sub-folders, as the model sees them; others are listed."""
        if not folder.is_dir():
            raise EncoderError(f"There is no folder {folder}.")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found: list[Pixels] = []
        for path in files[:: max(1, len(files) // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES]:
            try:
                found.append(encoder.pixels(open_image(path.read_bytes())))
            except ImageRefused as error:
                self.stderr.write(f"{path}: {error}")
        if not found:
            raise EncoderError(f"The folder {folder} has no pictures that can be read.")
        return found

    def _check(self, options: dict[str, Any]) -> None:
        from visualsearch.encoders.keras_zoo import KerasRuntime
        from visualsearch.encoders.litert import LiteRTRuntime

        found = _mobilenet(options["name"])
        label = _label(options["name"])
        source, configured = _file(found, options["weights"], label), _file(found, label=label)
        # Weights that are a .tflite file are compared with the Keras file that --weights says they come from.
        path = (configured if configured.is_exported and configured.is_built else source).built_path()
        encoder = found(source)
        pixels = [encoder.pixels(image) for image in _images(options["images"])]
        ours = LiteRTRuntime(path, found.description, conf.THREADS).run(pixels)
        difference = float(np.abs(ours - KerasRuntime(source).run(pixels)).max())
        self.stdout.write(f"{path}\n{len(pixels)} images: LiteRT differs from Keras by at most {difference:.1e}.")
        if not difference <= ALLOWED_DIFFERENCE:
            raise CommandError(f"{found.name} is not equal to Keras's own: {ALLOWED_DIFFERENCE:.0e} is allowed.")


def _mobilenet(name: str | None) -> type[MobileNetV2]:
    """The encoder of that name, which must be one that Keras can build."""
    found = encoder_class(name)
    if not issubclass(found, MobileNetV2):
        buildable = [name for name in encoder_names() if issubclass(encoder_class(name), MobileNetV2)]
        raise EncoderError(f"{found.name} is not one of Keras's models; choose one of {', '.join(buildable)}.")
    return found


def _file(found: type[MobileNetV2], weights: str | None = None, label: str = "") -> ModelFile:
    return ModelFile(found.description, weights or configured_weights(found, label))


def _label(name: str | None) -> str:
    return (conf.ENCODER if name is None else name).partition("@")[2]


def _described(file: ModelFile) -> str:
    return "bundled" if file.weights is None else str(file.source)


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


def _model_row(found: type[MobileNetV2], label: str) -> tuple[list[str], str]:
    """Cells of a MobileNetV2, and a sentence on what is missing."""
    file = _file(found, label=label)
    cells = [str(found.description.width), str(file.dimensions), _described(file)]
    try:
        fingerprint = file.fingerprint[:16]
    except EncoderError as error:
        return [*cells, "-", "no", "-"], str(error)
    try:
        return [*cells, fingerprint, "yes", _megabytes(file.built_path())], ""
    except EncoderError as error:
        return [*cells, fingerprint, "no", "-"], str(error)


def _other_row(found: type[Encoder], name: str) -> tuple[list[str], str]:
    """Cells of an encoder from elsewhere, whose files are its own affair."""
    cells = ["-", str(found.dimensions), "its own"]
    try:
        return [*cells, get_encoder(name).fingerprint[:16], "yes", "-"], ""
    except EncoderError as error:
        return [*cells, "-", "no", "-"], str(error)


def _speed(encoder: Encoder) -> str:
    """Measured with pictures of the model's own size, so that decoding and shrinking are left out."""
    picture = next(_generated()).resize((224, 224))
    encoder.encode([picture] * 3)
    single = _median(encoder, [picture], repeats=20)
    batch = _median(encoder, [picture] * 8, repeats=5)
    return f"{single * 1000:.1f} ms for one image, {8 / batch:.0f} images/s in batches of 8"


def _median(encoder: Encoder, pictures: list[Image.Image], repeats: int) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        encoder.encode(pictures)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _images(folder: Path | None) -> list[Image.Image]:
    """The generated pictures, and up to as many of a folder."""
    generated = list(_generated())
    if folder is None:
        return generated
    if not folder.is_dir():
        raise EncoderError(f"There is no folder {folder}.")
    files = sorted(path for path in folder.iterdir() if path.is_file())[:CHECKED_IMAGES]
    if not files:
        raise EncoderError(f"The folder {folder} has no files.")
    return generated + [_opened(path) for path in files]


def _opened(path: Path) -> Image.Image:
    try:
        return open_image(path.read_bytes())
    except ImageRefused as error:
        raise CommandError(f"{path}: {error}") from error


def _generated() -> Iterator[Image.Image]:
    """Pictures that are the same everywhere: noise of several scales, from smooth colours to single pixels."""
    for number in range(CHECKED_IMAGES):
        cells = 2 ** (number % 8 + 1)
        noise = np.random.default_rng(number).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        yield Image.fromarray(noise).resize((300 + 10 * number, 400), Image.Resampling.BICUBIC)
