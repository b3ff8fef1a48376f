"""What a benchmark ran on: enough to compare numbers, nothing that names the machine."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from chest_xray.cpus import available_cpus

PACKAGES = ("numpy", "pillow", "pyarrow", "torch", "monai", "onnxruntime")


def describe_machine(packages: tuple[str, ...] = PACKAGES) -> dict[str, Any]:
    """CPU model, cores that may be used, memory, operating system, Python and the versions of installed packages."""
    return {
        "cpu": cpu_model(),
        "cores": available_cpus(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in packages if (version := _version(name))},
    }


def cpu_model() -> str:
    """The processor's name as the operating system gives it, or its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
