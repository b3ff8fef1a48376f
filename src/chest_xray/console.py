"""What a person sees in the terminal: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def say(message: str) -> None:
    """Print one line about the work to standard error, so that standard output stays machine-readable."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(message, markup=False)


def print_json(value: Any) -> None:
    """Print `value` as indented JSON on standard output. NaN is not JSON and is refused."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def progress(description: str, total: int, unit: str = "images") -> Iterator[Callable[[int], None]]:
    """Show progress over `total` units and yield the function that advances it by n.

    A terminal gets a bar; a log file gets a line at every tenth of the way.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(description, total=total)
            yield lambda n: bar.advance(task, n)
    else:
        yield _line_progress(description, total, unit)


def _line_progress(description: str, total: int, unit: str) -> Callable[[int], None]:
    started = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done
        before, done = done, done + n
        if total and done * 10 // total > before * 10 // total:
            rate = done / max(time.monotonic() - started, 1e-9)
            say(f"{description}: {done}/{total} {unit} ({rate:.0f}/s)")

    return advance
