"""What a run says of tests whose part the machine lacks: pytest as a process, on a folder of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.processes import ROOT, environment
from tests.support.system_parts import PARTS

TESTS = """
import pytest

def test_of_nothing():
    pass

@pytest.mark.openssl
@pytest.mark.parametrize("n", range(3))
def test_of_a_program(n):
    raise AssertionError("it ran")

def test_of_films(real_data):
    raise AssertionError("it ran")
"""
OPENSSL = "OpenSSL is not here. Looked for it on the path as openssl."
MARKERS = """
[pytest]
markers =
    openssl: needs the program
    real_data: needs CXR_REAL_DATA
"""
CONFTEST = """
import pytest

@pytest.fixture
def real_data():
    raise AssertionError("it was set up")
"""


def run(folder: Path, **variables: str) -> tuple[int, str]:
    """Exit code and output of a run that finds no program on its path."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    (folder / "empty").mkdir()
    (folder / "pytest.ini").write_text(MARKERS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.left_out", str(folder / "test_it.py")]
    alone = {"PATH": str(folder / "empty"), "CXR_CHROMIUM": sys.executable, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env = environment() | alone | variables
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def install(**variables: str) -> subprocess.CompletedProcess[str]:
    """What `make test` calls before the tests, where nothing may be installed."""
    env = environment() | {"CXR_CHROMIUM": sys.executable, "CXR_INSTALL": "0"} | variables
    command = [sys.executable, "-m", "tests.support.system_parts"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_tests_without_their_part_are_left_out_counted_and_named(tmp_path: Path) -> None:
    code, output = run(tmp_path)
    assert code == 0, output
    *_, title, openssl, named, films, named_too, last = output.strip().splitlines()
    assert "4 tests were left out" in title
    assert openssl.startswith(f"3: {OPENSSL} To install it: ")
    assert (named, named_too) == ("    test_it.py 3", "    test_it.py 1")
    assert films == "1: A folder of real radiographs is not here. Looked for it in CXR_REAL_DATA."
    assert re.match(r"1 passed, 4 skipped in", last)


def test_with_require_all_a_missing_part_fails_the_run_and_missing_films_do_not(tmp_path: Path) -> None:
    code, output = run(tmp_path, CXR_REQUIRE_ALL="1")
    assert code == 1, output
    assert "error: CXR_REQUIRE_ALL=1 lets no test be left out, and this machine lacks OpenSSL." in output.splitlines()


@pytest.mark.parametrize("variable", ["CXR_REAL_DATA", "CXR_CHROMIUM"])
def test_a_variable_that_names_nothing_ends_the_run(tmp_path: Path, variable: str) -> None:
    code, output = run(tmp_path, **{variable: "/nowhere"})
    assert code == pytest.ExitCode.USAGE_ERROR
    line = f"{variable} is '/nowhere', which does not exist. Correct it, or unset it."
    assert line in output
    done = install(**{variable: "/nowhere"})
    assert (done.returncode, done.stderr) == (2, f"error: {line}\n")


def test_what_cannot_be_installed_stops_a_run_that_may_leave_nothing_out(tmp_path: Path) -> None:
    lenient, strict = install(PATH=str(tmp_path)), install(PATH=str(tmp_path), CXR_REQUIRE_ALL="1")
    line = f"{OPENSSL} To install it: `apt-get install openssl` as root."
    assert lenient.returncode == 0
    assert f"{line} CXR_INSTALL=0 forbids to do it here. Its tests are left out." in lenient.stderr.splitlines()
    assert strict.returncode == 1
    assert f"error: {line} CXR_INSTALL=0 forbids to do it here." in strict.stderr.splitlines()


def test_every_marker_of_a_part_is_described(pytestconfig: pytest.Config) -> None:
    described = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert {part.marker for part in PARTS} <= described
