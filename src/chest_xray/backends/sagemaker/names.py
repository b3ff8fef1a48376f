"""Names of training jobs: AWS's rule, a legal suggestion for what breaks it, and generated ones."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Final

from chest_xray.errors import SettingsError

LONGEST: Final = 63
_LEGAL: Final = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def check_job_name(name: str) -> str:
    """Return a name that a training job may have.

    Raises:
        SettingsError: it may not; the message has one that it may.
    """
    if not _LEGAL.fullmatch(name):
        raise SettingsError(
            f"{name[:80]!r} is no name for a training job: AWS takes 1 to {LONGEST} letters, digits and hyphens, a "
            f"letter or digit first and last. Take {legal(name)} instead."
        )
    return name


def legal(name: str, longest: int = LONGEST) -> str:
    """The nearest legal name; `job` where nothing is left of it."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-")[:longest].rstrip("-") or "job"


def generate_job_name(run: str, content: str) -> str:
    """A name that no job has had: the run folder's, the content's SHA-256, the second, and a draw of 16 bits."""
    tail = f"{content[:8]}-{datetime.now(UTC):%y%m%d%H%M%S}-{secrets.token_hex(2)}"
    return f"{legal(run, LONGEST - len(tail) - 1)}-{tail}"


def next_name(name: str) -> str:
    """The name of the job that goes on for `name`: `a`, `a-r2`, `a-r3`."""
    base, number = name, 1
    if match := re.fullmatch(r"(.+)-r(\d+)", name):
        base, number = match.group(1), int(match.group(2))
    tail = f"-r{number + 1}"
    return f"{base[: LONGEST - len(tail)].rstrip('-')}{tail}"
