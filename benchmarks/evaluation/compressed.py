"""A compressed graph against the one it came from: time, size, AUROC and heat maps, on a bundle and its shards.

Time is of one film on all processors, through the engines that serve, the median of runs that alternate between the
graphs. Each method is a row; the keys without a method's name are of int8.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Final, Literal

from chest_xray.bundle import Bundle, Variant, load_bundle
from chest_xray.cpus import available_cpus
from chest_xray.data.shards import Shards
from chest_xray.errors import CompressionError, SettingsError
from chest_xray.export.compress.compress import Compressed, compress
from chest_xray.inference.engines import Engine, open_engine

METHODS: Final[tuple[Variant, ...]] = ("int8", "bf16", "fp16")
_ALTERNATIONS: Final = 60
_WARM_UP: Final = 5

Row = dict[str, object]


def measure(bundle: Path, shards: Path) -> dict[str, object]:
    """The figures of every method on one bundle; a method that is rejected or not there is a row with the reason."""
    source = load_bundle(bundle)
    rows = {method: _row(source, shards, method) for method in METHODS}
    int8 = rows["int8"]
    return {
        "compressed_speedup": int8.get("speedup"),
        "compressed_auroc_drop": int8.get("auroc_drop"),
        "compressed_size": int8.get("size"),
        "compressed_map_correlation": int8.get("map_correlation"),
        "compressed_methods": rows,
    }


def _row(source: Bundle, shards: Path, method: Variant) -> Row:
    with tempfile.TemporaryDirectory(prefix="cxr-compressed-") as folder:
        try:
            done = compress(source.root, shards, Path(folder) / method, method=method)
        except (CompressionError, SettingsError) as error:
            return {"rejected": str(error)}
        return _quality(source, done) | _times(source, done.variant, Shards.open(shards))


def _quality(source: Bundle, done: Compressed) -> Row:
    report = done.report
    mean = report.comparison.mean
    differences = (row.difference for row in report.comparison.findings.values())
    worst = min((value for value in differences if value is not None), default=0.0)
    return {
        "size": done.variant.onnx_path.stat().st_size / source.onnx_path.stat().st_size,
        "auroc_before": mean.a,
        "auroc_after": mean.b,
        "auroc_drop": None if mean.difference is None else -mean.difference,
        "auroc_difference_ci95": mean.ci95,
        "largest_finding_drop": -worst,
        "map_correlation": report.agreement.mean,
        "map_correlation_p1": report.agreement.percentiles.get("1"),
        "refusals_before": report.refusals.before,
        "refusals_after": report.refusals.after,
        "golden_tolerance": done.variant.manifest.golden.tolerance,
        "layers_in_float": len(report.excluded),
    }


def _times(source: Bundle, variant: Bundle, shards: Shards) -> Row:
    """Milliseconds of one film, fp32 ONNX Runtime against the variant in its engine."""
    threads = available_cpus()
    name: Literal["onnxruntime", "openvino"] = "onnxruntime" if variant.manifest.variant == "int8" else "openvino"
    engines = {"before": open_engine(source, "onnxruntime", threads), "after": open_engine(variant, name, threads)}
    found = _alternate(engines, shards)
    return {
        "ms_before": found["before"],
        "ms_after": found["after"],
        "speedup": found["before"] / found["after"],
        "engine": name,
        "threads": threads,
    }


def _alternate(engines: Mapping[str, Engine], shards: Shards) -> dict[str, float]:
    rows = shards.rows("test")
    times: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(_WARM_UP + _ALTERNATIONS):
        film = shards.read([rows[turn % len(rows)]])
        for name, engine in engines.items():
            started = time.perf_counter()
            engine.run(film)
            if turn >= _WARM_UP:
                times[name].append((time.perf_counter() - started) * 1e3)
    return {name: median(taken) for name, taken in times.items()}
