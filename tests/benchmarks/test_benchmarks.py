"""Every benchmark runs, prints one JSON object with the keys that its page explains, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import ENCODERS

ROOT = Path(__file__).resolve().parent.parent.parent
README = ROOT / "benchmarks" / "README.md"

pytestmark = [pytest.mark.slow]


def command(name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}", *options]


def environment(temporary: Path) -> dict[str, str]:
    """Ours without the test's own database, with a folder of its own for what is thrown away."""
    taken = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    return {name: value for name, value in os.environ.items() if name not in taken} | {"TMPDIR": str(temporary)}


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """Not pytest's own: PostgreSQL's user has to pass through, and a socket's path may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="visualsearch-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def results(shared_data: Path, temporary: Path) -> dict[str, Any]:
    """What each prints with --quick; all at once, since they mostly wait for their servers to start."""
    running = {
        name: subprocess.Popen(
            command(name, "--quick", "--json"), cwd=ROOT, env=environment(temporary), stdout=subprocess.PIPE
        )
        for name in ENCODERS
    }
    found = {name: process.communicate(timeout=120)[0] for name, process in running.items()}
    assert {name: process.returncode for name, process in running.items()} == dict.fromkeys(ENCODERS, 0)
    return {name: json.loads(output) for name, output in found.items()}


def explained(section: str) -> set[str]:
    text = README.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))


def printed(figures: dict[str, Any]) -> set[str]:
    inner = {f"{key}.{name}" for key, value in figures.items() if isinstance(value, list) for name in value[0]}
    return set(figures) | inner


@pytest.mark.parametrize("name", ENCODERS)
def test_readme_explains_exactly_the_keys_that_are_printed(results: dict[str, Any], name: str) -> None:
    assert printed(results[name]) == explained("In all of them") | explained(name)


def test_figures_are_of_what_was_asked(results: dict[str, Any]) -> None:
    assert {name: figures["benchmark"] for name, figures in results.items()} == {name: name for name in ENCODERS}
    assert results["save"]["save_with_ms_p50"] > 0
    assert 0 < results["freshness"]["p50_s"] <= results["freshness"]["p95_s"] <= results["freshness"]["max_s"]
    assert results["freshness"]["found_first_by_photo"] == 1
    assert 0 < results["index"]["end_to_end_vs_encoder"] < 2
    assert results["query"]["recall_at_10"] >= 0.99
    assert [results["versions"][fault] for fault in ("errors", "empty", "mixed")] == [0, 0, 0]
    assert (results["reconcile"]["images"], results["reconcile"]["with_drift"]) == (500, 50)
    assert results["reconcile"]["peak_mb"] > 0
    assert (results["duplicates"]["recall"], results["duplicates"]["wrong"]) == (1, 0)
    assert results["duplicates"]["exact_pairs"] > 0
    assert [gallery["product_rows"] for gallery in results["query"]["galleries"]] == [10, 10]
    (litert,) = results["encoder"]["runtimes"]
    assert litert["one_ms"] > 0
    assert litert["one_litert_is_times_as_fast"] == 1
    assert litert["ready_s"] > litert["import_s"] > 0
    assert [form["form"] for form in results["weights"]["forms"]] == ["float16", "int8"]
    assert 0.99 < results["weights"]["forms"][1]["cosine"] < results["weights"]["forms"][0]["cosine"]


def test_nothing_is_left_behind(results: dict[str, Any], temporary: Path) -> None:
    assert not list(temporary.glob("visualsearch-bench-*"))
    assert not [line for line in processes() if str(temporary) in line]


def processes() -> Iterator[str]:
    """The command lines of all that runs."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            yield path.read_text(errors="replace")


def test_absent_weights_are_named_in_one_sentence(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from benchmarks import running, stage;"
        "stage.WEIGHTS['mobilenet_v2_compact'] = Path('/nowhere.h5');"
        "sys.argv = ['query', '--json']; sys.exit(running.main('query'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip() == (
        "benchmark query: There are no weights for mobilenet_v2_compact: /nowhere.h5 is absent."
    )
