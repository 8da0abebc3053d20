"""One file that holds all of a run's state, written so that a kill at any moment leaves a whole one."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exceptions import InvalidCheckpoint, LossNotFinite

CHECKPOINT = "checkpoint.npz"
Arrays = dict[str, list[NDArray[Any]]]


@dataclass
class State:
    """Where a run stands. Crops are a function of (seed, step), so this is all that resuming needs.

    `identity` says what the run is made of (teacher, width, pictures); `crops` counts crops for each part.
    """

    seed: int
    step: int = 0
    part: str = ""
    trained_seconds: float = 0.0
    crops: dict[str, int] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)


def save(path: Path, state: State, arrays: Arrays) -> None:
    """Write `state` and the named lists of arrays to `path`, under a temporary name first.

    Raises LossNotFinite, and leaves the file as it is, where a number is not finite: the loss of one step is
    still finite when its own update spoils the weights.
    """
    for name, values in arrays.items():
        if not all(np.isfinite(value).all() for value in values):
            raise LossNotFinite(f"The {name} holds values that are not finite; {path} holds the last good state.")
    flat: dict[str, Any] = {"state": np.array(json.dumps(asdict(state)))}
    flat |= {f"{name}/{i}": value for name, values in arrays.items() for i, value in enumerate(values)}
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        np.savez(file, **flat)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path) -> tuple[State, Arrays]:
    """What `save` wrote. Raises InvalidCheckpoint where the file is missing or damaged."""
    arrays: Arrays = {}
    try:
        with path.open("rb") as file, np.load(file) as stored:
            state = State(**json.loads(str(stored["state"])))
            for key in stored.files:
                if key != "state":
                    arrays.setdefault(key.split("/")[0], []).append(stored[key])
    except FileNotFoundError as exc:
        raise InvalidCheckpoint(f"There is no checkpoint to resume at {path}.") from exc
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as exc:
        raise InvalidCheckpoint(f"The checkpoint {path} cannot be read: {exc}") from exc
    return state, arrays


def require_same(found: State, wanted: State, path: Path) -> None:
    """Raise InvalidCheckpoint unless `found`, read from `path`, is of the run that `wanted` describes."""
    theirs, ours = ({"seed": str(s.seed), **s.identity} for s in (found, wanted))
    differing = [name for name in ours if name in theirs and theirs[name] != ours[name]]
    if differing:
        was = ", ".join(f"{name} {theirs[name]} (now {ours[name]})" for name in differing)
        raise InvalidCheckpoint(f"The checkpoint {path} is of another run: {was}.")
