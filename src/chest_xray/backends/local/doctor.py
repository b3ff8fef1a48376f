"""`cxr doctor` on this machine: where it keeps things, and what is installed. It changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chest_xray.backends.checks import Check
from chest_xray.cpus import available_cpus

if TYPE_CHECKING:
    from chest_xray.settings import Settings

# A bundle, its versions in the registry and a run's checkpoints; shards of NIH's films take more, wherever they lie.
FEWEST_BYTES: Final = 2_000_000_000
_EXTRAS: Final = {
    "train": ("torch", "training, evaluation and export"),
    "dicom": ("python-gdcm", "compressed DICOM"),
    "aws": ("boto3", "SageMaker"),
    "emulator": ("moto", "SageMaker on this machine"),
    "openvino": ("openvino", "the other engine"),
}


def examine(settings: Settings) -> Iterator[Check]:
    """Look at CXR_HOME, the disk, the processors and the installed extras."""
    yield _home(settings.home_dir)
    yield _disk(settings.home_dir)
    yield Check("processors", "ok", str(available_cpus()))
    for extra, (package, use) in _EXTRAS.items():
        yield _extra(extra, package, use, needed=extra == settings.engine)


def _home(home: Path) -> Check:
    there = _nearest(home)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check("CXR_HOME", "ok", str(home))
    return Check("CXR_HOME", "failed", f"{home} cannot be written", "Set CXR_HOME to a folder of yours.")


def _disk(home: Path) -> Check:
    free = shutil.disk_usage(_nearest(home)).free
    found = f"{free / 1e9:.1f} GB free at {home}"
    if free >= FEWEST_BYTES:
        return Check("disk", "ok", found)
    return Check("disk", "failed", found, "Free some space, or set CXR_HOME to a larger disk.")


def _nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _extra(extra: str, package: str, use: str, *, needed: bool) -> Check:
    name = f"extra {extra}"
    try:
        return Check(name, "ok", f"{package} {version(package)}")
    except PackageNotFoundError:
        cure = f"For {use}: pip install 'chest-xray-classifier[{extra}]'."
        return Check(name, "failed" if needed else "unknown", f"{package} is not installed", cure)
