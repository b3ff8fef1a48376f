"""Registration through the promotion gate: the champion is fetched, compared with the challenger, and decides."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chest_xray.bundle import Bundle, load_bundle
from chest_xray.console import say
from chest_xray.errors import GateError, SettingsError
from chest_xray.promotion.gate import SHORT, GateRules, GateVerdict, judge, judge_first, not_run, refusal

if TYPE_CHECKING:
    from chest_xray.backends.base import ModelVersion
    from chest_xray.backends.registry import ModelRegistry
    from chest_xray.evaluation.comparison.results import Comparison
    from chest_xray.settings import Settings


def register(
    registry: ModelRegistry,
    settings: Settings,
    bundle: Path,
    *,
    model_name: str,
    by: str,
    data: Sequence[Path],
    force: str | None,
) -> ModelVersion:
    """Register a bundle that passes the gate, or that a person forces in with a reason.

    Raises:
        GateError: it does not pass, or there is a champion and no data; nothing was registered.
        SettingsError: the reason is empty or too long.
    """
    reason = _checked_reason(force)
    verified = load_bundle(bundle)
    if (found := registry.find(model_name, verified.digest)) is not None:
        return found
    verdict, comparison = _verdict(registry, settings, verified, model_name, data, forced=reason is not None)
    if verdict.outcome != "passed":
        if reason is None:
            raise GateError(_refused(verdict, model_name))
        say(f"The gate did not let this bundle in ({refusal(verdict)}). Registered all the same: {reason}")
        verdict = verdict.model_copy(update={"forced": reason})
    return registry.register(bundle, model_name=model_name, by=by, gate=verdict, comparison=comparison)


def _verdict(
    registry: ModelRegistry, settings: Settings, bundle: Bundle, model_name: str, data: Sequence[Path], *, forced: bool
) -> tuple[GateVerdict, Comparison | None]:
    rules = GateRules(
        margin=settings.gate_margin, group_margin=settings.gate_group_margin, floor=settings.gate_floor
    )  # fmt: skip
    champion = registry.champion(model_name)
    if champion is None:
        if data:
            say(f"No version of {model_name} is Approved: there is nothing to compare with but the floor.")
        return judge_first(bundle.manifest.mean_auroc, rules), None
    if not data:
        if forced:
            return not_run(champion.version, champion.digest, rules), None
        raise GateError(
            f"{model_name} version {champion.version} is Approved, and a new version is compared with it first: give "
            "the shards with --data SHARDS, or --force REASON to register without a comparison."
        )
    comparison = _compare(registry, champion, bundle, data)
    return judge(comparison, champion.version, rules), comparison


def _compare(registry: ModelRegistry, champion: ModelVersion, challenger: Bundle, data: Sequence[Path]) -> Comparison:
    from chest_xray.evaluation.comparison.compare_bundles import compare_bundles

    name = f"{champion.model_name}:{champion.version}"
    with tempfile.TemporaryDirectory(prefix="cxr-champion-") as folder:
        fetched = load_bundle(registry.fetch(champion.model_name, champion.version, Path(folder)))
        return compare_bundles((name, fetched), ("the challenger", challenger), data)


def _checked_reason(force: str | None) -> str | None:
    if force is None:
        return None
    reason = " ".join(force.split())
    if not 0 < len(reason) <= SHORT:
        raise SettingsError(f"--force has {len(reason)} characters; a reason of 1 to {SHORT} is expected.")
    return reason


def _refused(verdict: GateVerdict, model_name: str) -> str:
    if verdict.champion is None:
        return (
            f"This bundle is not registered as the first version of {model_name}: {refusal(verdict)} "
            "(CXR_GATE_FLOOR). Train a better one, or register it with --force REASON."
        )
    return (
        f"This bundle is not registered: against {model_name} version {verdict.champion} it is, or may be, worse than "
        f"allowed: {refusal(verdict)}. `cxr compare` shows all; --force REASON registers it all the same."
    )
