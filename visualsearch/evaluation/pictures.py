"""Labelled pictures: folders of class sub-folders. No database.

A ``Task`` is what one evaluation asks: queries, the gallery that they are asked of, and what each should find.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from visualsearch.evaluation.measures import Classes, Pairs, Relevance, codes
from visualsearch.exceptions import EvaluationError
from visualsearch.images import read_limited

SUFFIXES = frozenset(
    f".{ending}"
    for ending in ("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "avif", "bmp", "tif", "tiff", "heic", "heif")
)
NAMED = 10  # classes or files at most in one sentence


@dataclass(frozen=True)
class Picture:
    """One picture. ``label`` is its class (empty where pairs are named); pictures of one ``group`` are never each
    other's answer. ``key`` tells it from all others; ``read`` returns its file's bytes and raises what reading raises.
    """

    key: str
    name: str
    read: Callable[[], bytes]
    label: str = ""
    group: Hashable = None


@dataclass(frozen=True)
class Task:
    """What is asked: each of the queries should find its label in the gallery, never a picture of its own group.

    Queries may be pictures of the gallery themselves (leave one out). ``wanted``, where there is one, maps a query's
    key to the keys of what it should find instead. ``notes`` are sentences on what was left out.
    """

    queries: Sequence[Picture]
    gallery: Sequence[Picture]
    wanted: Mapping[str, frozenset[str]] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def labelled(self) -> bool:
        return self.wanted is None

    def relevance(self, queries: Sequence[Picture], gallery: Sequence[Picture]) -> Relevance:
        """What these of the queries, which could be read, should find in these of the gallery."""
        if self.wanted is None:
            labels = codes([picture.label for picture in queries], [picture.label for picture in gallery])
            groups = codes([picture.group for picture in queries], [picture.group for picture in gallery])
            return Classes(*labels, *groups)
        places = {picture.key: place for place, picture in enumerate(gallery)}
        files: dict[Hashable, list[int]] = {}
        for place, picture in enumerate(gallery):
            files.setdefault(picture.group, []).append(place)
        own = [files.get(picture.group, []) for picture in queries]
        found = [[places[key] for key in self.wanted[picture.key] if key in places] for picture in queries]
        return Pairs(found, own, len(gallery))


def class_folders(queries: Path, gallery: Path | None = None) -> Task:
    """``FOLDER/CLASS/...`` with pictures at any depth below a class; a query should find its class in the gallery.

    Raises EvaluationError where a folder is missing, holds no class with a picture, where one lies inside the other, or
    where they have no class in common.
    """
    notes: list[str] = []
    asked = _labelled(queries, notes)
    if gallery is None:
        return Task(asked, asked, notes=notes)
    if _overlap(queries, gallery):
        raise EvaluationError(
            f"{queries} and {gallery} overlap, so that pictures would find themselves; leave --gallery out to ask each "
            "picture of all the others."
        )
    searched = _labelled(gallery, notes)
    ours, theirs = ({picture.label for picture in part} for part in (asked, searched))
    if not ours & theirs:
        raise EvaluationError(
            f"{queries} and {gallery} have no class in common: {listed(sorted(ours))} against {listed(sorted(theirs))}."
        )
    return Task(asked, searched, notes=notes)


def folder_pictures(folder: Path) -> list[Picture]:
    """Every picture file below a folder, by its ending, in the order of names; hidden ones are passed over.

    Raises EvaluationError where there is no such folder or none in it.
    """
    _require_folder(folder)
    found = [picture(path, path.relative_to(folder).as_posix()) for path in _files(folder)]
    if not found:
        raise EvaluationError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))}).")
    return found


def picture(path: Path, name: str, label: str = "") -> Picture:
    """A picture file."""
    # A link to the same file is another picture, and no answer.
    return Picture(str(path.absolute()), name, partial(_read, path), label, group=path.resolve())


def listed(names: Sequence[str]) -> str:
    """Names in one sentence, the first of them where there are many."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return read_limited(file)


def _labelled(folder: Path, notes: list[str]) -> list[Picture]:
    _require_folder(folder)
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    by_label = {
        path.name: [picture(file, file.relative_to(folder).as_posix(), path.name) for file in _files(path)]
        for path in classes
    }
    loose = [path.name for path in sorted(folder.iterdir()) if path.is_file() and _is_picture(path)]
    found = [each for pictures in by_label.values() for each in pictures]
    if not found:
        lying = f" {len(loose)} pictures lie in it directly, without a class." if loose else ""
        raise EvaluationError(f"{folder} has no class sub-folders with pictures: FOLDER/CLASS/picture.jpg.{lying}")
    if empty := [label for label, pictures in by_label.items() if not pictures]:
        notes.append(f"{folder}: {_counted(empty, 'class has', 'classes have')} no pictures: {listed(empty)}.")
    if loose:
        notes.append(f"{folder}: {_counted(loose, 'picture lies', 'pictures lie')} in no class: {listed(loose)}.")
    return found


def _counted(names: Sequence[str], one: str, several: str) -> str:
    return f"{len(names):,} {one if len(names) == 1 else several}"


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise EvaluationError(f"{folder} is not a folder." if folder.exists() else f"There is no folder {folder}.")


def _files(folder: Path) -> Iterator[Path]:
    """Picture files below a folder."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and _is_picture(path) and not path.is_dir():
            yield path


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _overlap(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)
