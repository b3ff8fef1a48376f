"""Real child processes for what only a process can show: signals, kills, what gets imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """The tests' own, with `tests` importable and no CXR_* settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CXR_")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def run_python(
    script: str, *args: object, cwd: Path | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=timeout, check=False
    )


def start_python(script: str, *args: object) -> subprocess.Popen[str]:
    """Start a script with pipes to all three streams."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_cxr(
    *arguments: object, home: Path, env: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a `cxr` command to its end, on one thread, with CXR_HOME at `home` and the variables of `env`."""
    command = [sys.executable, "-m", "chest_xray.cli", *map(str, arguments)]
    variables = environment() | (env or {}) | {"CXR_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout, check=False)
