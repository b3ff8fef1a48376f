"""Which findings a caller wants heat maps of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from chest_xray.errors import SettingsError
from chest_xray.prediction import FindingScore

TOP: Final = "top"
_WORDS: Final = (TOP, "all", "none")


def parse_explain(values: Iterable[str], findings: Sequence[str]) -> tuple[str, ...]:
    """Read names, lists of names (`Effusion,Mass`), `top`, `all` or `none`: findings in order, and `top` as it is.

    `findings` are the model's.

    Raises:
        SettingsError: a name that is no finding, or `none` beside something else.
    """
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    if "none" in names and set(names) != {"none"}:
        raise SettingsError("explain has both 'none' and a finding. Give one or the other.")
    unknown = [name for name in names if name not in (*findings, *_WORDS)]
    if unknown:
        known = ", ".join((*findings, *_WORDS))
        raise SettingsError(f"explain has {unknown[0][:40]!r}, which is no finding. Known: {known}.")
    if "all" in names:
        return tuple(findings)
    return tuple(finding for finding in (*findings, TOP) if finding in names)


def chosen(explained: Collection[str], scores: Sequence[FindingScore]) -> tuple[str, ...]:
    """The findings to explain, in order, once the scores tell which one is `top`."""
    top = max(scores, key=by_urgency).finding if TOP in explained else None
    return tuple(score.finding for score in scores if score.finding in explained or score.finding == top)


def by_urgency(score: FindingScore) -> tuple[bool, float]:
    """Sorts flagged findings above the others, then by probability."""
    return bool(score.flag), score.probability
