"""The CSV that names products: a line for each file, each cell checked, a wrong line refused with its number."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TextIO

from catalog.importing.entries import Values

COLUMNS = ("path", "title", "sku", "price", "category", "stock")
LENGTHS = {"title": 200, "sku": 64, "category": 120}  # as the models have them
HIGHEST_PRICE = Decimal("9999999.99")
HIGHEST_STOCK = 2**31 - 1


class ManifestError(Exception):
    """The CSV as a whole cannot be used."""


@dataclass(frozen=True)
class Line:
    """One line of the CSV, checked. ``path`` as it stands there."""

    number: int
    path: str
    values: Values


@dataclass(frozen=True)
class RefusedLine:
    """A line that cannot be used. ``path`` is empty where it has none."""

    number: int
    path: str
    reason: str

    @property
    def where(self) -> str:
        return f"line {self.number} ({self.path})" if self.path else f"line {self.number}"


def read(path: Path) -> tuple[list[Line], list[RefusedLine]]:
    """The good lines and the refused ones. Raises ManifestError where the file or its header cannot be used."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(file, path)
    except UnicodeDecodeError as exc:
        raise ManifestError(f"{path} is not text in UTF-8.") from exc
    except csv.Error as exc:
        raise ManifestError(f"{path} is not a CSV file: {exc}.") from exc
    except OSError as exc:
        raise ManifestError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


def _read(file: TextIO, path: Path) -> tuple[list[Line], list[RefusedLine]]:
    first = file.readline()
    file.seek(0)
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(file, delimiter=delimiter, strict=True)
    header = [cell.strip().lower() for cell in next(rows, [])]
    _check_header(header, path)
    lines: list[Line] = []
    refused: list[RefusedLine] = []
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        try:
            if len(cells) > len(header):
                raise ValueError(f"it has {len(cells)} cells, the header {len(header)}.")
            lines.append(_line(rows.line_num, row))
        except ValueError as exc:
            refused.append(RefusedLine(rows.line_num, row.get("path", ""), str(exc)))
    return lines, refused


def _check_header(header: list[str], path: Path) -> None:
    valid = ", ".join(COLUMNS)
    if not any(header):
        raise ManifestError(f"{path} has no header; its first line must name its columns, of: {valid}.")
    if unknown := sorted(set(header) - set(COLUMNS)):
        names = ", ".join(repr(name) for name in unknown)
        raise ManifestError(f"{path} has unknown columns: {names}. Valid columns: {valid}.")
    if len(set(header)) < len(header):
        raise ManifestError(f"{path} names a column twice: {', '.join(header)}.")
    if "path" not in header:
        raise ManifestError(f"{path} has no column 'path'. Valid columns: {valid}.")


def _line(number: int, row: dict[str, str]) -> Line:
    if any("\0" in cell for cell in row.values()):
        raise ValueError("it holds a NUL character.")
    if not row.get("path"):
        raise ValueError("the path is missing.")
    for name, longest in LENGTHS.items():
        if len(row.get(name, "")) > longest:
            raise ValueError(f"the {name} is longer than {longest} characters.")
    return Line(
        number,
        row["path"],
        Values(
            sku=row.get("sku") or None,
            title=row.get("title") or None,
            price=_price(row.get("price", "")),
            category=row.get("category") or None,
            stock=_stock(row.get("stock", "")),
        ),
    )


def _price(cell: str) -> Decimal | None:
    if not cell:
        return None
    # 19,90 is how half of Europe writes it; 1,234.50 and 1.234,50 are refused rather than guessed.
    text = cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"the price {cell!r} is not a number.") from None
    if not price.is_finite() or price < 0 or price > HIGHEST_PRICE:
        raise ValueError(f"the price {cell!r} is not between 0 and {HIGHEST_PRICE}.")
    if price != round(price, 2):
        raise ValueError(f"the price {cell!r} has more than two decimals.")
    return round(price, 2)


def _stock(cell: str) -> int | None:
    if not cell:
        return None
    try:
        stock = int(cell)
    except ValueError:
        raise ValueError(f"the stock {cell!r} is not a whole number.") from None
    if not 0 <= stock <= HIGHEST_STOCK:
        raise ValueError(f"the stock {cell!r} is not between 0 and {HIGHEST_STOCK}.")
    return stock


def contradictions(lines: list[Line]) -> Iterator[tuple[Line, str]]:
    """Lines that say something else about a product (an SKU) than an earlier line did, each with the reason."""
    said: dict[tuple[str, str], tuple[object, int]] = {}
    for line in lines:
        if line.values.sku is None:
            continue
        for name in ("title", "price", "category", "stock"):
            value = getattr(line.values, name)
            if value is None:
                continue
            first, number = said.setdefault((line.values.sku, name), (value, line.number))
            if first != value:
                yield (
                    line,
                    (
                        f"the SKU {line.values.sku!r} is taken: line {number} gives it the {name} {str(first)!r}, "
                        f"not {str(value)!r}."
                    ),
                )
                break
