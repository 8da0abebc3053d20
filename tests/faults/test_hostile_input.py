"""Every hostile file through the API and the import, in a process of its own, whose memory and time are measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, environment
from tests.security.hostile import everything
from visualsearch.exceptions import ImageRefused

pytestmark = [pytest.mark.fault]

CODES = {kind.code for kind in ImageRefused.__subclasses__()}
MOST_MB = 600  # of the search, where it is the client as well, and of the import with two threads
MOST_SECONDS = 5  # of processor time, for one file
EXPECTED = re.compile(r"INFO: Created TensorFlow Lite|WARNING django.request: (Bad Request|Request Entity|Unsupported)")


def fed(way: str, folder: Path) -> Any:
    """What became of the files in this folder, see tests/security/feeding.py."""
    no_limit = {"PHOTO_RATE": "100000/min", "ENQUEUE": "visualsearch.testing.enqueue_nothing"}
    process = subprocess.run(
        [sys.executable, "-m", "tests.security.feeding", way, folder],
        cwd=ROOT,
        env=environment(VISUALSEARCH={"ENCODER": "mobilenet_v2_compact", "WEIGHTS": None, **no_limit}),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    strange = [line for line in process.stderr.splitlines() if not EXPECTED.match(line)]
    assert not strange  # the decoders' own libraries write there if let
    return json.loads(process.stdout)


def test_hostile_files_are_embedded_or_refused_by_name(transactional_db: None, tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    made = everything()
    assert len(made) >= 300
    for name, make in made.items():
        (folder / name).write_bytes(make())
    search, imports = fed("search", folder), fed("import", folder)
    searched = {name: code for name, (_, code, _) in search["answers"].items()}
    assert set(searched) == set(made)
    assert {name: answer for name, answer in search["answers"].items() if not is_named(*answer[:2])} == {}
    assert {name: seconds for name, (_, _, seconds) in search["answers"].items() if seconds > MOST_SECONDS} == {}

    refused = dict(re.fullmatch(r"(.+?): .*\[(\w+)\]", line).groups() for line in imports["failures"])
    assert set(refused.values()) <= CODES
    assert imports["states"] == {name: ["indexed", ""] for name in made if name not in refused}
    assert {name: seconds for name, seconds in imports["seconds"].items() if seconds > MOST_SECONDS} == {}
    assert searched == {name: refused.get(name, "") for name in made}  # both doors are one
    assert len(imports["states"]) > 50
    assert "Traceback" not in search["log"] + imports["log"]
    peaks = (search["peak_mb"], imports["peak_mb"])  # measured: 535 and 485
    assert max(peaks) < MOST_MB, peaks


def is_named(status: int, code: str) -> bool:
    """Whether the answer is one of results, or a refusal of docs/images.md."""
    return (status == 200 and not code) or (status in (400, 413, 415) and code in CODES)
