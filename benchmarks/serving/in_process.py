"""One process, no HTTP: ours and the usual service in turn, a pass over the films each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.serving.usual import UsualService, write_weights
from chest_xray.inference.predictor import OnnxPredictor

ROUNDS = 3
SIZE = 224
WEIGHTS = "usual.pt"

Call = Callable[[bytes], object]


def measure(bundle: Path, films: Sequence[bytes], scratch: Path) -> dict[str, object]:
    """Medians over `ROUNDS` passes over the films; films/s of the best number of threads."""
    write_weights(scratch / WEIGHTS)
    usual = UsualService(scratch / WEIGHTS, SIZE)
    ours = OnnxPredictor.load(bundle)
    calls: dict[str, Call] = {
        "usual_plain": usual.predict,
        "ours_plain": ours.predict,
        "usual_explained": usual.explain,
        "ours_explained": lambda film: ours.predict(film, explain=("top",)),
        "ours_all_maps": lambda film: ours.predict(film, explain=("all",)),
    }
    ms = _medians(calls, films)
    result: dict[str, object] = {
        "explained_speedup": round(ms["usual_explained"] / ms["ours_explained"], 2),
        "plain_speedup": round(ms["usual_plain"] / ms["ours_plain"], 2),
        "all_maps_cost": round(ms["ours_all_maps"] / ms["ours_plain"], 3),
    }
    result |= {f"{name}_ms": round(value, 2) for name, value in ms.items()}
    result |= {f"{name}_ms": round(value, 2) for name, value in _stages(ours, films).items()}
    result["in_process_films_per_s"] = {str(threads): _throughput(ours, films, threads) for threads in (1, 2, 4)}
    return result | _openvino(bundle, films)


def _medians(calls: dict[str, Call], films: Sequence[bytes]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            call(films[0])  # the threads of the one before come to rest
            for film in films:
                started = time.perf_counter()
                call(film)
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) * 1e3 for name, values in seconds.items()}


def _stages(predictor: OnnxPredictor, films: Sequence[bytes]) -> dict[str, float]:
    timings = [predictor.predict(film).timings_ms for film in films]
    return {stage: statistics.median(timing[stage] for timing in timings) for stage in timings[0]}


def _throughput(predictor: OnnxPredictor, films: Sequence[bytes], threads: int) -> float:
    work = [*films] * 8
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(predictor.predict, films[:threads]))
        started = time.perf_counter()
        list(pool.map(predictor.predict, work))
        return round(len(work) / (time.perf_counter() - started), 2)


def _openvino(bundle: Path, films: Sequence[bytes]) -> dict[str, object]:
    """The optional engine, for the record."""
    predictor = OnnxPredictor.load(bundle, engine="openvino")
    return {"openvino_plain_ms": round(_medians({"": predictor.predict}, films)[""], 2)}
