"""Which names findings may have: they stand in columns, in queries, on pages and in the names of files."""

import re
from collections.abc import Iterable
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ _-][A-Za-z0-9]+)*")
_LONGEST: Final = 64
# What `explain` takes beside names, and the columns that stand beside those of the findings in Parquet files.
_WORDS: Final = ("all", "none", "top")
_COLUMNS: Final = ("shard", "row", "image", "patient", "age", "sex", "view", "split", "boxes", "height", "width")
_MORE_COLUMNS: Final = ("pixel_mean", "pixel_std", "embedding")
_TAKEN: Final = (*_WORDS, *_COLUMNS, *_MORE_COLUMNS)


def check_findings(names: Iterable[str]) -> tuple[str, ...]:
    """The names of a model's findings, in the order of its logits.

    Raises:
        ValueError: there is none, one comes twice, or one cannot be the name of a finding; says which.
    """
    findings = tuple(names)
    if not findings:
        raise ValueError("there is no finding; expected one at least")
    for place, name in enumerate(findings):
        if len(name) > _LONGEST or not _NAME.fullmatch(name) or name in _TAKEN:
            raise ValueError(
                f"{name[:_LONGEST]!r} cannot be a finding's name; expected letters and digits, in words joined by "
                f"space, _ or -, at most {_LONGEST} characters, and none of {', '.join(_TAKEN)}"
            )
        if name in findings[:place]:
            raise ValueError(f"{name} is there twice; expected each finding once")
    return findings
