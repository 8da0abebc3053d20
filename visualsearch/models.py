"""VisualIndex, one version of one source's index, and ImageEmbedding, one image in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from pgvector.django import VectorField

if TYPE_CHECKING:
    from visualsearch.sources import ImageSource


class VisualIndexQuerySet(models.QuerySet["VisualIndex"]):
    def of(self, source: ImageSource) -> VisualIndexQuerySet:
        return self.filter(source=source.name)

    def live(self) -> VisualIndexQuerySet:
        """Versions that follow the shop's images: the active one and those being built."""
        return self.exclude(state=VisualIndex.State.RETIRED)

    def active(self) -> VisualIndexQuerySet:
        return self.filter(state=VisualIndex.State.ACTIVE)


class VisualIndex(models.Model):
    """One version of one source's index: vectors of one encoder fingerprint, and of no other."""

    class State(models.TextChoices):
        BUILDING = "building", _("building")
        ACTIVE = "active", _("active")
        RETIRED = "retired", _("retired")

    class Metric(models.TextChoices):
        COSINE = "cosine", _("cosine")

    source = models.CharField(_("source"), max_length=100)
    encoder = models.CharField(_("encoder"), max_length=200)
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    dimensions = models.PositiveIntegerField(_("dimensions"))
    metric = models.CharField(_("metric"), max_length=10, choices=Metric, default=Metric.COSINE)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.BUILDING)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    activated_at = models.DateTimeField(_("activated"), null=True, editable=False)
    # What visualsearch_calibrate fitted to this shop's pairs; null: the calibration that came with the weights, if any.
    calibration = models.JSONField(_("calibration"), null=True, editable=False)
    # How near two pictures of it are that are nearly the same, and when that was found out (search/sameness.py).
    nearness = models.JSONField(_("nearness"), null=True, editable=False)

    objects = VisualIndexQuerySet.as_manager()

    class Meta:
        verbose_name = _("index version")
        verbose_name_plural = _("index versions")
        ordering = ["source", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=models.Q(state="active"), name="visualsearch_one_active_index"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} v{self.pk} ({self.encoder}, {self.get_state_display()})"


class ImageEmbedding(models.Model):
    """One image in one index version.

    ``file`` is the name of the file that was tried last, so a row of which it is not the image's present one is out of
    date without anybody having marked it. ``content_hash`` is that of the bytes that the vector, or the refusal, is
    of. ``claim`` counts the tries that began: the try that began last is the only one that may write, which is what
    makes the newest file win. ``claimed_at`` is when it began.

    ``state`` and ``claim`` are in no database index, so that changing them leaves the HNSW graph alone (a heap-only
    update).
    """

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        INDEXED = "indexed", _("indexed")
        FAILED = "failed", _("failed")

    index = models.ForeignKey(
        VisualIndex,
        models.CASCADE,
        verbose_name=_("index version"),
        related_name="embeddings",
        db_index=False,
    )
    object_id = models.CharField(_("image"), max_length=255)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PENDING)
    code = models.CharField(_("code"), max_length=40, blank=True, default="")
    reason = models.TextField(_("reason"), blank=True, default="")
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    claim = models.BigIntegerField(default=0, editable=False)
    claimed_at = models.DateTimeField(_("last try"), null=True, editable=False)
    file = models.TextField(_("file"), blank=True, default="")
    content_hash = models.CharField(_("content hash"), max_length=64, blank=True, default="")
    vector = VectorField(_("vector"), null=True, editable=False)
    indexed_at = models.DateTimeField(_("indexed"), null=True, editable=False)

    class Meta:
        verbose_name = _("image embedding")
        verbose_name_plural = _("image embeddings")
        constraints = [
            models.UniqueConstraint(fields=["index", "object_id"], name="visualsearch_one_row_per_image"),
        ]

    def __str__(self) -> str:
        return f"{self.object_id} ({self.get_state_display()})"


def active_index(source: ImageSource) -> VisualIndex | None:
    """The version that searches of this source use; None before the first image is indexed."""
    return VisualIndex.objects.of(source).active().first()


def rows(index: VisualIndex, **conditions: Any) -> models.QuerySet[ImageEmbedding]:
    """Rows of one version. The literal ``index_id`` is what lets the planner use that version's partial index."""
    return ImageEmbedding.objects.filter(index_id=index.pk, **conditions)


class IndexedSource(models.Model):
    """What is kept of a source besides its versions. A source without a row is at work, and no worker was seen yet."""

    name = models.CharField(_("source"), max_length=100, primary_key=True)
    paused_at = models.DateTimeField(_("paused since"), null=True, editable=False)
    worker_seen_at = models.DateTimeField(_("worker last seen"), null=True, editable=False)

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")
        ordering = ["name"]
        default_permissions = ["view"]
        permissions = [
            ("retry_indexedsource", "Can retry images that failed"),
            ("pause_indexedsource", "Can pause and resume indexing"),
            ("reindex_indexedsource", "Can have images indexed again"),
            ("build_indexedsource", "Can build index versions"),
            ("activate_indexedsource", "Can activate index versions and roll back"),
            ("prune_indexedsource", "Can throw index versions away"),
        ]

    def __str__(self) -> str:
        return self.name


class HeldTask(models.Model):
    """A task of a paused source, kept until the source is resumed: what the queue was to run, with which arguments."""

    source = models.ForeignKey(IndexedSource, models.CASCADE, related_name="held")
    function = models.CharField(max_length=200)
    arguments = models.JSONField()

    class Meta:
        default_permissions: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return f"{self.function} of {self.source_id}"


class SearchCount(models.Model):
    """Searches of one source on one day, of one kind and outcome, that took about as long: one bar of a histogram.

    ``bucket`` is the number of the first of ``usage.BOUNDS`` that the search did not exceed, ``microseconds`` the time
    of all of them together.
    """

    class Kind(models.TextChoices):
        SIMILAR = "similar", _("similar products")
        PHOTO = "photo", _("by photo")

    class Outcome(models.TextChoices):
        ANSWERED = "answered", _("answered")
        EMPTY = "empty", _("nothing found")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("failed")

    source = models.CharField(max_length=100)
    day = models.DateField()
    kind = models.CharField(max_length=10, choices=Kind)
    outcome = models.CharField(max_length=10, choices=Outcome)
    bucket = models.PositiveSmallIntegerField()
    count = models.BigIntegerField(default=0)
    microseconds = models.BigIntegerField(default=0)

    class Meta:
        default_permissions: ClassVar[list[str]] = []
        constraints = [
            models.UniqueConstraint(
                fields=["source", "day", "kind", "outcome", "bucket"], name="visualsearch_one_search_count"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.day}: {self.count} {self.kind} {self.outcome}"


class DuplicateSearch(models.Model):
    """One search for near-duplicates through all images of a source, which may be taken in steps.

    ``within`` is the cosine distance up to which pictures counted as nearly the same, ``images`` how many of ``total``
    have been compared so far, ``last`` the number of the last of their rows.
    """

    source = models.CharField(_("source"), max_length=100)
    index = models.ForeignKey(VisualIndex, models.CASCADE, verbose_name=_("index version"))
    within = models.FloatField()
    started_at = models.DateTimeField(_("started"), auto_now_add=True)
    moved_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True, editable=False)
    images = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    last = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("search for near-duplicates")
        verbose_name_plural = _("searches for near-duplicates")
        default_permissions: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return f"{self.source}: {self.started_at:%Y-%m-%d %H:%M}"


class DuplicatePair(models.Model):
    """Two products that have nearly the same picture, by their keys as text, ``first`` before ``second`` in order.

    The images are the nearest two of theirs. Pairs of the same ``cluster`` hang together: it is the number of the first
    of them. A dismissed pair belongs to none.
    """

    search = models.ForeignKey(DuplicateSearch, models.CASCADE, related_name="pairs", db_index=False)
    first = models.CharField(max_length=255)
    second = models.CharField(max_length=255)
    first_image = models.CharField(max_length=255)
    second_image = models.CharField(max_length=255)
    distance = models.FloatField(_("distance"))
    same_file = models.BooleanField(_("same file"), default=False)
    cluster = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = _("near-duplicate")
        verbose_name_plural = _("near-duplicates")
        default_permissions = ["view"]
        permissions = [
            ("search_duplicatepair", "Can have near-duplicates searched for"),
            ("dismiss_duplicatepair", "Can dismiss near-duplicates"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["search", "first", "second"], name="visualsearch_one_duplicate_pair"),
        ]
        indexes = [models.Index(fields=["search", "cluster"], name="visualsearch_duplicates")]

    def __str__(self) -> str:
        return f"{self.first} = {self.second}"


class DismissedPair(models.Model):
    """Two products that staff said may look alike. It names products, so it outlives images and index versions."""

    source = models.CharField(_("source"), max_length=100)
    first = models.CharField(_("product"), max_length=255)
    second = models.CharField(_("other product"), max_length=255)
    dismissed_at = models.DateTimeField(_("dismissed"), auto_now_add=True)

    class Meta:
        verbose_name = _("dismissed near-duplicate")
        verbose_name_plural = _("dismissed near-duplicates")
        ordering = ["-pk"]
        default_permissions = ["view", "delete"]
        constraints = [
            models.UniqueConstraint(fields=["source", "first", "second"], name="visualsearch_one_dismissed_pair"),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.first} = {self.second}"


class QueueProbe(models.Model):
    """A question of visualsearch_doctor's to the queue: whoever runs its task sets ``answered_at``."""

    token = models.UUIDField(primary_key=True)
    asked_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return str(self.token)
