"""Where examples come from: a source's active index, or folders of pictures; and augmented views of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from django.db import connections
from PIL import Image

from visualsearch.conf import conf
from visualsearch.encoders import Encoder, Vectors
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.evaluation.embedding import Unreadable, embed
from visualsearch.evaluation.pictures import Picture, Task, class_folders, folder_pictures
from visualsearch.evaluation.shop import shop_task, stored
from visualsearch.exceptions import EvaluationError, ImageRefused
from visualsearch.images import open_image, read_limited
from visualsearch.indexing import encoder_of
from visualsearch.models import active_index
from visualsearch.sources import ImageSource

from .data import Augmentation, random_box
from .examples import By, Examples, limited, numbered
from .exceptions import TrainingError

VIEWS = Augmentation(area=(0.4, 1.0), aspect=(0.8, 1.25))  # gentle: what is sold should stay in the picture
ALL = 2**31  # queries: as many as there are
AHEAD = 32  # pictures held decoded
CATEGORY = "category"  # the field of products that is looked for where nobody names one

Progress = Callable[[int], object]
Held = TypeVar("Held")


@dataclass(frozen=True)
class Gathered:
    """Examples, the pictures that they are of in the same order, and what could not be read."""

    examples: Examples
    pictures: Sequence[Picture]
    unreadable: Sequence[Unreadable]
    notes: Sequence[str]
    encoder: MobileNetV2


def base_encoder(encoder: Encoder) -> MobileNetV2:
    """An encoder whose file can carry a head. Raises TrainingError for any other."""
    if not isinstance(encoder, MobileNetV2):
        raise TrainingError(
            f"The encoder {encoder.name!r} is not run from a .tflite file, which is what a head is folded into."
        )
    return encoder


def from_index(source: ImageSource, by: str | None, seed: int) -> Gathered:
    """The vectors of the source's active version: no picture is read, no model is run.

    ``by`` is ``product``, ``augmentations`` or a field of products (``category``, ``category__parent``); without it the
    products' category where they have one, else the product where some have two images, else augmentations. Raises
    TrainingError where nothing is indexed, EvaluationError where there is no such field or nothing to learn from it.
    """
    index = active_index(source)
    if index is None:
        raise TrainingError(f"Nothing of {source} is indexed yet; run: manage.py visualsearch_reindex {source} --sync")
    encoder = base_encoder(encoder_of(index))
    wanted, task = _task(source, by)
    pictures, vectors = stored(task, index)[1].of(task.gallery)
    return _gathered(wanted, pictures, vectors, [], task.notes, encoder, seed)


def _task(source: ImageSource, by: str | None) -> tuple[By, Task]:
    if by == By.AUGMENTATIONS:
        pictures = _alone(source)
        return By.AUGMENTATIONS, Task(pictures, pictures)
    if by is not None:
        return By.PRODUCT if by == By.PRODUCT else By.CATEGORY, shop_task(source, by, ALL)
    for guess, field in ((By.CATEGORY, CATEGORY), (By.PRODUCT, str(By.PRODUCT))):
        with contextlib.suppress(EvaluationError):
            task = shop_task(source, field, ALL)
            if len({picture.label for picture in task.gallery}) > 1:
                return guess, task
    return _task(source, By.AUGMENTATIONS)


def _alone(source: ImageSource) -> list[Picture]:
    """Every image of a source, in a class of its own."""
    found = source.with_file().order_by("pk").values_list("pk", source.image_field)
    return [Picture(str(pk), name, partial(_read, source, name), str(pk), group=str(pk)) for pk, name in found]


def _read(source: ImageSource, name: str) -> bytes:
    try:
        with contextlib.closing(source.storage.open(name, "rb")) as file:
            return read_limited(file)
    finally:
        connections.close_all()  # a storage that lives in a database opened one for this thread


def from_folder(folder: Path, by: str | None, encoder: Encoder, seed: int, progress: Progress) -> Gathered:
    """Pictures of a folder, embedded here.

    By category (what is guessed where there are class sub-folders): ``FOLDER/CLASS/picture.jpg``, or
    ``FOLDER/CLASS/PRODUCT/picture.jpg`` where there are several pictures of a product. By product: pictures of one
    sub-folder are one product's. Raises EvaluationError where there is no such folder, or no picture in it to be read.
    """
    base = base_encoder(encoder)
    if by not in (None, *By):
        raise TrainingError(f"--by {by} is not for folders; use one of {', '.join(By)}.")
    wanted, pictures, notes = _foldered(folder, By(by) if by else None)
    embedded = embed(base, pictures, progress)
    kept, vectors = embedded.of(pictures)
    return _gathered(wanted, kept, vectors, embedded.unreadable, notes, base, seed)


def _foldered(folder: Path, by: By | None) -> tuple[By, list[Picture], list[str]]:
    if by is None:
        try:
            return _foldered(folder, By.CATEGORY)
        except EvaluationError:
            return _foldered(folder, By.AUGMENTATIONS)
    if by is By.AUGMENTATIONS:
        return by, [replace(one, label=one.key, group=one.key) for one in folder_pictures(folder)], []
    task = class_folders(folder)
    product = {one.key: _product(one.name) for one in task.gallery}
    if by is By.CATEGORY:
        return by, [replace(one, group=product[one.key]) for one in task.gallery], task.notes
    labels = {one.key: str(PurePosixPath(one.name).parent) for one in task.gallery}
    return by, [replace(one, label=labels[one.key], group=labels[one.key]) for one in task.gallery], task.notes


def _product(name: str) -> str:
    """The product of ``CLASS/PRODUCT/picture.jpg``; a picture that lies in its class itself is its own."""
    path = PurePosixPath(name)
    return str(path.parent if len(path.parts) > 2 else path)


def _gathered(
    by: By,
    pictures: Sequence[Picture],
    vectors: Vectors,
    unreadable: Sequence[Unreadable],
    notes: Sequence[str],
    encoder: MobileNetV2,
    seed: int,
) -> Gathered:
    classes = numbered([picture.label for picture in pictures])
    groups = classes if by is not By.CATEGORY else numbered([picture.group for picture in pictures])
    examples = Examples(vectors, classes, groups, np.ones(len(vectors), np.bool_), by)
    kept = limited(examples, seed)
    if len(kept) < len(examples):
        notes = [*notes, f"{len(kept):,} of {len(examples):,} pictures were drawn at random to learn from."]
    return Gathered(examples.only(kept), [pictures[place] for place in kept], unreadable, notes, encoder)


def with_views(gathered: Gathered, number: int, seed: int, progress: Progress = lambda count: None) -> Gathered:
    """The same with ``number`` augmented views of each picture, whose files are read.

    A picture that cannot be read any more has no views, and is listed. Raises TrainingError where none can be.
    """
    encoder, examples = gathered.encoder, gathered.examples
    rows: list[Vectors] = []
    places: list[int] = []
    unreadable = list(gathered.unreadable)
    with ThreadPoolExecutor(max_workers=max(1, conf.THREADS), thread_name_prefix="visualsearch") as pool:
        for start in range(0, len(gathered.pictures), AHEAD):
            part = range(start, min(start + AHEAD, len(gathered.pictures)))
            made = pool.map(lambda place: _views(gathered.pictures[place], number, (seed, place)), part)
            for place, views in zip(part, made, strict=True):
                if isinstance(views, Unreadable):
                    unreadable.append(views)
                else:
                    rows.append(encoder.encode(views))
                    places += [place] * number
            progress(len(part))
    if not rows:
        raise TrainingError(f"None of the {len(gathered.pictures):,} pictures can be read: {unreadable[-1].reason}")
    more = Examples(
        np.concatenate([examples.features, *rows]),
        np.concatenate([examples.classes, examples.classes[places]]),
        np.concatenate([examples.groups, examples.groups[places]]),
        np.concatenate([examples.shown, np.zeros(len(places), np.bool_)]),
        examples.by,
    )
    return replace(gathered, examples=more, unreadable=unreadable)


def readable(
    pictures: Sequence[Picture], keep: Callable[[Image.Image], Held], most: int
) -> tuple[list[int], list[Held], list[Unreadable]]:
    """Places of the pictures that can be read, what ``keep`` makes of each, and the others.

    Raises TrainingError for more than ``most`` pictures.
    """
    if len(pictures) > most:
        raise TrainingError(f"{len(pictures):,} pictures are too many to be held at once; {most:,} are the most.")
    with ThreadPoolExecutor(max_workers=max(1, conf.THREADS), thread_name_prefix="visualsearch") as pool:
        made = list(pool.map(lambda one: _opened(one, keep), pictures))
    places = [place for place, one in enumerate(made) if not isinstance(one, Unreadable)]
    held = [one for one in made if not isinstance(one, Unreadable)]
    return places, held, [one for one in made if isinstance(one, Unreadable)]


def _opened(picture: Picture, keep: Callable[[Image.Image], Held]) -> Held | Unreadable:
    try:
        return keep(open_image(picture.read()))
    except ImageRefused as refusal:
        return Unreadable(picture.name, refusal.code, str(refusal))
    except Exception as fault:  # a storage may raise anything: its library's own errors, sockets, time-outs
        return Unreadable(picture.name, "storage_error", f"{type(fault).__name__}: {fault}")


def _views(picture: Picture, number: int, seed: tuple[int, int]) -> list[Image.Image] | Unreadable:
    """The mirrored picture, then random crops of it; always the same ones for a seed."""
    image = _opened(picture, lambda opened: opened)
    if isinstance(image, Unreadable):
        return image
    generator = np.random.default_rng(seed)
    return [_view(image, generator, view) for view in range(number)]


def _view(image: Image.Image, generator: np.random.Generator, number: int) -> Image.Image:
    mirrored = number == 0 or generator.random() < 0.5
    if number:
        left, top, right, bottom = random_box(generator, *image.size, VIEWS)
        image = image.crop(
            (round(left), round(top), max(round(right), round(left) + 1), max(round(bottom), round(top) + 1))
        )
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image
