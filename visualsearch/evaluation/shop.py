"""The shop's own data: other views of the same product, or other products of the same category.

The pictures of a registered source, and the vectors that its active index has of them already.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import numpy as np
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models

from visualsearch.evaluation.choice import Contestant
from visualsearch.evaluation.embedding import Embedded, Unreadable
from visualsearch.evaluation.pictures import Picture, Task
from visualsearch.exceptions import EvaluationError
from visualsearch.images import read_limited
from visualsearch.models import ImageEmbedding, VisualIndex, rows
from visualsearch.sources import ImageSource

PRODUCT = "product"  # ``by``: other views of the same product
SAMPLE = 2000  # queries; two standard errors of a share are then 0.022 at most
SEED = 0
FETCHED = 500  # vectors at a time


def shop_task(source: ImageSource, by: str = PRODUCT, sample: int = SAMPLE) -> Task:
    """Every image of the source, eligible or not. A query should find other images of its product, or, where ``by`` is
    a field of products (``category``, ``category__slug``), other products of the same value.

    At most ``sample`` images are queries, drawn at random and always the same ones. Raises EvaluationError for a field
    that products do not have, and where no image has another to be found.
    """
    pictures, without = _pictures(source, by)
    are, their = ("image is", "its") if without == 1 else ("images are", "their")
    notes = [f"{without:,} {are} left out: {their} product has no {by}."] if without else []
    groups: dict[str, set[Hashable]] = {}
    for picture in pictures:
        groups.setdefault(picture.label, set()).add(picture.group)
    asked = [picture for picture in pictures if len(groups[picture.label]) > 1]
    if not asked:
        raise EvaluationError(_nothing_to_find(source, by, len(pictures)))
    if lone := len(pictures) - len(asked):
        are, their = ("image is no query", "its") if lone == 1 else ("images are no queries", "their")
        alone = f"{their} product has no other" if by == PRODUCT else f"no other product has {their} {by}"
        notes.append(f"{lone:,} {are}: {alone}.")
    if len(asked) > sample:
        drawn = np.sort(np.random.default_rng(SEED).choice(len(asked), sample, replace=False))
        notes.append(f"{sample:,} of {len(asked):,} possible queries were drawn at random; --sample takes more.")
        asked = [asked[place] for place in drawn]
    return Task(asked, pictures, notes=notes)


def stored(task: Task, index: VisualIndex) -> tuple[Contestant, Embedded]:
    """The vectors that an index version has of these pictures. Raises EvaluationError where it has none."""
    keys = {picture.key: picture.name for picture in task.gallery}
    places: dict[str, int] = {}
    vectors, hashes = [], []
    held = rows(index, vector__isnull=False).order_by("object_id").values_list("object_id", "vector", "content_hash")
    for key, vector, content_hash in held.iterator(chunk_size=FETCHED):
        if key in keys:
            places[key] = len(places)
            vectors.append(np.asarray(vector, dtype=np.float32))
            hashes.append(content_hash)
    if not vectors:
        raise EvaluationError(
            f"Index version {index.pk} of {index.source!r} has no vectors yet; run: manage.py visualsearch_reindex"
        )
    found = np.stack(vectors)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    contestant = Contestant(index.encoder, f"index version {index.pk}", index.fingerprint, None)
    return contestant, Embedded(found, places, hashes, _without_vector(index, keys, places))


def _without_vector(index: VisualIndex, keys: Mapping[str, str], places: Mapping[str, int]) -> list[Unreadable]:
    failed = rows(index, state=ImageEmbedding.State.FAILED).values_list("object_id", "code", "reason")
    known = {key: (code, reason) for key, code, reason in failed}
    waiting = ("pending", "The image waits to be indexed.")
    return [Unreadable(name, *known.get(key, waiting)) for key, name in keys.items() if key not in places]


def _pictures(source: ImageSource, by: str) -> tuple[list[Picture], int]:
    """The source's images with a label each, and the number of those that have none."""
    prefix = source.product_field
    product = prefix or "pk"
    path = product if by == PRODUCT else "__".join(filter(None, (prefix, _checked(source, by))))
    # Names, not instances: an ImageField with dimension fields may open the file whenever an instance is made.
    found = list(source.with_file().order_by("pk").values_list("pk", source.image_field, product, path))
    if not found:
        raise EvaluationError(f"Source {source.name!r} has no images.")
    labels = _labels(source, by, {label for *_, label in found})
    pictures = [
        Picture(
            str(pk),
            name,
            partial(_read, source, name),
            labels[label],
            group=pk if by == PRODUCT else str(owner),
        )
        for pk, name, owner, label in found
        if label not in (None, "")
    ]
    return pictures, len(found) - len(pictures)


def _checked(source: ImageSource, by: str) -> str:
    """The path. Raises EvaluationError, with the valid choices, where it leads to no single value of a product."""
    _last_field(source.product_model, by)
    return by


def _last_field(model: type[models.Model], by: str) -> models.Field[Any, Any]:
    field: Any = None
    owner: Any = model
    for part in by.split("__"):
        try:
            field = owner._meta.get_field(part)
        except (FieldDoesNotExist, AttributeError):
            field = None
        if field is None or not getattr(field, "concrete", False) or field.many_to_many:
            names = sorted(each.name for each in model._meta.concrete_fields)
            raise EvaluationError(
                f"{model.__name__} has no single value {by!r}; --by takes product, or a field of {model.__name__}: "
                f"{', '.join(names)}."
            )
        owner = field.related_model
    found: models.Field[Any, Any] = field
    return found


def _labels(source: ImageSource, by: str, values: set[Any]) -> dict[Any, str]:
    """What to call each value: a related object by its own name, with its key where two have the same."""
    known = [value for value in values if value not in (None, "")]
    related: Any = source.product_model if by == PRODUCT else _last_field(source.product_model, by).related_model
    if related is None:
        return {value: str(value) for value in known}
    names = {value: str(value) for value in known}
    for start in range(0, len(known), FETCHED):
        part = known[start : start + FETCHED]
        names |= {each.pk: str(each) for each in related._default_manager.filter(pk__in=part)}
    counts = Counter(names.values())
    return {value: name if counts[name] == 1 else f"{name} ({value})" for value, name in names.items()}


def _nothing_to_find(source: ImageSource, by: str, count: int) -> str:
    if by == PRODUCT:
        fields = [field.name for field in source.product_model._meta.concrete_fields if field.is_relation]
        hint = f"; choose a field of theirs with --by{f', such as {fields[0]}' if fields else ''}"
        return f"No product of source {source.name!r} has two images{hint}."
    return f"No two products of source {source.name!r} have the same {by} ({count:,} images)."


def _read(source: ImageSource, name: str) -> bytes:
    try:
        with contextlib.closing(source.storage.open(name, "rb")) as file:
            return read_limited(file)
    finally:
        connections.close_all()  # a storage that lives in a database opened one for this thread
