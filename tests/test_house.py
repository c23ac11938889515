"""The repository is consistent: documented commands exist, imports are declared, settings are read."""

import ast
import functools
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from packaging.requirements import Requirement

from autosing.cli import COMMANDS, loaded

HOUSE = Path(__file__).parents[1]
ROOMS = ("autosing", "processing", "dataset_builder", "train", "inference")
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for room in ROOMS for path in (HOUSE / room).rglob("*.py")}
PAGES = {
    path: path.read_text(encoding="utf-8") for path in (HOUSE / "README.md", *sorted((HOUSE / "docs").glob("*.md")))
}


@pytest.fixture
def opened() -> dict[str, Any]:
    """Every command, by the words that call it."""
    found: dict[str, Any] = {}
    for name in COMMANDS:
        command = loaded(name)
        own = getattr(command, "commands", None)
        found |= {f"{name} {part}": one for part, one in own.items()} if own else {name: command}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_types_is_what_the_program_takes(page: Path, opened: dict[str, Any]) -> None:
    """AutoSing's README names flags that its scripts do not have."""
    typed = re.findall(r"^ {4}(?:ray job submit .* -- )?(?:\.venv/bin/)?autosing (\S.*)$", PAGES[page], re.MULTILINE)
    assert len(typed) >= (8 if page.name == "README.md" else 1)
    for line in typed:
        words = shlex.split(line, comments=True)
        name = words.pop(0)
        if name not in opened:
            name = f"{name} {words.pop(0)}"
        opened[name].make_context(name, words)  # refuses an option that it does not know
    taken = {option for command in opened.values() for one in command.params for option in one.opts}
    mentioned = {flag for flag in re.findall(r"`(--[a-z-]+)", PAGES[page])} - {"--help", "--quiet"}
    assert mentioned <= taken


def test_make_has_the_targets_that_the_pages_name() -> None:
    targets = set(re.findall(r"^(\w+):", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for text in PAGES.values() for name in re.findall(r"(?:^ {4}|`)make (\w+)", text, re.MULTILINE)}
    assert {"demo", "test"} <= named <= targets


def test_links_of_the_pages_lead_to_files_and_headings_that_exist() -> None:
    links = [(page, link) for page, text in PAGES.items() for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    assert len(links) > 10
    for page, link in links:
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), (page, link)
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs, (page, link)
    linked = {(page.parent / link.partition("#")[0]).resolve() for page, link in links if page.name == "README.md"}
    assert set(PAGES) - {HOUSE / "README.md"} <= linked


def test_a_yes_or_no_is_a_flag_that_takes_no_word(opened: dict[str, Any]) -> None:
    """AutoSing's options of `type=bool` took the word "False" for true."""
    flags = 0
    for name, command in opened.items():
        hints = get_type_hints(inspect.unwrap(command.callback))
        for one in command.params:
            if hints[one.name] in (bool, bool | None):
                assert one.is_flag, (name, one.name)
                flags += 1
    assert flags > 10
    with pytest.raises(Exception, match="unexpected extra argument"):
        opened["train"].make_context("train", ["t2s", "--data", "d", "--run", "r", "--resume", "False"])


def test_what_can_be_set_is_read_by_somebody(opened: dict[str, Any]) -> None:
    """AutoSing's --validate-every-n-steps, --monitored-metric, --checkpoint-dir and --input-dir were read by nobody."""
    read = {node.attr for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    by_name = {"separate", "align", "segment", "guidance_text", "guidance_music", "guidance_singer"}
    fields = {
        (owner.name, field.target.id)
        for tree in TREES.values()
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id == "Config" for b in owner.bases)
        for field in owner.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    assert len(fields) > 100
    assert {field for field in fields if field[1] not in read} <= {f for f in fields if f[1] in by_name}
    for name, command in opened.items():
        function = inspect.unwrap(command.callback)
        code = function.__code__
        tree = next(
            node
            for node in ast.walk(TREES[Path(code.co_filename)])
            if isinstance(node, ast.FunctionDef) and node.name == function.__name__
        )
        used = {node.id for part in tree.body for node in ast.walk(part) if isinstance(node, ast.Name)}
        assert set(code.co_varnames[: code.co_argcount]) <= used, name


def imports() -> Iterator[tuple[Path, str, str | None]]:
    """(file, module, name in it), wherever it stands in the file."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level and node.module, f"{path}: a relative import"
                yield from ((path, node.module, alias.name) for alias in node.names)


def test_requirements_are_valid_and_declare_all_that_is_imported() -> None:
    """AutoSing's pyproject.toml held `faker=30.4.0`, one package twice, and not a part that it imports."""
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    names = [_plain(Requirement(line).name) for lines in lists for line in lines]
    assert len(names) == len(set(names))
    installed = metadata.packages_distributions()
    asked_for = {module.partition(".")[0] for _, module, _ in imports()} - set(ROOMS) - set(sys.stdlib_module_names)
    undeclared = {top for top in asked_for if not {_plain(d) for d in installed.get(top, ())} & set(names)}
    assert not undeclared


def _plain(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_every_import_of_ours_names_something_that_is_there() -> None:
    """AutoSing's load_base_params imports a module that does not exist; nobody knows until it is called."""
    own = [(path, module, name) for path, module, name in imports() if module.partition(".")[0] in ROOMS]
    doors = [
        (path, *node.value.split(":"))
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and re.fullmatch(rf"({'|'.join(ROOMS)})(\.\w+)+:\w+", node.value)
    ]  # fmt: skip
    assert len(doors) >= len(COMMANDS)
    for path, module, name in [*own, *doors]:
        file = HOUSE.joinpath(*module.split("."))
        source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        assert source in TREES, f"{path}: imports {module}"
        held = _names(source) | {p.stem for p in file.glob("*")}
        assert name is None or name in held, f"{path}: imports {name} from {module}"


@functools.cache
def _names(source: Path) -> frozenset[str]:
    """What a module defines, imports and assigns."""
    found: set[str] = set()
    for node in ast.walk(TREES[source]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return frozenset(found)


def test_nothing_is_looked_for_outside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoSing looks for three models one directory up, and for a separator in one person's home."""
    for path, tree in TREES.items():
        words = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        bad = [word for word in words if re.match(r"\.\./|/(home|root|mnt|data|scratch|work|p|usr|opt|tmp)/", word)]
        assert not bad, f"{path}: {bad}"
    monkeypatch.chdir(tmp_path)
    from autosing.codecs import BUNDLED, codec_digest
    from autosing.models.bundled import letters_digest, semantic_digest

    assert {len(codec_digest(BUNDLED)), len(letters_digest()), len(semantic_digest())} == {64}


def test_who_hands_out_work_loads_no_torch() -> None:
    """A third of a gigabyte that only workers need."""
    ask = """
import sys
import processing.process
from processing.pipeline import PipelineConfig, build_stages, own_details
assert all(own_details(stage)["weights"] is not None for stage in build_stages(PipelineConfig()))
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", ask], check=True, env={**os.environ, "PYTHONPATH": str(HOUSE)})


def test_tests_of_this_file_look_at_the_house_that_is_run() -> None:
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        assert spec is not None and spec.origin is not None and Path(spec.origin).parent == HOUSE / room
