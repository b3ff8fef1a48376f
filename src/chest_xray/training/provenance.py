"""Which code and which libraries made a model."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from chest_xray.settings import load_settings

_LIBRARIES = ("chest-xray-classifier", "numpy", "onnx", "onnxruntime", "pillow", "torch")


def git_revision() -> str | None:
    """The commit of this checkout, with `-dirty` when tracked files differ; outside one what CXR_REVISION says."""
    here = Path(__file__).parent
    describe = ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(describe, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 (no input)
    except (OSError, subprocess.TimeoutExpired):
        return load_settings().revision
    return done.stdout.strip() or load_settings().revision


def device_name(device: torch.device) -> str:
    """`cpu`, or the accelerator's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a model's numbers."""
    return {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
