"""One file with all that a run needs to go on to the bit, replaced atomically: after kill -9 it is the old one or the new one."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from chest_xray.errors import TrainingError

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(directory: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to a temporary file, flush it to disk, then rename it."""
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f"{CHECKPOINT}.partial"
    try:
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(directory / CHECKPOINT)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(directory: Path) -> dict[str, Any] | None:
    """Read the checkpoint; None when there is none yet.

    Raises:
        TrainingError: the file is there but cannot be read.
    """
    path = directory / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read. Delete it to train from the start.") from error
    return state
