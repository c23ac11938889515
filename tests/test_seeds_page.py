"""docs/seeds.md names tests that exist, and says of each feature what shows it or that it is not yet in."""

import ast
import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
PAGE = (HOUSE / "docs" / "seeds.md").read_text(encoding="utf-8")


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(tests/\w+\.py)::(\w+)`", PAGE)
    assert len(named) > 40
    assert PAGE.count("::") == len(named), "each is written as path::name"
    missing = [f"{path}::{name}" for path, name in named if name not in functions(HOUSE / path)]
    assert not missing


@pytest.mark.parametrize(("letter", "least"), [("", 45), ("b", 18), ("E", 11), ("v", 15)])
def test_every_feature_and_bug_is_shown_or_not_yet(letter, least):
    """Of conversion, of so-vits-svc's bugs, of scores, of VISinger's bugs."""
    rows = re.findall(rf"^\| {letter}(\d+) \|(.*)\|(.*)\|$", PAGE, re.MULTILINE)
    numbers = [int(number) for number, _, _ in rows]
    assert len(rows) >= least and numbers == sorted(set(numbers))
    for number, here, shown in rows:
        assert "::test_" in shown or "**not yet**" in here, number


def test_every_script_that_is_named_exists():
    scripts = re.findall(r"`(benchmarks/[\w/]+\.py)`", PAGE)
    assert len(scripts) >= 2 and all((HOUSE / script).is_file() for script in scripts)
