"""`cxr test-time`: each option scored on the test list, and timed film by film in turn with the plain one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chest_xray.bundle import Bundle, load_bundle
from chest_xray.console import progress
from chest_xray.cpus import available_cpus
from chest_xray.data.shards import Shards
from chest_xray.errors import BundleError, DataError
from chest_xray.evaluation.comparison.compare_bundles import shards_for
from chest_xray.evaluation.comparison.logits import compare_logits
from chest_xray.evaluation.comparison.results import Comparison
from chest_xray.evaluation.graph_scores import GraphSession, thinned
from chest_xray.evaluation.graphs import open_session
from chest_xray.export.compress.acceptance import agreement_of
from chest_xray.export.compress.report import MapAgreement
from chest_xray.export.ensemble.merge import merge_graphs
from chest_xray.export.test_time.options import OPTIONS, PLAIN, Film, Option
from chest_xray.export.test_time.report import TestTime, TestTimeOption
from chest_xray.statistics import ROUNDS

TIMED_FILMS: Final = 20
_WARM_UP: Final = 3

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Way:
    """An option and the graph that it runs."""

    option: Option
    session: GraphSession

    def look(self, film: Film) -> tuple[Floats, Floats]:
        """Logits (F,) and maps (F, h, w) of a film (S, S)."""
        logits, cams = self.session.run(["logits", "cam"], {"image": self.option.views(film)[:, None]})
        return logits.mean(axis=0), np.asarray(self.option.back(cams), dtype=np.float32)


def measure_test_time(
    bundles: Sequence[Path],
    data: Path,
    *,
    images: int | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    timed_films: int = TIMED_FILMS,
) -> TestTime:
    """Measure flips, five and ten crops of the first bundle and, where there are several, their ensemble.

    Args:
        bundles: one or more of one image size.
        data: shards with the test images.
        images: of the test list, evenly spaced; None is all.
        rounds: of the paired bootstrap over patients.
        seed: of the bootstrap.
        timed_films: whose median time is the cost.

    Raises:
        DataError: the shards are of another image size or hold no test image.
        BundleError: a bundle does not verify, or two do not fit into one graph.
    """
    opened, shards = [load_bundle(path) for path in bundles], Shards.open(data)
    rows = _rows(opened, shards, images)
    ways = _ways(opened)
    found = {name: _score(way, shards, rows) for name, way in ways.items()}
    films = shards.read(thinned(rows, timed_films))
    times = in_turn({name: way.look for name, way in ways.items()}, films)
    plain, plain_ms = found.pop(PLAIN.name), times[PLAIN.name]
    options = []
    for name, (logits, cams) in found.items():
        result = compare_logits(shards, rows, plain[0], logits, rounds=rounds, seed=seed)
        maps = agreement_of(shards.findings, plain[1], cams)
        options.append(_measured(ways[name].option, result, maps, times[name], plain_ms))
    return TestTime(
        bundles=[bundle.digest for bundle in opened],
        data_hash=shards.data_hash,
        label_version=shards.label_version,
        images=len(rows),
        patients=len(np.unique(shards.patients[rows])),
        rounds=rounds,
        seed=seed,
        threads=available_cpus(),
        timed_films=len(films),
        plain_ms=plain_ms,
        options=options,
        notes=_notes(opened, shards),
    )


def _measured(
    option: Option, result: Comparison, maps: MapAgreement, ms: float, plain_ms: float
) -> TestTimeOption:  # fmt: skip
    return TestTimeOption(
        name=option.name,
        description=option.description,
        passes=option.passes,
        ms=ms,
        cost=ms / plain_ms,
        mean=result.mean,
        findings=result.findings,
        maps=maps,
    )


def _rows(bundles: Sequence[Bundle], shards: Shards, images: int | None) -> NDArray[np.int64]:
    """The test images to look at, once every bundle is known to take them."""
    for bundle in bundles:
        shards_for(str(bundle.root), bundle, [shards])
        variant = bundle.manifest.variant
        if variant in {"bf16", "fp16"}:
            raise BundleError(f"{bundle.root} is computed in {variant}. Measure the bundle it came from.")
    rows = shards.rows("test")
    if len(rows) == 0:
        raise DataError(f"{shards.root} holds no test image. Prepare a folder with a test_list.txt.")
    return rows if images is None else thinned(rows, images)


def _ways(bundles: Sequence[Bundle]) -> dict[str, _Way]:
    alone = open_session(bundles[0].onnx_path)
    ways = {option.name: _Way(option, alone) for option in (PLAIN, *OPTIONS)}
    if len(bundles) > 1:
        graph = merge_graphs([bundle.onnx_path for bundle in bundles])
        description = f"{len(bundles)} bundles in one graph, logits averaged"
        option = replace(PLAIN, name="ensemble", description=description, passes=len(bundles))
        ways[option.name] = _Way(option, open_session(graph))
    return ways


def _score(way: _Way, shards: Shards, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Logits (N, F) and maps (N, F, h, w)."""
    logits, cams = [], []
    with progress(f"Scoring, {way.option.name}", len(rows)) as advance:
        for row in rows:
            one, maps = way.look(shards.read([row])[0])
            logits.append(one)
            cams.append(maps)
            advance(1)
    found = np.stack(logits)
    if not np.isfinite(found).all():
        raise BundleError("the graph gave logits that are not finite. Export the bundle again.")
    return found, np.stack(cams)


def in_turn(looks: Mapping[str, Callable[[Film], object]], films: Film) -> dict[str, float]:
    """Median milliseconds of each over films (N, S, S); each film goes through all of them before the next."""
    times: dict[str, list[float]] = {name: [] for name in looks}
    for turn, film in enumerate([*films[:_WARM_UP], *films]):
        for name, look in looks.items():
            started = time.perf_counter()
            look(film)
            if turn >= min(_WARM_UP, len(films)):
                times[name].append((time.perf_counter() - started) * 1e3)
    return {name: median(taken) for name, taken in times.items()}


def _notes(bundles: Sequence[Bundle], shards: Shards) -> list[str]:
    return [
        f"Bundle {bundle.digest[:12]} was trained on other prepared data: that none of its training patients is in "
        "this test list cannot be checked here."
        for bundle in bundles
        if bundle.manifest.provenance.data_hash != shards.data_hash
    ]
