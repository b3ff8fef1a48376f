"""The bounds of the house: what a reader holds in mind at once of a folder and of a function."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.processes import ROOT

FOLDERS = ("src", "tests", "benchmarks", "infrastructure")
MOST_FILES = 20
MOST_LINES = 50


def files(folder: str) -> list[Path]:
    """All that people wrote below a folder."""
    return [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Names and lines of a module's functions and methods, from `def` to the last statement."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_holds_more_files_than_a_reader_can_scan(folder: str) -> None:
    homes = [path.parent for path in files(folder)]
    assert homes
    full = {str(home.relative_to(ROOT)): homes.count(home) for home in homes if homes.count(home) > MOST_FILES}
    assert full == {}, f"at most {MOST_FILES} files in a folder"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_longer_than_a_screen(folder: str) -> None:
    lengths = {
        f"{path.relative_to(ROOT)} {name}": lines
        for path in files(folder)
        if path.suffix == ".py"
        for name, lines in functions(path)
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}, f"at most {MOST_LINES} lines"
