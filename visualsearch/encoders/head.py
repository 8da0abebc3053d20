"""A head on an encoder: what finetuning learns over frozen features, and the encoder file that carries it.

An encoder file with a head is a .tflite model that ends in a small zip archive, as the format's own metadata does
(https://ai.google.dev/edge/litert/conversion/tensorflow/metadata): the model runs as any other, ``unzip -l`` lists what
was added, and the file's digest covers all of it.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.encoders.base import Vectors
from visualsearch.exceptions import InvalidWeights

DESCRIPTION, HEAD = "visualsearch/encoder.json", "visualsearch/head.npz"


@dataclass(frozen=True)
class Head:
    """Unit x of the base encoder -> unit of [unit(matrix x + bias), share x].

    The cosine of two results is that of the projections and that of the original embeddings, averaged with weights 1
    and share squared. ``matrix``: float32 (projected, base dimensions); ``bias``: float32 (projected,); ``base``:
    fingerprint of the encoder that x is of.
    """

    matrix: Vectors
    bias: Vectors
    share: float
    base: str

    @property
    def dimensions(self) -> int:
        """Length of a result: the projection and the original side by side."""
        return int(sum(self.matrix.shape))

    def apply(self, vectors: Vectors) -> Vectors:
        """Unit rows, float32 (n, dimensions), from unit rows (n, base dimensions)."""
        projected = vectors @ self.matrix.T + self.bias
        # A picture at the very centre has no direction there; it keeps its original one.
        lengths = np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-6)
        joined = np.concatenate([projected / lengths, np.float32(self.share) * vectors], axis=1)
        unit: Vectors = (joined / np.linalg.norm(joined, axis=1, keepdims=True)).astype(np.float32)
        return unit


@dataclass(frozen=True)
class EncoderFile:
    """What a finetuned .tflite says of itself.

    ``encoder``: bundled name of the encoder whose preprocessing it takes. ``head``: what leads from vectors of
    ``head.base`` to its own, or None where the whole network changed. ``record``: how it was made, for people.
    """

    encoder: str
    dimensions: int
    head: Head | None
    record: dict[str, Any]

    def appended_to(self, model: bytes) -> bytes:
        """The .tflite model with this description at its end."""
        buffer = io.BytesIO(model)
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
            described = {"encoder": self.encoder, "dimensions": self.dimensions, "record": self.record}
            archive.writestr(DESCRIPTION, json.dumps(described, indent=2))
            if self.head is not None:
                arrays = io.BytesIO()
                np.savez(
                    arrays,
                    matrix=self.head.matrix,
                    bias=self.head.bias,
                    share=np.float64(self.head.share),
                    base=np.array(self.head.base),
                )
                archive.writestr(HEAD, arrays.getvalue())
        return buffer.getvalue()


def read_encoder_file(path: str | os.PathLike[str]) -> EncoderFile | None:
    """What the file says of itself; None for a .tflite that no finetuning wrote. Loads no model.

    Raises InvalidWeights where there is no such file, or its description is damaged.
    """
    path = Path(path)
    try:
        stat = path.stat()
        return _read(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except FileNotFoundError as exc:
        raise InvalidWeights(f"There is no encoder file {path}.") from exc
    except OSError as exc:
        raise InvalidWeights(f"The encoder file {path} cannot be read: {exc.strerror}.") from exc


@lru_cache(maxsize=16)
def _read(path: Path, mtime_ns: int, size: int, inode: int) -> EncoderFile | None:
    """Read again only after the file changed."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if DESCRIPTION not in (names := archive.namelist()):
                return None
            described = json.loads(archive.read(DESCRIPTION))
            head = _head(archive.read(HEAD)) if HEAD in names else None
        return EncoderFile(str(described["encoder"]), int(described["dimensions"]), head, dict(described["record"]))
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as exc:
        raise InvalidWeights(f"The description in the encoder file {path} is damaged.") from exc


def _head(content: bytes) -> Head:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Head(arrays["matrix"], arrays["bias"], float(arrays["share"]), str(arrays["base"]))
