"""Which images are searched: the model, its image field, the product it shows, and who may see it. No vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.dispatch import Signal
from django.utils.module_loading import import_string

from visualsearch.exceptions import InvalidFilter, InvalidSource, MissingExtra, SourceNotRegistered
from visualsearch.keys import key_field

ModelT = TypeVar("ModelT", bound=type[models.Model])
Filters = Mapping[str, Any]

source_registered = Signal()  # sent with source=ImageSource, so that handlers can follow later registrations


@dataclass(frozen=True, eq=False)
class ImageSource:
    """One registered image model. Made by register()."""

    name: str
    model: type[models.Model]
    image_field: str
    product_field: str | None
    eligible: Callable[[], models.QuerySet[Any]] | None
    filterset: str | type | None
    serializer: str | type | None
    related: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    @cached_property
    def product_model(self) -> type[models.Model]:
        """The model of the thing sold: the image's own, or the one that the ``product`` relation leads to."""
        if self.product_field is None:
            return self.model
        try:
            related = self.model._meta.get_field(self.product_field).related_model
        except FieldDoesNotExist:
            related = None
        if not (isinstance(related, type) and issubclass(related, models.Model)):
            raise InvalidSource(f"{self.model.__name__}.{self.product_field} is not a relation to a product.")
        return related

    @property
    def pk_field(self) -> models.Field[Any, Any]:
        """A plain field of the type of the image's primary key, for casts from text."""
        field: models.Field[Any, Any] = key_field(self.model)
        return field

    def images(self) -> models.QuerySet[Any]:
        """Every image of this source, eligible or not."""
        return self.model._default_manager.all()

    def of_keys(self, texts: Iterable[str]) -> models.QuerySet[Any]:
        """The images whose primary keys, as text, are among these. A text that no key of the model's type can have, as
        in a row of the days when the model had keys of another type, is nobody's."""
        keys = []
        for text in texts:
            try:
                keys.append(self.pk_field.to_python(text))
            except ValidationError:
                continue
        return self.images().filter(pk__in=keys)

    def loaded(self, texts: Iterable[str]) -> dict[str, Any]:
        """The images of these keys by their key as text, with what their names are likely to need. One query."""
        related = [path for path in (self.product_field, *self.related) if path]
        images = self.of_keys(texts)
        return {str(image.pk): image for image in (images.select_related(*related) if related else images)}

    def with_file(self) -> models.QuerySet[Any]:
        """The images whose field names a file."""
        return self.images().exclude(**{self.image_field: ""}).exclude(**{f"{self.image_field}__isnull": True})

    def eligible_products(self) -> models.QuerySet[Any]:
        """Products that may be shown now. Raises InvalidSource if ``eligible`` returns anything else."""
        if self.eligible is None:
            return self.product_model._default_manager.all()
        products = self.eligible()
        if not isinstance(products, models.QuerySet) or not issubclass(products.model, self.product_model):
            raise InvalidSource(
                f"eligible of source {self.name!r} must return a queryset of {self.product_model.__name__}, "
                f"not {type(products).__name__}."
            )
        if products.query.is_sliced:
            raise InvalidSource(f"eligible of source {self.name!r} must not be cut to a number of products.")
        return products

    def eligible_images(self, filters: Filters | None = None) -> models.QuerySet[Any]:
        """Images of products that may be shown now and pass the filters. Raises InvalidFilter."""
        products = self.filter_products(self.eligible_products(), filters or {})
        path = f"{self.product_field}__in" if self.product_field else "pk__in"
        return self.images().filter(**{path: _keys(products)})

    def filter_products(self, products: models.QuerySet[Any], filters: Filters) -> models.QuerySet[Any]:
        """Products that pass the shop's FilterSet. Raises InvalidFilter naming what is valid."""
        if not filters:
            return products
        if self.filterset_class is None:
            raise InvalidFilter(f"Unknown filter: {', '.join(sorted(filters))}. This source has no filters.")
        filterset = self.filterset_class(data=filters, queryset=products)
        known = sorted(name for key, field in filterset.form.fields.items() for name in _parameters(key, field.widget))
        if unknown := sorted(set(filters) - set(known)):
            raise InvalidFilter(f"Unknown filter: {', '.join(unknown)}. Valid filters: {', '.join(known)}.")
        if not filterset.is_valid():
            faults = [f"{name}: {' '.join(map(str, errors))}" for name, errors in filterset.errors.items()]
            raise InvalidFilter(" ".join(faults))
        passed: models.QuerySet[Any] = filterset.qs
        return passed

    @property
    def filterset_class(self) -> Any:
        return _imported(self.filterset, "django_filters", "django-filter")

    @property
    def serializer_class(self) -> Any:
        return _imported(self.serializer, "rest_framework", "Django REST Framework")

    @property
    def storage(self) -> Any:
        """The storage that the image field's files are in."""
        return self._image_field.storage

    @property
    def _image_field(self) -> Any:
        return self.model._meta.get_field(self.image_field)

    def product_of(self, image: models.Model) -> Any:
        return getattr(image, self.product_field) if self.product_field else image

    def product_pk_of(self, image: models.Model) -> Any:
        """The product's primary key without loading the product."""
        if self.product_field is None:
            return image.pk
        relation: Any = self.model._meta.get_field(self.product_field)
        return getattr(image, relation.attname)

    def images_of(self, product_pk: Any) -> models.QuerySet[Any]:
        return self.images().filter(**{self.product_field or "pk": product_pk})

    def file_of(self, image: models.Model) -> models.fields.files.FieldFile:
        file: models.fields.files.FieldFile = getattr(image, self.image_field)
        return file


def _imported(named: str | type | None, module: str, package: str) -> Any:
    """What a dotted path names. Raises MissingExtra where it needs a library that is not installed."""
    try:
        return import_string(named) if isinstance(named, str) else named
    except ModuleNotFoundError as error:
        if error.name == module:
            raise MissingExtra(package, "api") from error
        raise


def _parameters(name: str, widget: Any) -> list[str]:
    """The query parameters of a form field: a range has two, such as price_min and price_max."""
    suffixes = getattr(widget, "suffixes", None)
    return [widget.suffixed(name, suffix) for suffix in suffixes] if suffixes else [name]


def _keys(products: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Their primary keys, for an IN.

    Filters over related rows ask for DISTINCT, which means nothing in there and keeps PostgreSQL from looking products
    up one by one. Measured at 90,000 images: a filter on categories took three times as long with it.
    """
    keys = products.order_by().values("pk")
    if not (keys.query.is_sliced or keys.query.distinct_fields or keys.query.combinator):
        keys.query.distinct = False
    return keys


_sources: dict[str, ImageSource] = {}


def register(
    model: ModelT | None = None,
    *,
    image: str = "image",
    product: str | None = None,
    eligible: Callable[[], models.QuerySet[Any]] | None = None,
    filterset: str | type | None = None,
    serializer: str | type | None = None,
    related: Iterable[str] = (),
    name: str | None = None,
) -> Any:
    """Makes a model's images searchable; call it in an AppConfig's ready(), or use it as a class decorator.

    ``image`` is the file or image field. ``product`` is the relation from the image to the thing sold; leave it out
    where the model itself is sold. ``eligible`` returns a queryset of products that may be shown now and is called at
    each search. ``filterset`` (django-filter) and ``serializer`` (Django REST Framework) may be dotted paths.
    ``related`` names what the serializer or the pages read besides the product itself, as ``select_related`` paths from
    the image (``["product__category"]``): it comes with the results in the same query.
    ``name`` is the source's name in addresses and commands: by default the product model's name in lower case.
    Raises InvalidSource if the model or the name is taken, or the model is not a Django model.
    """

    def decorate(model: ModelT) -> ModelT:
        if not (isinstance(model, type) and issubclass(model, models.Model)):
            raise InvalidSource(f"register() takes a model class, not {model!r}.")
        source_name = name or _default_name(model, product)
        if any(known.name == source_name or known.model is model for known in _sources.values()):
            raise InvalidSource(f"Source {source_name!r} or model {model.__name__} is registered already.")
        source = ImageSource(source_name, model, image, product, eligible, filterset, serializer, tuple(related))
        _sources[source_name] = source
        source_registered.send(sender=model, source=source)
        return model

    return decorate if model is None else decorate(model)


def _default_name(model: type[models.Model], product: str | None) -> str:
    if product is None:
        return str(model._meta.model_name)
    try:
        relation: Any = model._meta.get_field(product).remote_field
        target = relation.model
    except (FieldDoesNotExist, AttributeError):
        return str(model._meta.model_name)
    return target.rpartition(".")[2].lower() if isinstance(target, str) else str(target._meta.model_name)


def unregister(name: str) -> None:
    """Takes a source out again. Raises SourceNotRegistered."""
    get_source(name)
    del _sources[name]


def all_sources() -> list[ImageSource]:
    return list(_sources.values())


def get_source(name: str) -> ImageSource:
    """The source of that name. Raises SourceNotRegistered, which lists the valid names."""
    try:
        return _sources[name]
    except KeyError:
        valid = ", ".join(sorted(_sources)) or "none; call visualsearch.register() in your app's ready()"
        raise SourceNotRegistered(f"There is no source {name!r}. Registered sources: {valid}.") from None


def sources_of_model(model: type[models.Model]) -> Iterator[ImageSource]:
    """Sources whose images are instances of the model (which may be a proxy or a child of the registered one)."""
    return (source for source in _sources.values() if issubclass(model, source.model))


def source_of_product(product: models.Model, name: str | None = None) -> ImageSource:
    """The source that shows this product. Raises SourceNotRegistered if there is none, or more and no name."""
    if name is not None:
        return get_source(name)
    fitting = [source for source in _sources.values() if isinstance(product, source.product_model)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise SourceNotRegistered(f"No source shows {type(product).__name__}; register its image model.")
    names = ", ".join(sorted(source.name for source in fitting))
    raise SourceNotRegistered(f"Several sources show {type(product).__name__}; name one of: {names}.")


def only_source(name: str | None = None) -> ImageSource:
    """The named source, or the only one. Raises SourceNotRegistered."""
    if name is not None or len(_sources) != 1:
        return get_source(name or "")
    return next(iter(_sources.values()))
