"""System checks, described in docs/checks.md. None loads a model or imports the queue; an id is never used again.

The store checks its own database (``Store.check``), so ids from E010 to W013 stand in ``stores/pgvector.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import DatabaseError, connections, models, router
from django.utils.module_loading import import_string

from visualsearch.conf import DEFAULTS, conf
from visualsearch.encoders import configured, encoder_class, get_encoder
from visualsearch.exceptions import EncoderError, EncoderNotBuilt, InvalidSource
from visualsearch.images import accepted_formats
from visualsearch.indexing import encoder_of
from visualsearch.models import ImageEmbedding, VisualIndex
from visualsearch.search.reserved import check_filter_names
from visualsearch.sources import ImageSource, all_sources
from visualsearch.stores import Store, get_store

Messages = Iterator[CheckMessage]

# django-q2's own defaults, where Q_CLUSTER leaves a key out.
DEFAULT_RETRY = 60
OTHER_BROKERS = ("broker_class", "iron_mq", "sqs", "orm", "mongo")


def check_configuration(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Settings, encoder, registered sources and queue, without a query."""
    if messages := list(_check_setting()):
        return messages  # every other check would stumble over the same mistake
    return [
        *_check_formats(),
        *_check_paths(),
        *_check_encoder(),
        *_check_other_encoders(),
        *(message for source in all_sources() for message in _check_source(source)),
        *_check_queue(),
    ]


def check_database(
    app_configs: Any = None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The database that holds the vectors, and whether its indexes are this process's encoder's."""
    alias = router.db_for_read(ImageEmbedding)
    if alias not in (databases or ()) or list(_check_setting()) or list(_check_store()):
        return []  # said by check_configuration
    try:
        messages = list(get_store().check())
        return messages if any(message.is_serious() for message in messages) else [*messages, *_check_indexes()]
    except DatabaseError as error:
        return [
            Error(
                f"Database {alias!r} cannot be asked: {_in_words(error)}.",
                hint="Start the server, or correct the entry in DATABASES.",
                id="visualsearch.E015",
            )
        ]


def _in_words(error: Exception) -> str:
    """The first line of what went wrong, with its kind, since other people's errors may have no text."""
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# Settings


def _check_setting() -> Messages:
    try:
        conf.ENCODER  # noqa: B018 - reading any key checks the names of all
    except ImproperlyConfigured as error:
        yield Error(str(error), hint="Remove or rename them in the VISUALSEARCH setting.", id="visualsearch.E001")
    except TypeError:
        yield Error(
            f"The VISUALSEARCH setting is a {type(settings.VISUALSEARCH).__name__}; it must be a dict.",
            hint="Write VISUALSEARCH = {...}, or leave the setting out.",
            id="visualsearch.E001",
        )


def _check_formats() -> Messages:
    try:
        accepted_formats()
    except (ImproperlyConfigured, TypeError) as error:
        yield Error(
            f"IMAGE_FORMATS cannot be used: {_in_words(error)}.",
            hint="Give a list of Pillow's names of formats, e.g. ['JPEG', 'PNG', 'WEBP'].",
            id="visualsearch.E008",
        )


def _check_paths() -> Messages:
    yield from _check_store()
    if problem := _problem_with("ENQUEUE", callable, "callable"):
        yield Error(problem, hint="Name a function enqueue(function, *args, delay=0).", id="visualsearch.E006")
    if problem := _problem_with("THUMBNAIL", callable, "callable"):
        yield Error(
            problem,
            hint="Name a function thumbnail(file, side) that returns a visualsearch.thumbnails.Thumbnail.",
            id="visualsearch.E007",
        )


def _check_store() -> Messages:
    if problem := _problem_with("STORE", _is_store, "subclass of visualsearch.stores.Store"):
        yield Error(problem, hint=f"The default is {DEFAULTS['STORE']!r}.", id="visualsearch.E005")


def _is_store(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Store)


def _problem_with(key: str, fits: Callable[[Any], bool], kind: str) -> str:
    """What is wrong with a setting that holds a dotted path; an empty string where nothing is."""
    path = getattr(conf, key)
    try:
        found = import_string(path)
    except Exception as error:  # importing runs the shop's own module, which may raise anything
        return f"{key} names {path!r}, which cannot be imported: {_in_words(error)}."
    return "" if fits(found) else f"{key} names {path!r}, which is not a {kind}."


def _check_encoder() -> Messages:
    try:
        encoder_class()
    except Exception as error:  # importing runs the shop's own module, which may raise anything
        text = str(error) if isinstance(error, EncoderError) else f"{_in_words(error)}."
        yield Error(
            f"ENCODER is {conf.ENCODER!r}, which cannot be used: {text}",
            hint="Correct ENCODER in the VISUALSEARCH setting.",
            id="visualsearch.E002",
        )
        return
    try:
        get_encoder().fingerprint  # noqa: B018 - reads the weights' digest, and loads no model
    except EncoderNotBuilt as error:
        # A warning: an error would stop the very command that builds the file.
        yield Warning(
            f"Encoder {conf.ENCODER!r} has no model file: no image is indexed and no photo searched.",
            hint=str(error),
            id="visualsearch.W003",
        )
    except Exception as error:  # an encoder of the shop's own may raise anything
        yield Error(
            f"Encoder {conf.ENCODER!r} cannot be used: {_in_words(error)}.",
            hint="Correct WEIGHTS and RUNTIME in the VISUALSEARCH setting.",
            id="visualsearch.E004",
        )


def _check_other_encoders() -> Messages:
    """Those of other sources, and of versions that are built beside the active one."""
    hint = "Build it, or correct SOURCE_ENCODERS and WEIGHTS in the VISUALSEARCH setting."
    try:
        others = configured()[1:]
    except EncoderError as error:
        yield Warning(str(error), hint=hint, id="visualsearch.W009")
        return
    for name in others:
        try:
            get_encoder(name).fingerprint  # noqa: B018 - as above
        except Exception as error:  # an encoder of the shop's own may raise anything
            yield Warning(f"Encoder {name!r} cannot be used: {_in_words(error)}.", hint=hint, id="visualsearch.W009")


# Registered sources


def _check_source(source: ImageSource) -> Messages:
    yield from _check_image_field(source)
    broken = list(_check_product_relation(source))
    yield from broken or _check_eligible(source)
    yield from _check_filterset(source)
    yield from _check_serializer(source)
    yield from _check_related(source)


def _check_image_field(source: ImageSource) -> Messages:
    model = source.model
    try:
        field = model._meta.get_field(source.image_field)
    except FieldDoesNotExist:
        files = [f.name for f in model._meta.get_fields() if isinstance(f, models.FileField)]
        yield Error(
            f"Source {source.name!r}: {model.__name__} has no field {source.image_field!r}.",
            hint=f"Give register() the name of a file field as image=; {_choices(files)}",
            obj=model,
            id="visualsearch.E020",
        )
        return
    if not isinstance(field, models.FileField):
        yield Error(
            f"Source {source.name!r}: {model.__name__}.{source.image_field} is a {type(field).__name__}, "
            "not a FileField or ImageField.",
            hint="Keep the pictures in a field that has a storage, and give its name to register() as image=.",
            obj=model,
            id="visualsearch.E021",
        )


def _check_product_relation(source: ImageSource) -> Messages:
    if source.product_field is None or _leads_to_one_product(source):
        return
    fields = source.model._meta.get_fields()
    relations = [f.name for f in fields if f.concrete and (f.many_to_one or f.one_to_one)]
    yield Error(
        f"Source {source.name!r}: {source.model.__name__}.{source.product_field} is not a relation to one product.",
        hint="Give register() a ForeignKey or OneToOneField of the image as product=, or leave it out where the "
        f"image's own model is sold; {_choices(relations)}",
        obj=source.model,
        id="visualsearch.E022",
    )


def _leads_to_one_product(source: ImageSource) -> bool:
    try:
        field = source.model._meta.get_field(str(source.product_field))
        source.product_model  # noqa: B018 - raises InvalidSource where the relation leads to no model
    except (FieldDoesNotExist, InvalidSource):
        return False
    return bool(field.concrete and (field.many_to_one or field.one_to_one))


def _choices(names: list[str]) -> str:
    return f"{', '.join(names)} would do." if names else "this model has none."


def _check_eligible(source: ImageSource) -> Messages:
    try:
        source.eligible_products()
    except DatabaseError as error:
        # A warning: before the first migrate there is no table to ask.
        yield Warning(
            f"Source {source.name!r}: eligible asks the database by itself, which failed: {_in_words(error)}.",
            hint="Return a queryset that was not evaluated: the search makes it part of its own query.",
            obj=source.model,
            id="visualsearch.W024",
        )
    except Exception as error:  # a callable of the shop's own may raise anything
        text = str(error) if isinstance(error, InvalidSource) else f"eligible raised {_in_words(error)}."
        yield Error(
            f"Source {source.name!r}: {text}",
            hint=f"Give register() a callable that returns a queryset of {source.product_model.__name__} as "
            "eligible=, e.g. a manager's method.",
            obj=source.model,
            id="visualsearch.E023",
        )


def _check_filterset(source: ImageSource) -> Messages:
    if source.filterset is None:
        return
    if find_spec("django_filters") is None:
        yield Warning(
            f"Source {source.name!r} has a filterset, but django-filter is not installed: filters are refused.",
            hint='Run: pip install "django-visualsearch[api]"',
            obj=source.model,
            id="visualsearch.W026",
        )
    elif problem := _problem_with_class(source.filterset, "django_filters.FilterSet"):
        yield Error(
            f"Source {source.name!r}: filterset {problem}",
            hint="Give register() a FilterSet over the products as filterset=, as a class or a dotted path.",
            obj=source.model,
            id="visualsearch.E025",
        )
    else:
        yield from check_filter_names(source)


def _check_serializer(source: ImageSource) -> Messages:
    if source.serializer is None:
        return
    if find_spec("rest_framework") is None:
        yield Warning(
            f"Source {source.name!r} has a serializer, but Django REST Framework is not installed.",
            hint='Run: pip install "django-visualsearch[api]", or leave serializer= out of register().',
            obj=source.model,
            id="visualsearch.W028",
        )
    elif problem := _problem_with_class(source.serializer, "rest_framework.serializers.BaseSerializer"):
        yield Error(
            f"Source {source.name!r}: serializer {problem}",
            hint="Give register() a serializer of the products as serializer=, as a class or a dotted path.",
            obj=source.model,
            id="visualsearch.E027",
        )


def _problem_with_class(named: str | type, base: str) -> str:
    """Why this class or dotted path is no subclass of the named one; an empty string where it is."""
    try:
        found = import_string(named) if isinstance(named, str) else named
    except Exception as error:  # importing runs the shop's own module, which may raise anything
        return f"{named!r} cannot be imported: {_in_words(error)}."
    fits = isinstance(found, type) and issubclass(found, import_string(base))
    return "" if fits else f"{named!r} is not a subclass of {base}."


def _check_related(source: ImageSource) -> Messages:
    for path in source.related:
        model: Any = source.model
        for name in path.split("__"):
            followed = (f for f in model._meta.get_fields() if (f.many_to_one or f.one_to_one) and f.related_model)
            relations = {field.name: field for field in followed}
            if name not in relations:
                yield Error(
                    f"Source {source.name!r}: related names {path!r}, but {model.__name__} has no such relation.",
                    hint=f"Give register() select_related paths from the image as related=; {_choices([*relations])}",
                    obj=source.model,
                    id="visualsearch.E029",
                )
                break
            model = relations[name].related_model


# Index versions


def _check_indexes() -> Messages:
    """Only a warning: an error would stop the ``migrate`` of the very release that brings the new encoder."""
    connection = connections[router.db_for_read(VisualIndex)]
    if VisualIndex._meta.db_table not in connection.introspection.table_names():
        return  # migrate has not run yet
    names = [source.name for source in all_sources()]
    for index in VisualIndex.objects.active().filter(source__in=names):
        try:
            encoder_of(index)
        except EncoderError as error:
            yield Warning(
                f"Source {index.source!r} can neither index an image nor search by photo: {error}",
                hint="Give this process the ENCODER and WEIGHTS that the index was made with; where the change is "
                "meant, run: manage.py visualsearch_reindex --rebuild",
                id="visualsearch.W014",
            )


# Queue


def _check_queue() -> Messages:
    enqueue = conf.ENQUEUE
    if enqueue != DEFAULTS["ENQUEUE"]:
        return  # a queue of the shop's own
    if find_spec("django_q") is None:
        yield Warning(
            "ENQUEUE is django-q2's, which is not installed: saved images are not indexed.",
            hint='Run: pip install "django-visualsearch[queue]", or name a function of your own queue in ENQUEUE.',
            id="visualsearch.W030",
        )
    elif not apps.is_installed("django_q"):
        yield Warning(
            "ENQUEUE is django-q2's, which is not in INSTALLED_APPS: saved images are not indexed.",
            hint="Add 'django_q' to INSTALLED_APPS, then run: manage.py migrate",
            id="visualsearch.W031",
        )
    else:
        yield from _check_cluster(getattr(settings, "Q_CLUSTER", None) or {})


def _check_cluster(cluster: dict[str, Any]) -> Messages:
    retry, timeout = cluster.get("retry", DEFAULT_RETRY), cluster.get("timeout")
    if not timeout:
        yield Warning(
            "Q_CLUSTER has no timeout: a task that hangs keeps its worker for ever, and is handed out again "
            f"after {retry} seconds though it still runs.",
            hint="Set e.g. 'timeout': 120 and 'retry': 180.",
            id="visualsearch.W033",
        )
    elif retry <= timeout:
        yield Warning(
            f"Q_CLUSTER's retry ({retry} s) is not longer than its timeout ({timeout} s): a task is handed out again "
            "while it still runs.",
            hint=f"Set 'retry' above {timeout}, with room for the time that a task waits for a worker.",
            id="visualsearch.W032",
        )
    if cluster.get("ack_failures") or cluster.get("max_attempts") == 1:
        yield Warning(
            "Q_CLUSTER throws a task away when it fails once, e.g. because the database was away for a moment.",
            hint="Set 'ack_failures': False and 'max_attempts': 10.",
            id="visualsearch.W034",
        )
    if not any(cluster.get(broker) for broker in OTHER_BROKERS):
        yield Warning(
            "Q_CLUSTER uses django-q2's Redis broker, which forgets the tasks of a worker that is killed.",
            hint="Set 'orm': 'default', or run visualsearch_reindex --missing at regular times.",
            id="visualsearch.W035",
        )
