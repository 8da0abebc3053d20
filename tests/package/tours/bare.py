"""In a shop with nothing but the package: migrates, saves posters, searches; prints what came of it as JSON."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.test import override_settings
from PIL import Image
from posters.models import Poster

import visualsearch
from visualsearch.models import ImageEmbedding

OPTIONAL = ("rest_framework", "django_filters", "django_q", "easy_thumbnails", "drf_spectacular", "tensorflow", "keras")


def picture(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (grey, 128, 128)).save(file, "PNG")
    return file.getvalue()


def poster(number: int) -> Any:
    return Poster.objects.create(title=f"p{number}", photo=ContentFile(picture(40 * number), f"{number}.png"))


def names(found: visualsearch.Results) -> list[str]:
    return [match.product.title for match in found]


def command(*arguments: str) -> None:
    call_command(*arguments, stdout=sys.stderr)


command("makemigrations", "posters")
command("migrate")
command("check", "--database", "default", "--fail-level", "WARNING")

made = [poster(number) for number in range(5)]
saved = names(visualsearch.similar_to(made[0], limit=3))

with override_settings(VISUALSEARCH={"ENCODER": settings.VISUALSEARCH["ENCODER"]}):  # no word of a queue
    warned = [message.id for message in checks.run_checks()]
    late = poster(5)
before = visualsearch.product_state(late).state
command("visualsearch_reindex", "--sync")

print(
    json.dumps(
        {
            "package": visualsearch.__file__,
            "found": [name for name in OPTIONAL if importlib.util.find_spec(name)],
            "warned": warned,
            "saved": saved,
            "before": before,
            "after": names(visualsearch.similar_to(made[4], limit=2)),
            "photo": names(visualsearch.search_by_image(picture(80), limit=1)),
            "rows": ImageEmbedding.objects.filter(state="indexed").count(),
        }
    )
)
