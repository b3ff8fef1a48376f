"""One file with all that a run needs to go on to the bit: after kill -9 it is the old one or the new one, whole."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from chest_xray.errors import TrainingError
from chest_xray.files import write_atomically

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(directory: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint by `state`: tensors and plain values."""
    # Through memory: torch.save turns a full disk into an error of its own that no longer says so.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(directory / CHECKPOINT, buffer.getbuffer())


def load_checkpoint(directory: Path) -> dict[str, Any] | None:
    """Read the checkpoint; None when there is none yet.

    Raises:
        TrainingError: the file is there but cannot be read.
    """
    path = directory / CHECKPOINT
    if not path.is_file():
        return None
    raw = io.BytesIO(path.read_bytes())
    try:
        state: dict[str, Any] = torch.load(raw, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} cannot be read. Delete it to train from the start.") from error
    return state
