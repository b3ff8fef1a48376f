"""The log: JSON lines or text, and nothing that an exception quotes in either."""

import io
import json
import logging
import re
import sys

import pytest

from chest_xray.records.logs import JsonLines, LogFormat, TextLines, start_log

PATIENT = "DOE^JANE"


@pytest.fixture
def record() -> logging.LogRecord:
    try:
        int(PATIENT)
    except ValueError:
        return logging.LogRecord("a", logging.ERROR, "p", 1, "failed\n%s", ("x",), sys.exc_info())
    raise AssertionError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(stream: io.StringIO, form: LogFormat | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a process writes that begins to log in this form, tells who started it one line and logs another."""
    root = logging.getLogger()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    tell = start_log(form)
    tell("Serving 100% of it")
    logging.getLogger("chest_xray.access").info("%s", 200)
    return stream.getvalue().splitlines()


def test_a_json_line_keeps_an_exceptions_message_to_itself(record: logging.LogRecord) -> None:
    line = JsonLines().format(record)
    fields = json.loads(line)
    assert "\n" not in line
    assert "DOE" not in line
    assert "int(PATIENT)" in line
    assert (fields["level"], fields["message"], fields["exception"]) == ("ERROR", "failed\nx", "ValueError")


def test_a_line_for_people_keeps_it_too(record: logging.LogRecord) -> None:
    text = TextLines().format(record)
    assert "DOE" not in text
    assert "int(PATIENT)" in text
    assert "ERROR a failed\nx" in text
    assert text.endswith("\nValueError")


@pytest.mark.parametrize(("stream", "form"), [(io.StringIO, None), (Terminal, "json")])
def test_json_lines_are_all_that_is_written(
    stream: type[io.StringIO], form: LogFormat | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.loads(line) for line in lines_of(stream(), form, monkeypatch)]
    assert [(line["event"], line["level"], line["logger"], line["message"]) for line in lines] == [
        ("log", "INFO", "chest_xray.serve", "Serving 100% of it"),
        ("log", "INFO", "chest_xray.access", "200"),
    ]


@pytest.mark.parametrize(("stream", "form"), [(Terminal, None), (io.StringIO, "text")])
def test_a_person_gets_text(stream: type[io.StringIO], form: LogFormat | None, monkeypatch: pytest.MonkeyPatch) -> None:
    told, logged = lines_of(stream(), form, monkeypatch)
    assert told == "Serving 100% of it"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]{12} INFO chest_xray\.access 200", logged)
