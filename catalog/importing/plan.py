"""Which files to import, and as which products."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from catalog.importing import manifest
from catalog.importing.entries import Entry, Failure, Groups

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "avif", "bmp", "tif", "tiff")
LONGEST_ORIGIN = 500  # as ProductImage has it
MOST_IMAGES = 20  # of one product


class FolderError(Exception):
    """The folder as a whole cannot be imported."""


def plan(
    folder: Path, extensions: tuple[str, ...] = EXTENSIONS, *, recursive: bool = False, csv: Path | None = None
) -> tuple[Groups, list[Failure]]:
    """The files of every product, by SKU, and what was refused.

    Files of ``folder`` and of its sub-folders (with ``recursive``, of theirs too) that end in one of ``extensions``,
    and the files that ``csv`` names, whatever they end in. Raises FolderError or ManifestError.
    """
    root = _checked(folder)
    failures: list[Failure] = []
    entries: dict[str, Entry] = {}
    for found in _files(root, extensions, recursive, failures):
        entries[_key(found.name)] = found
    if csv is not None:
        _apply_manifest(csv, root, entries, failures)
    if not entries and not failures:
        raise FolderError(_nothing_there(root, extensions, recursive))
    return _grouped(entries, failures), failures


def _checked(folder: Path) -> Path:
    if not folder.exists():
        raise FolderError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder.")
    return folder.resolve()


def _nothing_there(root: Path, extensions: tuple[str, ...], recursive: bool) -> str:
    if not any(root.iterdir()):
        return f"The folder {root} is empty."
    deeper = "" if recursive else "; --recursive looks further down than its sub-folders"
    return f"There is no image ({', '.join(extensions)}) in {root}{deeper}."


def _key(name: str) -> str:
    """Names are compared in one Unicode form: macOS writes an umlaut as two characters."""
    return unicodedata.normalize("NFC", name)


def _files(root: Path, extensions: tuple[str, ...], recursive: bool, failures: list[Failure]) -> Iterator[Entry]:
    def refused(exc: OSError) -> None:
        where = Path(exc.filename).relative_to(root).as_posix() if exc.filename else "."
        failures.append(Failure(where, f"the folder cannot be read: {exc.strerror or exc}."))

    endings = tuple(f".{extension}" for extension in extensions)
    for current, folders, names in os.walk(root, onerror=refused):
        here = Path(current)
        depth = len(here.relative_to(root).parts)
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive or depth < 1 else []
        for link in [f for f in folders if (here / f).is_symlink()]:
            failures.append(Failure((here / link).relative_to(root).as_posix(), "a link to a folder is not followed."))
        for name in sorted(names):
            if name.startswith(".") or not name.lower().endswith(endings):
                continue
            entry = Entry(here / name, (here / name).relative_to(root).as_posix())
            if reason := _refusal(entry, root):
                failures.append(Failure(_printable(entry.name), reason))
            else:
                yield entry


def _refusal(entry: Entry, root: Path) -> str | None:
    """Why a file that is there cannot be imported, before it is opened."""
    try:
        entry.origin.encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8."
    if not entry.path.resolve().is_relative_to(root):
        return "the link leads outside of the folder."
    if not entry.path.exists():
        return "the link leads nowhere."
    if len(entry.origin) > LONGEST_ORIGIN:
        return f"its path is longer than {LONGEST_ORIGIN} characters."
    return None


def _printable(name: str) -> str:
    return name.encode(errors="replace").decode()


def _apply_manifest(csv: Path, root: Path, entries: dict[str, Entry], failures: list[Failure]) -> None:
    """Gives the entries the values of their lines. A file whose line is refused is not imported at all."""
    lines, refused = manifest.read(csv)
    contradicting = {line.number: reason for line, reason in manifest.contradictions(lines)}
    for bad in refused:
        failures.append(Failure(_printable(bad.where), bad.reason))
        if found := _scanned(bad.path, entries):
            del entries[_key(found.name)]
    named: dict[str, int] = {}
    for line in lines:
        try:
            entry = _entry_of(line, root, entries)
        except ValueError as exc:
            failures.append(Failure(f"line {line.number} ({line.path})", str(exc)))
            continue
        key = _key(entry.name)
        if key in named:
            failures.append(Failure(entry.where, f"line {named[key]} names this file already."))
            continue
        named[key] = line.number
        entries.pop(key, None)  # a product's images are in the order of the lines
        if reason := contradicting.get(line.number):
            failures.append(Failure(entry.where, reason))
        else:
            entries[key] = entry


def _scanned(path: str, entries: dict[str, Entry]) -> Entry | None:
    """The file that was found in the folder under this path, with slashes of either kind."""
    if not path:
        return None
    keys = (_key(os.path.normpath(name)) for name in (path, path.replace("\\", "/")))
    return next((entries[key] for key in keys if key in entries), None)


def _entry_of(line: manifest.Line, root: Path, entries: dict[str, Entry]) -> Entry:
    """The file that a line names. Raises ValueError with the reason where there is none, or none that may be read."""
    path = Path(line.path)
    if path.is_absolute() or line.path.startswith("\\"):
        raise ValueError("the path must be relative to the folder.")
    if found := _scanned(line.path, entries):
        return Entry(found.path, found.name, line.values, line.number)
    candidate = root / path
    try:
        inside = candidate.resolve().is_relative_to(root)
        is_file = inside and candidate.is_file()
    except OSError as exc:  # a name that is too long, a loop of links
        raise ValueError(f"the path cannot be used: {exc.strerror or exc}.") from exc
    if not inside:
        raise ValueError("the path leads outside of the folder.")
    if not is_file:
        raise ValueError("there is no such file.")
    whole = Path(os.path.normpath(candidate))
    entry = Entry(whole, whole.relative_to(root).as_posix(), line.values, line.number)
    if reason := _refusal(entry, root):
        raise ValueError(reason)
    return entry


def _grouped(entries: dict[str, Entry], failures: list[Failure]) -> Groups:
    groups: Groups = {}
    for entry in entries.values():
        group = groups.setdefault(entry.sku, [])
        if len(group) < MOST_IMAGES:
            group.append(entry)
        else:
            reason = f"the product {entry.sku!r} has {MOST_IMAGES} images already, which is the most."
            failures.append(Failure(entry.where, reason))
    return groups
