"""The options of a run, and the run itself from them: what the management command and `python -m` share."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data import Crops, Pictures, find_pictures, load_pictures, overlap
from .exceptions import TrainingError
from .memory import keep_freed_memory

if TYPE_CHECKING:
    from .distil import Distillation
    from .teachers import Teacher

SHOWN_UNREADABLE = 20


@dataclass(frozen=True)
class Options:
    """What the command line says. `alpha` None is the teacher's own width; `steps` replaces `minutes`."""

    teacher: str
    images: tuple[Path, ...]
    out: Path
    alpha: float | None = None
    minutes: float = 60.0
    steps: int | None = None
    seed: int = 0
    device: str = "auto"
    resume: bool = False
    batch_size: int = 64
    size: int = 128
    last_size: int = 224
    checkpoint_every: float = 180.0
    queries: Path | None = None
    gallery: Path | None = None

    @classmethod
    def read(cls, given: dict[str, Any]) -> Options:
        """From a parser's dict, which may hold other options too."""
        known = {name: given[name] for name in cls.__dataclass_fields__ if name in given}
        return cls(**{**known, "images": tuple(given["images"])})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a run's options to `parser`."""
    add = parser.add_argument
    add("--teacher", required=True, metavar="NAME|FILE", help="mobilenet_v2, a .weights.h5 or a .keras file")
    add("--alpha", type=float, help="width of the student (default: the teacher's)")
    add("--images", type=Path, nargs="+", required=True, metavar="FOLDER", help="named twice, it counts twice")
    add("--out", type=Path, required=True, metavar="DIR", help="checkpoint, weights and record go here")
    add("--minutes", type=float, default=60.0, help="training time, over all resumptions (default: 60)")
    add("--steps", type=int, help="a number of steps in place of --minutes: repeatable")
    add("--seed", type=int, default=0)
    add("--device", default="auto", help="auto, cpu, gpu, or a TensorFlow device such as GPU:1")
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--batch-size", type=int, default=64, help="crops in a step (default: 64)")
    add("--size", type=int, default=128, help="side of the crops in px (default: 128)")
    add("--last-size", type=int, default=224, help="side of the last part's crops in px (default: 224)")
    add("--checkpoint-every", type=float, default=180.0, metavar="SECONDS")
    add("--queries", type=Path, metavar="FOLDER", help="class sub-folders to judge the result on, with --gallery")
    add("--gallery", type=Path, metavar="FOLDER", help="class sub-folders that the queries search")


def check(options: Options) -> None:
    """Raise TrainingError for options that cannot work, before anything slow is loaded."""
    for folder in options.images:
        find_pictures(folder)
    if options.alpha is not None and options.alpha not in (widths := (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)):
        raise TrainingError(f"A MobileNetV2 has no width {options.alpha}: use one of {', '.join(map(str, widths))}.")
    if options.minutes <= 0 or (options.steps is not None and options.steps <= 0) or options.batch_size <= 0:
        raise TrainingError("--minutes, --steps and --batch-size must be above 0.")
    if options.size % 32 or options.last_size % 32 or min(options.size, options.last_size) <= 0:
        raise TrainingError("--size and --last-size must be multiples of 32 px.")
    if (options.queries is None) != (options.gallery is None):
        raise TrainingError("--queries and --gallery go together.")
    trained_on = [folder for folder in options.images if options.queries and overlap(folder, options.queries)]
    if trained_on:
        raise TrainingError(f"{options.queries} cannot judge weights trained on {trained_on[0]}: they overlap.")


def distil(options: Options, report: Callable[[str], None]) -> Path:
    """Train as `options` say; returns the file of the student's weights.

    Raises TrainingError and its kinds, and MissingExtra where TensorFlow is not installed.
    """
    check(options)
    keep_freed_memory()
    from . import teachers  # TensorFlow from here on

    place = _device(options.device)
    teacher = teachers.find(options.teacher)
    pictures = load_pictures(options.images)
    _report_pictures(pictures, report)
    import tensorflow as tf

    with tf.device(place):
        run = _prepare(options, teacher, pictures, report)
        run.run()
    from . import record

    record.write(options, run, teacher, pictures)
    if options.queries is not None and options.gallery is not None:
        record.judge(options.out, options.queries, options.gallery, run.objective.student, teacher, report)
    return options.out / record.STUDENT_WEIGHTS


def _report_pictures(pictures: Pictures, report: Callable[[str], None]) -> None:
    report(f"{len(pictures.arrays)} pictures, {len(pictures.unreadable)} unreadable files.")
    for path, reason in pictures.unreadable[:SHOWN_UNREADABLE]:
        report(f"  left out: {path} ({reason})")
    if len(pictures.unreadable) > SHOWN_UNREADABLE:
        kinds = Counter(reason.split(":")[0] for _, reason in pictures.unreadable)
        report(f"  and more: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")


def _device(wanted: str) -> str | None:
    import tensorflow as tf

    if wanted == "auto":
        return None
    name = {"cpu": "CPU:0", "gpu": "GPU:0"}.get(wanted.lower(), wanted.strip("/"))
    present = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    if name not in present:
        raise TrainingError(f"TensorFlow sees no device {name}; it sees {', '.join(present)}.")
    return f"/{name}"


def _prepare(options: Options, teacher: Teacher, pictures: Pictures, report: Callable[[str], None]) -> Distillation:
    import keras

    from . import blocks
    from .distil import Distillation, Settings
    from .objective import Objective
    from .schedule import Schedule

    keras.utils.set_random_seed(options.seed)
    alpha = options.alpha or teacher.width or 1.0
    objective = Objective(teacher, blocks.build(alpha))
    recipe = Schedule() if objective.can_cut else Schedule.uncut()
    run = Distillation(
        objective,
        Crops(pictures, options.seed, options.batch_size),
        options.out,
        Settings(options.minutes, options.steps, options.checkpoint_every),
        recipe.at(options.size, options.last_size),
        {
            "teacher": teacher.fingerprint,
            "alpha": str(alpha),
            "draws": str(len(pictures.draws)),
            "batch": str(options.batch_size),
        },
        report,
    )
    if options.resume:
        run.resume()
    else:
        run.start()
    return run
