"""Pictures -> unit vectors, read and decoded by threads ahead of the encoder; what cannot be read is listed."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from visualsearch.conf import conf
from visualsearch.encoders import Encoder, Vectors
from visualsearch.evaluation.pictures import Picture
from visualsearch.exceptions import EncoderError, EvaluationError, ImageRefused
from visualsearch.images import content_hash, open_image

AHEAD = 3  # batches held decoded
TIMED = 24  # pictures that the encoder is timed with by themselves


@dataclass(frozen=True)
class Unreadable:
    """A picture that was left out, and why."""

    name: str
    code: str
    reason: str


@dataclass
class Embedded:
    """Vectors (n, dimensions) of n pictures, by their keys, and the others.

    ``hashes`` are of the files' bytes. ``seconds`` is the whole time of reading, decoding and encoding; ``encoding``
    the median seconds of one picture in the encoder by itself; both NaN where nothing was read.
    """

    vectors: Vectors
    places: dict[str, int]
    hashes: list[str]
    unreadable: list[Unreadable] = field(default_factory=list)
    seconds: float = math.nan
    encoding: float = math.nan

    def of(self, pictures: Sequence[Picture]) -> tuple[list[Picture], Vectors]:
        """Those of the pictures that have a vector, and their vectors."""
        kept = [picture for picture in pictures if picture.key in self.places]
        return kept, self.vectors[[self.places[picture.key] for picture in kept]]


@dataclass
class _Read:
    picture: Picture
    image: Image.Image | None = None
    hash: str = ""
    code: str = ""
    reason: str = ""


def embed(
    encoder: Encoder, pictures: Sequence[Picture], progress: Callable[[int], object] = lambda count: None
) -> Embedded:
    """Embeds each picture once. ``progress`` is called with the number of pictures done since its last call.

    Raises EvaluationError where none can be read, EncoderError where the encoder takes none of the first ones.
    """
    start = time.perf_counter()
    rows: list[Vectors] = []
    found = Embedded(np.empty((0, encoder.dimensions), np.float32), {}, [])
    sample: list[Image.Image] = []
    for batch in _loaded(encoder, pictures):
        fault = _encode(encoder, batch, rows, found)
        if fault and not rows:
            raise fault  # it is the model, not the pictures
        encoded = [read.image for read in batch if read.image is not None and read.picture.key in found.places]
        sample += encoded[: TIMED - len(sample)]
        progress(len(batch))
    if not rows:
        raise EvaluationError(_none_readable(found.unreadable))
    found.vectors = np.concatenate(rows)
    found.seconds = time.perf_counter() - start
    found.encoding = _timed(encoder, sample)
    return found


def _none_readable(unreadable: Sequence[Unreadable]) -> str:
    first = unreadable[0]
    return f"None of the {len(unreadable):,} pictures can be read; {first.name}: {first.reason}"


def _loaded(encoder: Encoder, pictures: Sequence[Picture]) -> Iterator[list[_Read]]:
    """Batches, read and prepared by threads while the caller's thread encodes those before."""
    size, ahead = encoder.batch_size, deque[list[Future[_Read]]]()
    with ThreadPoolExecutor(max_workers=max(1, conf.THREADS), thread_name_prefix="visualsearch") as pool:
        for start in range(0, len(pictures), size):
            ahead.append([pool.submit(_load, encoder, picture) for picture in pictures[start : start + size]])
            if len(ahead) >= AHEAD:
                yield [future.result() for future in ahead.popleft()]
        while ahead:
            yield [future.result() for future in ahead.popleft()]


def _load(encoder: Encoder, picture: Picture) -> _Read:
    """Reads and decodes one picture; what goes wrong with it is kept, not raised."""
    read = _Read(picture)
    try:
        content = picture.read()
        read.hash = content_hash(content)
        read.image = encoder.prepare(open_image(content))
    except ImageRefused as refusal:
        read.code, read.reason = refusal.code, str(refusal)
    except FileNotFoundError:
        read.code, read.reason = "file_missing", "There is no such file."
    except Exception as fault:  # a storage may raise anything: its library's own errors, sockets, time-outs
        read.code, read.reason = "storage_error", f"{type(fault).__name__}: {fault}"
    return read


def _encode(encoder: Encoder, batch: Sequence[_Read], rows: list[Vectors], found: Embedded) -> EncoderError | None:
    """Adds the batch's vectors and what has none. A picture that the encoder cannot take fails alone."""
    found.unreadable += [Unreadable(read.picture.name, read.code, read.reason) for read in batch if read.image is None]
    decoded = [(read, read.image) for read in batch if read.image is not None]
    if not decoded:
        return None
    try:
        vectors = encoder.encode([image for _, image in decoded])
    except EncoderError as error:
        if len(decoded) == 1:
            found.unreadable.append(Unreadable(decoded[0][0].picture.name, error.code, str(error)))
            return error
        return next(filter(None, [_encode(encoder, [read], rows, found) for read, _ in decoded]), None)
    rows.append(vectors)
    for read, _ in decoded:
        found.places[read.picture.key] = len(found.places)
        found.hashes.append(read.hash)
    return None


def _timed(encoder: Encoder, sample: Sequence[Image.Image]) -> float:
    """Median seconds of one picture, prepared already, in the encoder by itself."""

    def seconds(image: Image.Image) -> float:
        start = time.perf_counter()
        encoder.encode([image])
        return time.perf_counter() - start

    return float(np.median(list(map(seconds, sample))))
