"""`cxr robustness`: the test films at each level of each perturbation, through the bundle's graph, guard and checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Bundle
from chest_xray.console import progress
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, DataError
from chest_xray.evaluation.calibration.calibrate import FEWEST_CASES, apply_calibration, enough_cases
from chest_xray.evaluation.comparison.compare_bundles import shards_for
from chest_xray.evaluation.graph_scores import GraphSession, thinned
from chest_xray.evaluation.graphs import open_session
from chest_xray.evaluation.robustness.perturbations import PERTURBATIONS, Film, Perturbation, generator
from chest_xray.evaluation.robustness.report import Change, Curve, Level, Robustness, Warned
from chest_xray.statistics import Floats
from chest_xray.statistics.metrics import PatientDraws, RankedScores, interval95

ROUNDS: Final = 1000
_BATCH: Final = 16

# Whether a film (S, S) is warned of for its picture. Serving's checks, which training does not import.
Warns = Callable[[Film], bool]
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the bundle makes of N films: logits (N, F) and flags, refused by the guard and warned of (N,)."""

    logits: NDArray[np.float32]
    flags: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    warned: NDArray[np.bool_]

    @property
    def shares(self) -> Warned:
        either = self.refused | self.warned
        return Warned(guard=self.refused.mean(), quality=self.warned.mean(), either=either.mean())


@dataclass(frozen=True, slots=True)
class _Eyes:
    """A bundle with all that looks at a film."""

    bundle: Bundle
    session: GraphSession
    warns: Warns

    def see(self, films: Callable[[int], Film], count: int, advance: Advance) -> _Seen:
        """Look at `count` films, each made when it is its turn."""
        logits, refused, warned = [], [], []
        for start in range(0, count, _BATCH):
            batch = np.stack([films(k) for k in range(start, min(start + _BATCH, count))])
            found, embedding = self.session.run(["logits", "embedding"], {"image": batch[:, None]})
            logits.append(found)
            distance = self.bundle.statistics.distance(embedding)
            refused.append(distance > self.bundle.manifest.guard.threshold)
            warned += [self.warns(film) for film in batch]
            advance(len(batch))
        every = np.concatenate(logits)
        if not np.isfinite(every).all():
            raise BundleError(f"{self.bundle.onnx_path} gave logits that are not finite. Export the bundle again.")
        return _Seen(every, flags_of(self.bundle, every), np.concatenate(refused), np.array(warned, dtype=bool))


def measure_robustness(
    bundle: Bundle,
    data: Path,
    warns: Warns,
    *,
    images: int | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
) -> Robustness:
    """Measure a bundle on perturbed test films.

    Args:
        bundle: what is measured.
        data: shards with the test images, which are perturbed as they are stored.
        warns: serving's quality checks of this bundle.
        images: of the test list, evenly spaced; None is all.
        rounds: of the bootstrap over patients, the same draws at every level.
        seed: of the bootstrap and of what chance there is in a perturbation.
        perturbations: which, with their levels.

    Raises:
        DataError: the shards are of another image size, or no finding has enough test images of each class.
        BundleError: the graph gives logits that are not finite.
    """
    shards = _shards_for(bundle, data)
    rows = shards.rows("test") if images is None else thinned(shards.rows("test"), images)
    kept, left_out = _measured_findings(shards, rows)
    eyes = _Eyes(bundle, open_session(bundle.graph), warns)
    clean, seen = _see_all(eyes, shards, rows, perturbations, seed)
    draws = PatientDraws(shards.patients[rows], rounds=rounds, seed=seed)
    against = _Clean(shards.findings, shards.labels[rows], clean, kept, draws)
    return Robustness(
        digest=bundle.digest,
        data_hash=shards.data_hash,
        label_version=shards.label_version,
        image_size=shards.image_size,
        images=len(rows),
        patients=against.draws.count,
        rounds=rounds,
        seed=seed,
        fewest_cases=FEWEST_CASES,
        clean_mean=float(against.aurocs.mean()),
        clean={shards.findings[k]: float(value) for k, value in zip(kept, against.aurocs, strict=True)},
        clean_warned=clean.shares,
        left_out=left_out,
        curves=_curves(perturbations, against, seen),
        notes=_notes(bundle, shards),
    )


def _shards_for(bundle: Bundle, data: Path) -> Shards:
    """The shards, where the bundle takes their images and computes in full precision."""
    shards = shards_for(str(bundle.root), bundle, [Shards.open(data)])
    if bundle.manifest.variant in {"bf16", "fp16"}:
        raise BundleError(f"{bundle.root} is computed in {bundle.manifest.variant}. Measure the bundle it came from.")
    return shards


def _see_all(
    eyes: _Eyes, shards: Shards, rows: NDArray[np.int64], perturbations: Sequence[Perturbation], seed: int
) -> tuple[_Seen, dict[tuple[str, float], _Seen]]:
    """The films as they are, and at each level of each perturbation."""
    levels = [(one, level) for one in perturbations for level in one.levels]
    with progress("Looking at perturbed films", (1 + len(levels)) * len(rows)) as advance:
        clean = eyes.see(lambda k: shards.read([rows[k]])[0], len(rows), advance)
        seen = {
            (one.name, level): eyes.see(_perturbed(shards, rows, one, level, seed), len(rows), advance)
            for one, level in levels
        }
    return clean, seen


def _measured_findings(shards: Shards, rows: NDArray[np.int64]) -> tuple[list[int], dict[str, str]]:
    """The places of the findings with enough images of each class, and why the others are left out."""
    labels = shards.labels[rows]
    kept, left_out = [], {}
    for k, name in enumerate(shards.findings):
        positives = int(labels[:, k].sum())
        if enough_cases(labels[:, k]):
            kept.append(k)
        else:
            fewer = min(positives, len(labels) - positives)
            left_out[name] = (
                "one class only" if fewer == 0 else f"{fewer} images of one class, fewer than {FEWEST_CASES}"
            )
    if not kept:
        raise DataError(
            f"{shards.root}: no finding has {FEWEST_CASES} images with and without it among {len(rows)} test images. "
            "Measure more with --images."
        )
    return kept, left_out


def _perturbed(
    shards: Shards, rows: NDArray[np.int64], one: Perturbation, level: float, seed: int
) -> Callable[[int], Film]:
    def film(k: int) -> Film:
        row = int(rows[k])
        return one.apply(shards.read([row])[0], level, generator(seed, row, one.name))

    return film


def flags_of(bundle: Bundle, logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which findings of N films are flagged (N, F), of the F that have an operating point."""
    columns = [
        apply_calibration(profile.calibration, logits[:, k]) >= profile.operating_point.threshold
        for k, profile in enumerate(bundle.manifest.findings.values())
        if profile.operating_point is not None
    ]
    return np.stack(columns, axis=1) if columns else np.empty((len(logits), 0), dtype=bool)


class _Clean:
    """The films as they are, with the AUROCs (F,) of the findings `kept` and their rounds (R, F)."""

    def __init__(
        self,
        findings: Sequence[str],
        labels: NDArray[np.uint8],
        seen: _Seen,
        kept: Sequence[int],
        draws: PatientDraws,
    ) -> None:
        self.findings, self.labels, self.seen, self.kept, self.draws = findings, labels, seen, kept, draws
        self.aurocs, self.rounds = self.measure(seen.logits)

    def measure(self, logits: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """AUROCs (F,) and rounds (R, F) of logits (N, F), with the draws that all levels share."""
        ranked = [RankedScores(self.labels[:, k], logits[:, k]) for k in self.kept]
        rounds = [
            np.stack([scores.auroc_and_precision(block, self.draws.index)[0] for scores in ranked], axis=1)
            for block in self.draws.blocks()
        ]
        return np.array([scores.auroc()[0] for scores in ranked]), np.concatenate(rounds)


def _curves(
    perturbations: Sequence[Perturbation], clean: _Clean, seen: dict[tuple[str, float], _Seen]
) -> list[Curve]:  # fmt: skip
    with progress("Bootstrap over patients", len(seen), "levels") as advance:
        return [Curve(name=one.name, unit=one.unit, levels=_levels(one, clean, seen, advance)) for one in perturbations]


def _levels(
    one: Perturbation, clean: _Clean, seen: dict[tuple[str, float], _Seen], advance: Advance
) -> list[Level]:  # fmt: skip
    levels = []
    for level in one.levels:
        found = seen[one.name, level]
        aurocs, rounds = clean.measure(found.logits)
        difference, spread = aurocs - clean.aurocs, rounds - clean.rounds
        changed = found.flags != clean.seen.flags
        levels.append(
            Level(
                level=level,
                setting=one.setting(level),
                mean=_change(aurocs.mean(), difference.mean(), spread.mean(axis=1)),
                findings={
                    clean.findings[k]: _change(aurocs[place], difference[place], spread[:, place])
                    for place, k in enumerate(clean.kept)
                },
                flags_changed=float(changed.mean()) if changed.size else None,
                warned=found.shares,
            )
        )
        advance(1)
    return levels


def _change(auroc: float, difference: float, rounds: Floats) -> Change:
    return Change(auroc=float(auroc), difference=float(difference), ci95=interval95(rounds))


def _notes(bundle: Bundle, shards: Shards) -> list[str]:
    side = shards.image_size
    stored = (
        f"Films are perturbed as they are stored, {side} x {side} in 8 bits: what resizing would have hidden of noise, "
        "blur or compression in the full film is not hidden here."
    )
    notes = [stored]
    if bundle.manifest.provenance.data_hash != shards.data_hash:
        notes.append(
            "The bundle was trained on other prepared data: that none of its training patients is in this test list "
            "cannot be checked here."
        )
    return notes
