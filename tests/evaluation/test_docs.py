"""docs/evaluation.md says what the command does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT
from tests.evaluation.conftest import answer, evaluate
from visualsearch.encoders import get_encoder
from visualsearch.evaluation import bootstrap, embedding, shop
from visualsearch.evaluation.report import title
from visualsearch.management.commands.visualsearch_evaluate import Command

PAGE = (ROOT / "docs" / "evaluation.md").read_text()


def test_every_option_is_described() -> None:
    parser = Command().create_parser("manage.py", "visualsearch_evaluate")
    plain = {"-h", "--help", "--version", "--verbosity", "-v", "--settings", "--pythonpath", "--traceback"}
    plain |= {"--no-color", "--force-color", "--skip-checks"}
    own = {option for action in parser._actions for option in action.option_strings} - plain
    described = set(re.findall(r"^\| `(--[a-z]+)", PAGE, re.MULTILINE))
    assert own == described


def test_every_key_and_figure_is_described(fake_encoder: None, shop: Path) -> None:
    found = answer(shop)
    assert not [key for key in found if f"`{key}`" not in PAGE]
    for name in found["intervals"]:
        assert f"| {title(name, 10).replace('@10', '@k').replace('min(10', 'min(k')} | `{name}` |" in PAGE
    assert "95% interval" in evaluate(shop)


def test_numbers() -> None:
    assert f"({bootstrap.RESAMPLES:,} resamples" in PAGE
    assert f"at least {bootstrap.FEWEST_DIFFERENT} queries differ" in PAGE
    assert f"the median of {embedding.TIMED})" in PAGE
    assert f"the same ones each time ({shop.SAMPLE:,})" in PAGE


def test_the_figures_are_of_the_weights_that_are_bundled() -> None:
    fingerprint = get_encoder("mobilenet_v2_compact").fingerprint[:12]
    assert f"bundled weights ({fingerprint})" in PAGE, "other weights are bundled: measure again, and change the table"
