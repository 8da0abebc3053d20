"""Why a result matched: how much of the similarity each place of its picture carries.

The embedding is the average of the features of all places, so its cosine with the query is a sum over places: place i
of n gives query . feature_i / (n |average|). That is exact, no estimate (class activation maps, Zhou et al. 2016,
https://arxiv.org/abs/1512.04150, read the same sum for a classifier's weights). Where finetuning put a head behind the
average the same holds for its linear parts; a bias belongs to no place, and is spread over all.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from visualsearch.encoders.base import Encoder, Maps, Vectors
from visualsearch.images import open_image
from visualsearch.sources import ImageSource

LONGEST = 112  # pixels of the heat map's longer side: some 4 KB; the page lays it over the picture at any size
SIDE = 224  # pixels of the shorter side that a picture is opened with, as for the index
TINT = (255, 64, 0)  # of the places that carry the similarity
STRONGEST = 200  # of 255: the opacity of the strongest place, through which the picture is still seen
ROUNDING = 1e-4  # of the largest share: differences below are float32's
FINER = 448  # pixels of the longer side at which a picture is explained: 14 places across

Shares = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Explanation:
    """``shares``: float32 (h, w), what each place adds to the similarity, of upper left to lower right; they add up to
    ``similarity``, the cosine of the query and this picture. Places may speak against it and have a share below 0.
    """

    shares: Shares
    similarity: float
    size: tuple[int, int]  # of the picture, width and height in pixels

    def carried(self, part: float = 0.25) -> float:
        """How much of the similarity the strongest ``part`` of the places carries, as a fraction of it."""
        count = max(1, round(part * self.shares.size))
        strongest = np.sort(self.shares, axis=None)[-count:]
        return float(strongest.sum() / self.similarity) if self.similarity > 0 else 0.0

    def heat(self) -> npt.NDArray[np.uint8]:
        """0 to 255 for each place (h, w): 0 at the share that all would have if they carried the same, or less."""
        above = (self.shares - self.shares.mean()).clip(0)
        strongest = float(above.max())
        uneven = strongest > ROUNDING * float(np.abs(self.shares).max())
        scaled = above / strongest * STRONGEST if uneven else np.zeros_like(above)
        return np.asarray(np.rint(scaled), dtype=np.uint8)

    def png(self, longest: int = LONGEST) -> bytes:
        """The heat map as a PNG with transparency, to be laid over the picture: of its proportions, one colour, more
        opaque where more of the similarity comes from."""
        scale = longest / max(self.size)
        width, height = (max(1, round(length * scale)) for length in self.size)
        opacity = Image.fromarray(self.heat()).resize((width, height), Image.Resampling.BICUBIC)
        drawn = Image.new("RGB", (width, height), TINT)
        drawn.putalpha(opacity)
        buffer = io.BytesIO()
        drawn.save(buffer, "PNG")
        return buffer.getvalue()

    def data_uri(self) -> str:
        """The heat map as an address that holds it."""
        return f"data:image/png;base64,{base64.b64encode(self.png()).decode('ascii')}"


def explain(encoder: Encoder, query: Vectors, picture: Image.Image, *, finer: bool = False) -> Explanation:
    """Why an upright RGB picture is like a query, a unit vector, float32 (dimensions).

    The picture is looked at as the index did, whole and at the model's own size, so that the similarity is the one
    that ranked it; the map then has 7 x 7 places. ``finer`` looks at it larger: 14 places on the longer side show
    better where, and the similarity that they add up to is that of the larger picture. Raises NoFeatureMap.
    """
    size = (FINER, FINER) if finer else None
    (feature_map,) = encoder.feature_map([picture], size)
    shares = shares_of(encoder, query, feature_map)
    return Explanation(shares, float(shares.sum(dtype=np.float64)), picture.size)


def explain_result(
    encoder: Encoder, query: Vectors, source: ImageSource, image: Any, *, finer: bool = False
) -> Explanation:
    """The same for a result: its picture is read from the source's storage.

    Raises ImageRefused where the file is no picture any more, NoFeatureMap, and what the storage raises.
    """
    return explain(encoder, query, picture_of(source, image, FINER if finer else SIDE), finer=finer)


def picture_of(source: ImageSource, image: Any, side: int = SIDE) -> Image.Image:
    """An image's picture, upright RGB, from the source's storage. Raises ImageRefused, and what the storage raises."""
    with source.file_of(image).open("rb") as file:
        return open_image(file, side=side)


def shares_of(encoder: Encoder, query: Vectors, feature_map: Maps) -> Shares:
    """What each place of a map, float32 (h, w, d), adds to the cosine of the query with its embedding: (h, w)."""
    mean = feature_map.mean(axis=(0, 1), dtype=np.float64)
    direction, constant = encoder.toward(query, mean.astype(np.float32))
    places = feature_map.shape[0] * feature_map.shape[1]
    shares: Shares = ((feature_map @ direction + constant) / places).astype(np.float32)
    return shares
