"""Which encoders are evaluated: names and weights as a person gives them -> encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visualsearch.conf import conf
from visualsearch.encoders import Encoder, encoder_class, get_encoder, short_name
from visualsearch.encoders.head import read_encoder_file
from visualsearch.encoders.mobilenet import MobileNetV2
from visualsearch.encoders.model_file import NAMED_WEIGHTS, ModelFile, Weights
from visualsearch.exceptions import EvaluationError

BUNDLED = "bundled"  # as weights: those that came with the package
MOST = 2


@dataclass(frozen=True)
class Contestant:
    """An encoder, and the words that tell it from another. Without ``encoder`` its vectors are those of an index."""

    name: str
    weights: str
    fingerprint: str
    encoder: Encoder | None

    def __str__(self) -> str:
        return f"{self.name} ({self.weights})"


def contestants(names: Sequence[str], weights: Sequence[str]) -> list[Contestant]:
    """One encoder, or two to be compared.

    Without names it is the settings' encoder; without weights each has those that the settings give it. Two weights
    are of the one encoder named, or of the two in the same order. Weights are ``bundled``, ``imagenet``, ``random`` or
    a file. Raises EvaluationError for any other number of them and for the same encoder twice, EncoderError for names
    and weights that are none or that no model was built from.
    """
    if len(names) > MOST or len(weights) > MOST:
        raise EvaluationError("At most two encoders are compared.")
    if len(names) == MOST and len(weights) == 1:
        raise EvaluationError(f"Two encoders take two --weights, in the same order; {BUNDLED!r} is one of the choices.")
    count = max(1, len(names), len(weights))
    wanted = [names[place % len(names)] if names else None for place in range(count)]
    given = [weights[place] if weights else None for place in range(count)]
    found = [_contestant(name, chosen) for name, chosen in zip(wanted, given, strict=True)]
    if len({each.fingerprint for each in found}) < len(found):
        raise EvaluationError(f"Both are the same encoder: {found[0]}, fingerprint {found[0].fingerprint[:12]}.")
    return found


def _contestant(name: str | None, weights: str | None) -> Contestant:
    if weights is None:
        encoder = get_encoder(name)
        return Contestant(short_name(name or conf.ENCODER), _configured(encoder), encoder.fingerprint, encoder)
    chosen: Weights = None if weights == BUNDLED else weights
    named = name or _named_by(chosen) or conf.ENCODER
    found = encoder_class(named)
    if not issubclass(found, MobileNetV2):
        raise EvaluationError(f"{found.name} is not one of Keras's models, and takes no --weights.")
    made = found(ModelFile(found.description, chosen))
    return Contestant(short_name(named), _shown(chosen), made.fingerprint, made)


def _named_by(weights: Weights) -> str | None:
    """The encoder that a finetuned file says it is of."""
    path = Path(weights).expanduser() if weights and weights not in NAMED_WEIGHTS else None
    tuned = read_encoder_file(path) if path and path.suffix == ".tflite" and path.is_file() else None
    return tuned.encoder if tuned else None


def _configured(encoder: Encoder) -> str:
    return _shown(encoder.file.weights) if isinstance(encoder, MobileNetV2) else "its own weights"


def _shown(weights: Weights) -> str:
    if weights is None:
        return "bundled weights"
    return f"{weights} weights" if weights in NAMED_WEIGHTS else str(weights)
