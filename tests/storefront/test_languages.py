"""English in the source, German in full; a third language is a .po file."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polib
import pytest
from django.test import Client

from catalog.models import Product
from tests import shelf
from tests.storefront.test_search_pages import PHOTO, post

ROOT = Path(__file__).resolve().parent.parent.parent
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.mo", "*.tflite", "static", "migrations")
# Each catalogue of translations, and the folders whose texts are in it.
CATALOGUES = {"visualsearch": (".",), "": ("catalog", "shop", "templates", "locale")}


def texts(path: Path) -> set[tuple[str, str, str]]:
    return {(entry.msgctxt or "", entry.msgid, entry.msgid_plural) for entry in polib.pofile(str(path))}


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="no xgettext on the PATH (apt-get install gettext)")
@pytest.mark.parametrize("package", CATALOGUES, ids=["visualsearch", "demo"])
def test_makemessages_finds_nothing_new_and_nothing_gone(package: str, tmp_path: Path) -> None:
    for folder in CATALOGUES[package]:
        shutil.copytree(ROOT / package / folder, tmp_path / folder, ignore=NOT_COPIED, dirs_exist_ok=True)
    held = ROOT / package / "locale" / "de" / "LC_MESSAGES" / "django.po"
    django_admin = Path(sys.executable).with_name("django-admin")
    command = [django_admin, "makemessages", "--locale=de", "--no-location", "--no-obsolete"]
    ours = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=tmp_path, env=ours, check=True, capture_output=True)
    made = tmp_path / "locale" / "de" / "LC_MESSAGES" / "django.po"
    assert texts(made) == texts(held), "run in its folder: django-admin makemessages -l de --no-location --no-obsolete"


@pytest.mark.parametrize("package", CATALOGUES, ids=["visualsearch", "demo"])
def test_every_text_is_translated_with_all_its_values(package: str) -> None:
    entries = polib.pofile(str(ROOT / package / "locale" / "de" / "LC_MESSAGES" / "django.po"))
    assert [entry.msgid for entry in entries if not entry.translated()] == []
    for entry in entries:
        wanted = sorted(re.findall(r"%\(\w+\)\w", entry.msgid_plural or entry.msgid))
        for text in [entry.msgstr] if not entry.msgid_plural else entry.msgstr_plural.values():
            assert sorted(re.findall(r"%\(\w+\)\w", text)) == wanted, entry.msgid


def test_german(client: Client, products: list[Product]) -> None:
    german: Any = {"headers": {"accept-language": "de-AT"}}
    html = client.get(PHOTO, **german).content.decode()
    assert "<title>Suche mit Foto" in html
    assert "Ihr Foto wird nicht aufbewahrt." in html
    html = client.get(f"/visual-search/product/{products[0].pk}/similar/", **german).content.decode()
    assert all(text in html for text in ("Ähnliche Produkte", "Mehr davon", "Warum?", "Sortieren nach", "Preis ab"))


def test_third_language_is_one_file(client: Client, products: list[Product], settings: Any, tmp_path: Path) -> None:
    folder = tmp_path / "nl" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    (folder / "django.po").write_text(f'{header}msgid "What looks like your photo"\nmsgstr "Lijkt op je foto"\n')
    steps = runpy.run_path(str(ROOT / "assembly" / "assemble.py"))
    steps["compile_translations"]([folder / "django.po"])
    settings.LANGUAGES = [("en", "English"), ("nl", "Nederlands")]
    settings.LOCALE_PATHS = [tmp_path]
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "nl"
    assert "Lijkt op je foto" in post(client, shelf.picture()).content.decode()
