"""What is imported when, and what is said where Django REST Framework is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "visualsearch"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql"}},
)
"""
BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in %r:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_app_imports_no_rest_framework() -> None:
    code = SETTINGS + "django.setup()\nimport sys, visualsearch\nprint('rest_framework' in sys.modules)"
    assert run(code) == "False"


def test_without_the_framework_the_pip_line_is_named() -> None:
    code = (
        BLOCKED % ({"rest_framework"},)
        + SETTINGS
        + "django.setup()\n"
        + "try:\n    import visualsearch.api.urls\nexcept ImportError as error:\n"
        + "    print(type(error).__name__, error, sep=': ')"
    )
    assert run(code) == (
        'MissingExtra: Django REST Framework is not installed; run: pip install "django-visualsearch[api]"'
    )


def test_without_drf_spectacular_and_django_filter_the_api_works() -> None:
    code = (
        BLOCKED % ({"drf_spectacular", "django_filters"},)
        + SETTINGS
        + "django.setup()\nfrom visualsearch.api.urls import urlpatterns\nprint(len(urlpatterns))"
    )
    assert run(code) == "3"
