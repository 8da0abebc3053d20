"""Signal receivers of registered models. Connected by sender, so other models keep Django's fast deletes."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save

from visualsearch import indexing, sources, tasks
from visualsearch.sources import ImageSource


def connect() -> None:
    """Follows every registered source, and those that are registered later."""
    for source in sources.all_sources():
        follow(source=source)
    sources.source_registered.connect(follow, dispatch_uid="visualsearch")
    if apps.is_installed("django_q"):
        tasks.follow_workers()


def follow(source: ImageSource, **kwargs: Any) -> None:
    """Connects the source's model with its proxies and children: Django sends signals for the exact class."""
    if not apps.models_ready:
        return  # a decorator in models.py: connect() comes by when the app is ready
    for model in apps.get_models():
        if issubclass(model, source.model):
            post_save.connect(saved, sender=model, dispatch_uid="visualsearch")
            post_delete.connect(deleted, sender=model, dispatch_uid="visualsearch")


def saved(
    sender: type[models.Model],
    instance: models.Model,
    using: str,
    update_fields: frozenset[str] | None = None,
    **kwargs: Any,
) -> None:
    for source in sources.sources_of_model(sender):
        if update_fields is None or source.image_field in update_fields:
            tasks.request(source, instance.pk, using=using)


def deleted(sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any) -> None:
    for source in sources.sources_of_model(sender):
        forget = partial(indexing.forget, source, [instance.pk])
        forget()
        # A worker that read the image before the delete was committed may have written it since.
        transaction.on_commit(forget, using=using, robust=True)
