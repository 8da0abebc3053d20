"""A CSV of pairs: in each row a query, then the pictures that it should find. No database."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from visualsearch.evaluation.pictures import Picture, Task, folder_pictures, picture
from visualsearch.exceptions import EvaluationError

HEADER = "query"  # the first cell of a row of headings
DELIMITERS = ",;\t"


def csv_pairs(file: Path, queries: Path | None = None, gallery: Path | None = None) -> Task:
    """Rows of (query, relevant, relevant, ...); several rows of one query add up. UTF-8; comma, semicolon or tab.

    Paths are looked up in ``gallery`` (relevant ones), in ``queries`` and beside the CSV, in that order. The gallery
    is every picture of ``gallery``, else of ``queries``, else of those that the CSV names. A query that is in it never
    finds itself. Raises EvaluationError for a file or folder that cannot be read, and for a row without a relevant one.
    """
    rows = _rows(file)
    beside = [folder for folder in (queries, file.parent) if folder is not None]
    where = [gallery, *beside] if gallery else beside
    for folder in (queries, gallery):
        if folder is not None and not folder.is_dir():
            raise EvaluationError(f"There is no folder {folder}.")
    asked: dict[str, Picture] = {}
    named: dict[str, Picture] = {}
    wanted: dict[str, set[str]] = {}
    for query, relevant in rows:
        own = _found(query, beside)
        others = [_found(name, where) for name in relevant]
        asked.setdefault(own.key, own)
        named.update(
            {each.key: each for each in [own, *others]} if not gallery else {each.key: each for each in others}
        )
        wanted.setdefault(own.key, set()).update(each.key for each in others)
    folder = gallery or queries
    if folder is not None:
        # What the CSV names comes first, under its own names; the rest of the folder is there to be confused with.
        known = {each.group for each in named.values()}
        named |= {each.key: each for each in folder_pictures(folder) if each.group not in known}
    return Task(list(asked.values()), list(named.values()), {key: frozenset(keys) for key, keys in wanted.items()})


def _rows(file: Path) -> list[tuple[str, list[str]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise EvaluationError(f"{file} is not a text file in UTF-8.") from exc
    except OSError as exc:
        raise EvaluationError(f"{file} cannot be read: {exc.strerror or exc}.") from exc
    lines = text.splitlines()
    delimiter = max(DELIMITERS, key=lines[0].count) if lines else ","
    found = []
    try:
        for number, row in enumerate(csv.reader(lines, delimiter=delimiter), start=1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or (number == 1 and cells[0].lower() == HEADER):
                continue
            relevant = [cell for cell in cells[1:] if cell]
            if not (cells[0] and relevant):
                raise EvaluationError(f"{file}, line {number}: expected a query and the pictures that it should find.")
            found.append((cells[0], relevant))
    except csv.Error as exc:
        raise EvaluationError(f"{file} is not a CSV file: {exc}.") from exc
    if not found:
        raise EvaluationError(f"{file} names no pairs: query, relevant, relevant, ...")
    return found


def _found(name: str, folders: Sequence[Path]) -> Picture:
    """The picture of that name in the first folder that has it; one that is nowhere is listed when it is read."""
    places = [folder / name for folder in folders]
    return picture(next((path for path in places if path.is_file()), places[-1]), name)
