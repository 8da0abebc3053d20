"""manage.py visualsearch_query"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error, models
from django.http import QueryDict
from PIL import Image

from visualsearch.exceptions import ImageRefused, VisualSearchError
from visualsearch.models import active_index
from visualsearch.montage import Tile, montage, read
from visualsearch.search import Match, Results, State, search_by_image, similar_to
from visualsearch.sources import ImageSource, only_source

JPEG_SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Query:
    """What is searched with: a photo's path or a product."""

    source: ImageSource
    photo: Path | None = None
    product: Any = None

    def as_dict(self) -> dict[str, Any]:
        if self.photo is not None:
            return {"photo": str(self.photo)}
        return {"product": self.product.pk, "title": str(self.product)}

    def run(self, limit: int | None, filters: QueryDict) -> Results:
        if self.photo is None:
            return similar_to(self.product, limit, filters, source=self.source.name)
        with self.photo.open("rb") as file:
            return search_by_image(file, limit, filters, source=self.source.name)

    def tiles(self) -> list[Tile]:
        """Its pictures for the montage: the photo, or all images of the product."""
        if self.photo is not None:
            picture, missing = read(partial(self.photo.open, "rb"))
            return [Tile(picture, self.photo.name, missing=missing)]
        images = self.source.images_of(self.product.pk).filter(pk__in=self.source.with_file().order_by().values("pk"))
        pictures = [_picture(self.source, image) for image in images]
        titles = [str(self.product)] + [""] * len(pictures)
        return [Tile(picture, title, missing=why) for (picture, why), title in zip(pictures, titles, strict=False)]


class Command(BaseCommand):
    help = "Searches with a picture or a product and shows what is found, nearest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("query", metavar="IMAGE|PK", help="path of a picture, or a product's primary key")
        parser.add_argument("--source", help="the source to search; not needed where there is only one")
        parser.add_argument("--limit", type=int, help="results at most")
        parser.add_argument(
            "--filter", action="append", default=[], metavar="NAME=VALUE", help="may be given several times"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
        parser.add_argument("--montage", type=Path, metavar="FILE.jpg", help="write the query and its results there")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._answer(options)
        except ImageRefused as refusal:
            raise CommandError(f"{options['query']} is refused ({refusal.code}): {refusal}") from refusal
        except VisualSearchError as error:
            raise CommandError(str(error)) from error
        except Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database cannot answer: {reason}") from error
        except OSError as error:
            raise CommandError(f"{error.filename or options['query']}: {error.strerror or error}.") from error

    def _answer(self, options: dict[str, Any]) -> None:
        target: Path | None = options["montage"]
        if target is not None:
            _require_writable(target)
        filters = _filters(options["filter"])
        query = _query(only_source(options["source"]), options["query"])
        found = _found(query, options["limit"], filters)
        if target is not None:
            sheet = montage(query.tiles(), [_tile(query.source, match) for match in found])
            sheet.save(target, "JPEG", quality=90)
        if options["json"]:
            answer = {
                "source": query.source.name,
                "query": query.as_dict(),
                "filters": dict(filters.lists()),
                "count": len(found),
                "results": [_as_dict(query.source, match) for match in found],
                **({"montage": str(target)} if target else {}),
            }
            self.stdout.write(json.dumps(answer, indent=2, cls=DjangoJSONEncoder, ensure_ascii=False))
            return
        self.stdout.write("\n".join(_table(query.source, found)) or "No product is found.")
        if target is not None:
            self.stdout.write(f"Montage: {target}")


def _require_writable(target: Path) -> None:
    if target.suffix.lower() not in JPEG_SUFFIXES:
        raise CommandError(f"A montage is a JPEG file: {target} must end in {' or '.join(JPEG_SUFFIXES)}.")
    if not target.parent.is_dir():
        raise CommandError(f"There is no folder {target.parent} for the montage.")


def _filters(given: list[str]) -> QueryDict:
    """``--filter`` as a form would send it, so that a name may have several values."""
    filters = QueryDict(mutable=True)
    for item in given:
        name, equals, value = item.partition("=")
        if not (name and equals):
            raise CommandError(f"--filter takes NAME=VALUE, not {item!r}.")
        filters.appendlist(name, value)
    return filters


def _query(source: ImageSource, given: str) -> Query:
    """A file of that name, or else the product of that key."""
    path = Path(given).expanduser()
    if path.is_file():
        return Query(source, photo=path)
    model = source.product_model
    try:
        return Query(source, product=model._default_manager.get(pk=_product_key(model).to_python(given)))
    except (ObjectDoesNotExist, ValidationError):
        raise CommandError(f"There is no file {given!r} and no {model._meta.verbose_name} with that key.") from None


def _product_key(model: type[models.Model]) -> Any:
    field: Any = model._meta.pk
    while (target := getattr(field, "target_field", None)) is not None:
        field = target
    return field


def _found(query: Query, limit: int | None, filters: QueryDict) -> Results:
    """The page of results; a CommandError says why there can be none."""
    if active_index(query.source) is None:
        name = query.source.name
        raise CommandError(f"Source {name!r} has no index yet; run: manage.py visualsearch_reindex --source {name}")
    found = query.run(limit, filters)
    if found.state is not State.READY:
        raise CommandError(f"{query.product or query.photo} cannot be searched with ({found.state}): {found.reason}")
    return found


def _as_dict(source: ImageSource, match: Match) -> dict[str, Any]:
    return {
        "rank": match.rank,
        "score": match.score,
        "distance": match.distance,
        "product": match.product.pk,
        "title": str(match.product),
        "image": match.image.pk,
        "file": source.file_of(match.image).name,
    }


def _table(source: ImageSource, found: Results) -> list[str]:
    if not found:
        return []
    lines = [("rank", "score", "distance", "product", "", "image")]
    for row in (_as_dict(source, match) for match in found):
        distance = f"{row['distance']:.4f}"
        lines.append((str(row["rank"]), _shown(row["score"]), distance, str(row["product"]), row["title"], row["file"]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = (str.rjust, str.rjust, str.rjust, str.rjust, str.ljust, str.ljust)
    return ["  ".join(map(_padded, line, widths, sides)).rstrip() for line in lines]


def _shown(score: float | None) -> str:
    """A version without a calibration has no scores."""
    return "-" if score is None else f"{score:.1f}"


def _padded(text: str, width: int, side: Callable[[str, int], str]) -> str:
    return side(text, width)


def _picture(source: ImageSource, image: models.Model) -> tuple[Image.Image | None, str]:
    file = source.file_of(image)
    return read(partial(file.storage.open, file.name or "", "rb"))


def _tile(source: ImageSource, match: Match) -> Tile:
    picture, missing = _picture(source, match.image)
    score = "" if match.score is None else f"{match.score:.1f}, "
    return Tile(picture, f"{match.rank}.  {score}distance {match.distance:.3f}", str(match.product), missing)
