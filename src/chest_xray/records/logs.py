"""The log of a server, with no word of a request in it: JSON lines, or lines for a person at a terminal."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

LogFormat = Literal["json", "text"]
_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class JsonLines(logging.Formatter):
    """One JSON object a record. A traceback is written without the exception's message, which may quote a request."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields: dict[str, object] = {
            "event": "log",
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, frames = record.exc_info
            fields |= {"exception": kind.__name__, "traceback": traceback.format_tb(frames)}
        return json.dumps(fields, separators=(",", ":"))


class TextLines(logging.Formatter):
    """For people; of an exception as much as `JsonLines` says."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatException(self, ei: _Raised) -> str:  # noqa: N802 (logging's name)
        """The traceback, then the exception's type."""
        kind, _, frames = ei
        return "".join(traceback.format_tb(frames)) + ("" if kind is None else kind.__name__)


def start_log(form: LogFormat | None) -> Callable[[str], None]:
    """Write the process's log to standard error, from INFO on.

    Args:
        form: None for text where standard error is a terminal, and JSON lines elsewhere.

    Returns:
        What tells whoever started the server one line: with JSON lines it is one of them.
    """
    chosen = form or ("text" if sys.stderr.isatty() else "json")
    handler = logging.StreamHandler()
    handler.setFormatter(TextLines() if chosen == "text" else JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if chosen == "json":
        return logging.getLogger("chest_xray.serve").info
    from chest_xray.console import say  # with rich, which a container has no use for

    return say
