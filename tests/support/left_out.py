"""Pytest's part in tests.support.system_parts: tests without their part are left out, counted and named at the end."""

from __future__ import annotations

import os
from collections import Counter, defaultdict

import pytest
from tests.support.system_parts import REQUIRE_ALL, PartError, missing, require_all

_PROPERTY = "left out"


def pytest_configure() -> None:
    """A variable that names what is not there ends the run before it begins."""
    try:
        missing()
    except PartError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for the folder of real radiographs is one of theirs."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker("real_data")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture is set up."""
    for part in missing():
        if item.get_closest_marker(part.marker):
            item.user_properties.append((_PROPERTY, part.name))
            pytest.skip(part.lacking)


def _left_out(config: pytest.Config) -> list[pytest.TestReport]:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    return [] if terminal is None else [one for one in terminal.stats.get("skipped", []) if one.when == "setup"]


def _required(reports: list[pytest.TestReport]) -> list[str]:
    """The required parts for whose sake a test was left out."""
    names = {value for report in reports for name, value in report.user_properties if name == _PROPERTY}
    return [part.name for part in missing() if part.required and part.name in names]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CXR_REQUIRE_ALL=1 a run that left tests out for want of a part has failed."""
    if require_all() and _required(_left_out(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The last lines of the run: what was left out, why, and how many tests of which files."""
    reports = _left_out(config)
    if not reports:
        return
    by_reason: dict[str, Counter[str]] = defaultdict(Counter)
    for report in reports:
        assert isinstance(report.longrepr, tuple)
        by_reason[report.longrepr[2].removeprefix("Skipped: ")][report.location[0]] += 1
    terminalreporter.section(f"{len(reports)} tests were left out")
    for reason, files in sorted(by_reason.items(), key=lambda item: -item[1].total()):
        named = ", ".join(f"{os.fspath(path)} {count}" for path, count in sorted(files.items()))
        terminalreporter.write_line(f"{files.total()}: {reason}\n    {named}")
    if require_all() and (names := _required(reports)):
        terminalreporter.write_line(
            f"error: {REQUIRE_ALL}=1 lets no test be left out, and this machine lacks {' and '.join(names)}.", red=True
        )
