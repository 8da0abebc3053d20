"""The best, the median and the worst queries with what they found, as one picture."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

from visualsearch.evaluation.measures import NOTHING
from visualsearch.evaluation.pictures import Picture
from visualsearch.evaluation.trial import Trial
from visualsearch.montage import RIGHT, WRONG, Colour, Row, Tile, read, rows_montage

ROWS = 3  # of each group
COLUMNS = 10  # results of a query at most


def sheet(trial: Trial) -> Image.Image:
    """Results in a green frame are right, those in a red one wrong; below each, its cosine and what it is.

    Reads the files of the pictures shown again; one that cannot be read keeps its place.
    """
    rows = [
        Row(_query(trial, query), list(_results(trial, query)), "" if number else heading)
        for heading, queries in _groups(trial).items()
        for number, query in enumerate(queries)
    ]
    return rows_montage(rows, f"{trial.contestant}: {len(trial.queries):,} queries, {len(trial.gallery):,} pictures")


def _groups(trial: Trial) -> dict[str, list[int]]:
    order = trial.order()
    if len(order) <= 3 * ROWS:
        return {"All queries, the best first": order}
    middle = len(order) // 2 - ROWS // 2
    return {"Best": order[:ROWS], "Median": order[middle : middle + ROWS], "Worst": order[: -ROWS - 1 : -1]}


def _query(trial: Trial, query: int) -> Tile:
    average = trial.values[f"map_at_{trial.k}_relevant"][query]
    return _tile(trial.queries[query], f"AP {average:.2f}")


def _results(trial: Trial, query: int) -> Iterator[Tile]:
    ranking, shown = trial.ranking, slice(COLUMNS)
    found = (ranking.nearest[query, shown], ranking.scores[query, shown], ranking.hits[query, shown])
    for place, score, hit in zip(*found, strict=True):
        if place != NOTHING:
            yield _tile(trial.gallery[place], f"{score:.3f}", RIGHT if hit else WRONG)


def _tile(picture: Picture, strong: str, frame: Colour | None = None) -> Tile:
    image, missing = read(lambda: io.BytesIO(picture.read()))
    return Tile(image, strong, picture.label or picture.name, missing, frame)
