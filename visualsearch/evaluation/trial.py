"""One encoder on one task: everything that a report, a plot or a montage shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.evaluation.bootstrap import Comparison, Figure, bootstrap, compare
from visualsearch.evaluation.choice import Contestant
from visualsearch.evaluation.coverage import Curve, precision_by_coverage
from visualsearch.evaluation.embedding import Embedded, Unreadable, embed
from visualsearch.evaluation.measures import Booleans, Ranking, Values, class_means, per_query, rank
from visualsearch.evaluation.pictures import Picture, Task, listed
from visualsearch.exceptions import EvaluationError


@dataclass(frozen=True)
class Confusion:
    """Queries of ``wanted`` whose nearest picture is of ``found``: how many of them, of how many."""

    wanted: str
    found: str
    count: int
    queries: int


@dataclass(frozen=True)
class Trial:
    """``queries`` (n) are those that could be read and have anything to find; ``ranking`` and ``values`` are theirs.

    ``milliseconds`` is the time of one picture, read, decoded and encoded while others are; ``encoding`` that of one
    picture in the encoder by itself. Both are NaN where the vectors were those of an index.
    """

    contestant: Contestant
    queries: list[Picture]
    gallery: list[Picture]
    ranking: Ranking
    values: dict[str, Values]
    milliseconds: float
    encoding: float
    labelled: bool
    unreadable: list[Unreadable]
    notes: list[str]

    @property
    def k(self) -> int:
        return self.ranking.k

    def figures(self) -> dict[str, Figure]:
        """Each measure's mean over the queries, with its 95% bootstrap interval."""
        return {name: bootstrap(values) for name, values in self.values.items()}

    def curve(self) -> Curve:
        """Precision against coverage of the nearest picture of each query, by its score."""
        return precision_by_coverage(self.ranking.scores[:, 0], self.ranking.hits[:, 0])

    def classes(self) -> dict[str, tuple[float, int]]:
        """P@1 and number of queries of each class, the worst first."""
        return class_means([picture.label for picture in self.queries], self.values["p_at_1"])

    def confusions(self) -> list[Confusion]:
        """Which class stands first in another's place, most often first."""
        wanted = [picture.label for picture in self.queries]
        firsts = [self.gallery[place].label for place in self.ranking.nearest[:, 0]]
        counts, queries = Counter(zip(wanted, firsts, strict=True)), Counter(wanted)
        wrong = [Confusion(*pair, count, queries[pair[0]]) for pair, count in counts.items() if pair[0] != pair[1]]
        return sorted(wrong, key=lambda each: (-each.count, each.wanted, each.found))

    def order(self) -> list[int]:
        """Queries from the best answered to the worst.

        By average precision over min(k, number relevant); among equals, by how much higher hits score than misses, so
        that the last one is the most confidently wrong.
        """
        precision = self.values[f"map_at_{self.k}_relevant"]
        signed = np.where(self.ranking.hits, self.ranking.scores, -self.ranking.scores)
        return [int(query) for query in np.lexsort((-np.nan_to_num(signed).sum(1), -precision))]


def run(
    task: Task, contestant: Contestant, k: int = 10, progress: Callable[[int], object] = lambda count: None
) -> Trial:
    """Embeds the task's pictures, each once, and ranks the gallery for every query.

    Raises EvaluationError where nothing can be asked, EncoderError where the encoder cannot be used.
    """
    pictures = list({picture.key: picture for picture in [*task.queries, *task.gallery]}.values())
    if contestant.encoder is None:
        raise ValueError(f"{contestant} has no encoder to run")
    return judged(task, contestant, embed(contestant.encoder, pictures, progress), k)


def judged(task: Task, contestant: Contestant, embedded: Embedded, k: int) -> Trial:
    """The trial of vectors that are there already. Raises EvaluationError where nothing can be asked."""
    queries, query_vectors = embedded.of(task.queries)
    gallery, gallery_vectors = embedded.of(task.gallery)
    notes = [*task.notes, *_doubles(embedded, queries, gallery)]
    ranking = rank(query_vectors, gallery_vectors, task.relevance(queries, gallery), k)
    answerable = ranking.answerable
    if not answerable.any():
        raise EvaluationError(_nothing_to_find(task, queries, embedded.unreadable))
    notes += _left_out(task, queries, answerable)
    ranking = ranking.only(answerable)
    asked = [picture for picture, kept in zip(queries, answerable, strict=True) if kept]
    return Trial(
        contestant,
        asked,
        gallery,
        ranking,
        per_query(ranking),
        1000 * embedded.seconds / len(embedded.places),
        1000 * embedded.encoding,
        task.labelled,
        embedded.unreadable,
        notes,
    )


def compared(first: Trial, second: Trial) -> dict[str, Comparison]:
    """The second against the first, measure by measure, over the queries that both could answer.

    Raises EvaluationError where there is none.
    """
    places = {picture.key: place for place, picture in enumerate(first.queries)}
    both = [(places[picture.key], place) for place, picture in enumerate(second.queries) if picture.key in places]
    if not both:
        raise EvaluationError("There is no query that both encoders could answer.")
    ours, theirs = map(list, zip(*both, strict=True))
    return {name: compare(values[ours], second.values[name][theirs]) for name, values in first.values.items()}


def _doubles(embedded: Embedded, queries: Sequence[Picture], gallery: Sequence[Picture]) -> list[str]:
    """A note where the same bytes are on both sides: such a query finds itself."""
    hashes = {picture.key: embedded.hashes[embedded.places[picture.key]] for picture in [*queries, *gallery]}
    held = Counter(hashes[picture.key] for picture in gallery)
    searched = {picture.key for picture in gallery}
    double = [each.name for each in queries if hashes[each.key] and held[hashes[each.key]] > (each.key in searched)]
    if not double:
        return []
    verb = "is" if len(double) == 1 else "are"
    named = f"under another name: {listed(double)}"
    return [f"{len(double):,} of the queries {verb} in the gallery byte for byte, {named}."]


def _nothing_to_find(task: Task, queries: Sequence[Picture], unreadable: Sequence[Unreadable]) -> str:
    why = "no class has two pictures" if task.queries is task.gallery else "the gallery holds nothing that they ask for"
    lost = [f" {len(unreadable):,} pictures cannot be read; {each.name}: {each.reason}" for each in unreadable[:1]]
    return f"None of the {len(queries):,} queries has anything to find: {why}.{''.join(lost)}"


def _left_out(task: Task, queries: Sequence[Picture], answerable: Booleans) -> list[str]:
    """A note on queries that have nothing to find; they are no part of the figures."""
    lone = [picture for picture, kept in zip(queries, answerable, strict=True) if not kept]
    if not lone:
        return []
    names = list(dict.fromkeys(picture.label if task.labelled else picture.name for picture in lone))
    one = len(lone) == 1
    verb, own = ("query is", "its") if one else ("queries are", "their")
    why = f"no other picture of {own} class is there" if task.labelled else f"none of {own} pictures is there"
    return [f"{len(lone):,} {verb} left out, as {why}: {listed(names)}."]
