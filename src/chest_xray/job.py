"""The boundary of a job in a container: how it ends, and what it leaves for whoever asks why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from chest_xray.console import say
from chest_xray.errors import ChestXrayError

INTERRUPTED: Final = 130


def run_job(act: Callable[[], None], reason: Path, characters: int) -> int:
    """Run a job; returns its exit code: 0 done, 1 failed, 130 stopped by a signal.

    Args:
        act: the job.
        reason: the file that gets the reason of a failure.
        characters: how much of it is shown with the job.
    """
    try:
        act()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ChestXrayError, OSError) as error:
        say(f"error: {error}")
        _leave(reason, str(error)[:characters])
        return 1
    except Exception as error:
        # Not a user's mistake: the job's description names it, and the traceback goes to the log.
        _leave(reason, f"{type(error).__name__}: {error}"[:characters])
        raise
    return 0


def _leave(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
