"""Which encoders there are, and the process's one instance of each. Importing this loads no model.

An encoder is named by a bundled name or a dotted path. Where one has several weights, as while a shop changes from its
old ones to new ones, each further set has a label: ``mobilenet_v2@spring`` has the weights that
``VISUALSEARCH["WEIGHTS"]`` gives under that very key.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from visualsearch.conf import conf
from visualsearch.encoders.base import Encoder, Vectors
from visualsearch.exceptions import EncoderError

__all__ = [
    "BUNDLED",
    "Encoder",
    "Vectors",
    "configured",
    "encoder_class",
    "encoder_names",
    "get_encoder",
    "short_name",
]

BUNDLED = {
    "mobilenet_v2": "visualsearch.encoders.mobilenet.MobileNetV2",
    "mobilenet_v2_compact": "visualsearch.encoders.mobilenet.MobileNetV2Compact",
}

_instances: dict[str, Encoder] = {}


def encoder_names() -> list[str]:
    """Names of the bundled encoders, and of those that the settings name besides."""
    return [*BUNDLED, *(name for name in map(short_name, configured()) if name not in BUNDLED)]


def configured() -> list[str]:
    """Names of the encoders that the settings name: ENCODER, those of SOURCE_ENCODERS, and the keys of WEIGHTS.

    Raises EncoderError where SOURCE_ENCODERS is no dict.
    """
    if not isinstance(conf.SOURCE_ENCODERS, Mapping):
        raise EncoderError(f"SOURCE_ENCODERS must be a dict of sources and encoders, not {conf.SOURCE_ENCODERS!r}.")
    weights = conf.WEIGHTS if isinstance(conf.WEIGHTS, Mapping) else {}
    names = [conf.ENCODER, *conf.SOURCE_ENCODERS.values(), *weights]
    return [name for number, name in enumerate(names) if name not in names[:number]]


def short_name(name: str) -> str:
    """The bundled name of a bundled encoder that is given by its dotted path; any other name as it is."""
    path, at, label = _path(name).partition("@")
    return {own: bundled for bundled, own in BUNDLED.items()}.get(path, path) + at + label


def encoder_class(name: str | None = None) -> type[Encoder]:
    """The class that a bundled name or a dotted path names; without a name, the one in the settings.

    Raises EncoderError, with the valid choices, where there is no such Encoder subclass.
    """
    path = _path(conf.ENCODER if name is None else name).partition("@")[0]
    try:
        found = import_string(path)
    except ImportError as exc:
        raise EncoderError(f"There is no encoder {path!r}: {exc}. {_choices()}") from exc
    if not (isinstance(found, type) and issubclass(found, Encoder)):
        raise EncoderError(f"{path!r} is not a subclass of visualsearch.encoders.Encoder. {_choices()}")
    if lacking := sorted(
        found.__abstractmethods__ | {name for name in ("name", "dimensions") if not hasattr(found, name)}
    ):
        raise EncoderError(f"The encoder {path!r} lacks {', '.join(lacking)}. {_choices()}")
    return found


def get_encoder(name: str | None = None) -> Encoder:
    """The process's one instance of an encoder, by bundled name or dotted path; the settings' without a name.

    The model itself is loaded by the first ``encode``. Raises EncoderError, with the valid choices, for a
    name that is none.
    """
    path = _path(conf.ENCODER if name is None else name)
    if path not in _instances:
        found, label = encoder_class(path), path.partition("@")[2]
        # setdefault is atomic: threads that arrive together get the same instance, whoever made it.
        _instances.setdefault(path, found.labelled(label) if label else found())
    return _instances[path]


def _path(name: object) -> str:
    """The dotted path for a bundled name or a dotted path, with its label."""
    stem, at, label = name.partition("@") if isinstance(name, str) else ("", "", "")
    if (stem not in BUNDLED and "." not in stem) or (at and not label):
        raise EncoderError(f"There is no encoder {name!r}. {_choices()}")
    return BUNDLED.get(stem, stem) + at + label


def _choices() -> str:
    return f"Choose one of {', '.join(BUNDLED)}, or give the dotted path of an Encoder subclass."


def _reset(*, setting: str, **kwargs: object) -> None:
    if setting == "VISUALSEARCH":
        _instances.clear()


setting_changed.connect(_reset)
