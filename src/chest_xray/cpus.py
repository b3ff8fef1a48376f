"""How many processors this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = CGROUP) -> int:
    """Processors left by the affinity mask and by the container's CPU quota, at least 1.

    `os.cpu_count` sees the whole machine: in a container with a quota of 2 on 64 processors, 64 threads would
    wait for each other.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def cpu_quota(cgroup: Path) -> float | None:
    """The CPU quota in processors from a cgroup file system (v2, else v1), or None when there is no limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    except OSError:
        limit, period = _quota_v1(cgroup / "cpu")
    if limit in ("max", "-1"):
        return None
    return int(limit) / int(period)


def _quota_v1(cgroup: Path) -> tuple[str, str]:
    try:
        limit = (cgroup / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
        period = (cgroup / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
    except OSError:
        return "max", "1"
    return limit, period
