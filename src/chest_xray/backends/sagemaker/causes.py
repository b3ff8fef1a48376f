"""Why a container failed: its last lines, and what such lines usually mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

LAST_LINES: Final = 20
# The first that is found counts, so the more telling stand first.
_CAUSES: Final = (
    (r"CapacityError|InsufficientCapacity", "no such instance was free: take another --instance-type, or try later"),
    (
        r"CUDA out of memory|OutOfMemoryError",
        "the accelerator's memory is full: lower --batch-size, or take a larger instance",
    ),
    (
        r"MemoryError|Cannot allocate memory|exit code: 137|\bOOM\b",
        "the instance's memory is full: take a larger --instance-type",
    ),
    (
        r"No space left on device|disk is full",
        "the disk is full: raise --volume-gb, or train with --input-mode FastFile",
    ),
    (
        r"(?:ModuleNotFoundError|ImportError): (?P<what>.+)",
        "the image lacks a library ({what}): build and push it again",
    ),
    (r"PermissionError: (?P<what>.+)", "the container may not write there ({what}): only /opt/ml and /tmp are for it"),
    (r"Permission denied|EACCES", "the container has no permission for a file or a command"),
    (r"exec format error", "the image is for another processor: build it for the instance's, linux/amd64 as a rule"),
    (
        r"exit code: 12[67]\b|No such file or directory: '(?P<what>[^']+)'|executable file not found",
        "the image's entry or a file that it reads is not there",
    ),
    (
        r"AccessDenied|not authorized to perform",
        "the job's role lacks a permission: see the line, and add it to its policy",
    ),
    (r"No S3 objects found", "a channel's prefix is empty, or the job's role may not list it"),
    (
        r"Could not connect to the endpoint|Connection timed out|Name or service not known",
        "the container cannot reach the network: the subnets need endpoints or a way out",
    ),
    (
        r"no kernel image is available|CUDA driver version is insufficient",
        "the image's CUDA does not fit the instance's driver",
    ),
    (r"exit code: 143", "the container was told to stop"),
)


def likely_cause(reason: str, lines: Sequence[str]) -> str | None:
    """What the failure's reason and the log's last lines usually mean; None where nobody knows."""
    text = "\n".join([reason, *lines[-LAST_LINES:]])
    for pattern, cause in _CAUSES:
        if match := re.search(pattern, text):
            found = match.groupdict().get("what") or "see the log"
            return cause.format(what=found.strip()[:120])
    return None


def describe_failure(job: str, reason: str, lines: Sequence[str]) -> str:
    """One sentence for the error, after the log's last lines on lines of their own."""
    cause = likely_cause(reason, lines)
    said = " ".join(reason.split()) or "no reason given"
    return f"{job} failed: {said}. Likely cause: {cause or 'none that is known; see the log above'}."
