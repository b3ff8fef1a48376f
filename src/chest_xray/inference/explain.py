"""Which findings a caller wants heat maps of."""

from __future__ import annotations

from collections.abc import Iterable

from chest_xray.errors import SettingsError
from chest_xray.findings import FINDINGS


def parse_explain(values: Iterable[str]) -> tuple[str, ...]:
    """Read names, lists of names (`Effusion,Mass`), `all` or `none` into findings, each once, in order.

    Raises:
        SettingsError: a name that is no finding, or `none` beside a finding.
    """
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    if "none" in names and set(names) != {"none"}:
        raise SettingsError("explain has both 'none' and a finding. Give one or the other.")
    unknown = [name for name in names if name not in (*FINDINGS, "all", "none")]
    if unknown:
        raise SettingsError(
            f"explain has {unknown[0][:40]!r}, which is no finding. Known: {', '.join(FINDINGS)}, all, none."
        )
    if "all" in names:
        return FINDINGS
    return tuple(finding for finding in FINDINGS if finding in names)
