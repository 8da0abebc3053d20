"""Other shops' models: every kind of key and of image field that a source may have."""

from __future__ import annotations

import uuid

from django.db import models


class Garment(models.Model):
    """Sold as it is: the picture is on the product itself, and the key is a UUID."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)
    photo = models.ImageField(upload_to="garments/", blank=True, max_length=200)
    shown = models.BooleanField(default=True)

    class Meta:
        app_label = "goods"

    def __str__(self) -> str:
        return self.name


class Poster(models.Model):
    """A product with a text key."""

    code = models.CharField(max_length=30, primary_key=True)

    class Meta:
        app_label = "goods"

    def __str__(self) -> str:
        return self.code


class PosterScan(models.Model):
    """A picture of a poster, in a plain file field, with a text key of its own."""

    key = models.CharField(max_length=30, primary_key=True)
    poster = models.ForeignKey(Poster, models.CASCADE, related_name="scans")
    scan = models.FileField(upload_to="posters/", null=True, blank=True)

    class Meta:
        app_label = "goods"

    def __str__(self) -> str:
        return self.key


class FramedGarment(Garment):
    """A child table of a registered model: saved and deleted under its own class."""

    frame = models.CharField(max_length=30, default="oak")

    class Meta:
        app_label = "goods"


class GarmentProxy(Garment):
    class Meta:
        app_label = "goods"
        proxy = True
