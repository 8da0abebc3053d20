"""What can go wrong in training, each a sentence for the person who started it."""

from __future__ import annotations

from visualsearch.exceptions import VisualSearchError


class TrainingError(VisualSearchError):
    """Training cannot start or go on."""

    code = "training_error"


class NoPictures(TrainingError):
    """A folder is missing, or holds no picture that can be read."""

    code = "no_pictures"


class InvalidCheckpoint(TrainingError):
    """The checkpoint is missing, damaged, or another run's."""

    code = "invalid_checkpoint"


class LossNotFinite(TrainingError):
    """The loss is not a number any more; the last good checkpoint is kept."""

    code = "loss_not_finite"


class NotBetter(TrainingError):
    """What was learned is not shown to be better than what it started from; no file is written."""

    code = "not_better"
