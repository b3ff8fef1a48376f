"""The service as a process on loopback: overhead, many clients, start, memory, overload."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.serving.in_process import WEIGHTS
from benchmarks.serving.load import BROKEN, Connection, Outcome, Target, closed_loop, open_loop
from benchmarks.serving.servers import START_SECONDS, Server, our_server, usual_server
from chest_xray.inference.predictor import OnnxPredictor

CLIENTS = 16
STARTS = 5
OVERLOAD = 10
OVERLOAD_SECONDS = 15.0


def measure(
    bundle: Path, films: Sequence[bytes], scratch: Path, inside: dict[str, object], *, requests: int
) -> dict[str, object]:
    """Everything that needs a server; `inside` has the figures of the process without one."""
    home = scratch / "home"
    result = _cold_starts(bundle, home, scratch / WEIGHTS, films[0])
    predictor = OnnxPredictor.load(bundle)
    with our_server(bundle, home) as server:
        _first_answer(server, films[0])
        bodies = [server.target.request(film) for film in films]
        result |= _overhead(server.target, bodies, predictor, films)
        result |= _memory_and_clients(server, bodies, inside, requests)
    return result | _overload(bundle, home, films)


def _cold_starts(bundle: Path, home: Path, weights: Path, film: bytes) -> dict[str, object]:
    ours, usual = [], []
    for _ in range(STARTS):
        with our_server(bundle, home) as server:
            ours.append(_first_answer(server, film))
        with usual_server(weights) as server:
            usual.append(_first_answer(server, film))
    start, theirs = statistics.median(ours), statistics.median(usual)
    return {
        "cold_start_s": round(start, 2),
        "cold_start_vs_torch": round(theirs / start, 2),
        "cold_starts_s": [round(value, 2) for value in ours],
        "usual_cold_starts_s": [round(value, 2) for value in usual],
    }


def _first_answer(server: Server, film: bytes) -> float:
    """Seconds from the start of the process to the first film scored."""
    uvloop.run(_until_answered(server.target, server.target.request(film)))
    return time.perf_counter() - server.started


async def _until_answered(target: Target, request: bytes) -> None:
    deadline = time.perf_counter() + START_SECONDS
    while await _once(target, request) != 200:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"no answer within {START_SECONDS:.0f} s")
        await asyncio.sleep(0.01)


async def _once(target: Target, request: bytes) -> int:
    connection = Connection(target)
    try:
        return await connection.ask(request)
    except (OSError, asyncio.IncompleteReadError):
        return BROKEN
    finally:
        connection.close()


def _overhead(
    target: Target, bodies: Sequence[bytes], predictor: OnnxPredictor, films: Sequence[bytes]
) -> dict[str, object]:
    """Alternates the process's own calls with requests, pass by pass, so that both meet the same machine."""
    inside: list[float] = []
    outside: list[float] = []
    for _ in range(4):
        for film in films:
            started = time.perf_counter()
            predictor.predict(film)
            inside.append(time.perf_counter() - started)
        outside += uvloop.run(closed_loop(target, bodies, clients=1, count=len(bodies))).latencies
    p50, inner = statistics.median(outside) * 1e3, statistics.median(inside) * 1e3
    return {"http_overhead_ms": round(p50 - inner, 2), "http_plain_ms": round(p50, 2)}


def _memory_and_clients(
    server: Server, bodies: Sequence[bytes], inside: dict[str, Any], requests: int
) -> dict[str, object]:
    first = uvloop.run(closed_loop(server.target, bodies, clients=CLIENTS, count=requests // 2))
    half = server.rss_mb()
    second = uvloop.run(closed_loop(server.target, bodies, clients=CLIENTS, count=requests - requests // 2))
    whole = server.rss_mb()
    best = max(inside["in_process_films_per_s"].values())
    return {
        "concurrent_efficiency": round(max(first.goodput, second.goodput) / best, 3),
        "clients_films_per_s": [round(first.goodput, 2), round(second.goodput, 2)],
        "clients_p50_ms": round(statistics.median(second.latencies) * 1e3, 1),
        "rss_mb": round(whole, 1),
        "rss_growth_mb": round(whole - half, 1),
        "requests": requests,
    }


def _overload(bundle: Path, home: Path, films: Sequence[bytes]) -> dict[str, object]:
    """The load has one processor for itself, at the peak and in the flood: what it costs is not the server's."""
    processors = os.sched_getaffinity(0)
    own = {max(processors)}
    with our_server(bundle, home, (processors - own) or own) as server:
        os.sched_setaffinity(0, own)
        try:
            return _flood(server.target, films)
        finally:
            os.sched_setaffinity(0, processors)


def _flood(target: Target, films: Sequence[bytes]) -> dict[str, object]:
    bodies = [target.request(film) for film in films]
    uvloop.run(_until_answered(target, bodies[0]))
    alone = statistics.median(uvloop.run(closed_loop(target, bodies, clients=1, count=20)).latencies)
    peak = max(uvloop.run(closed_loop(target, bodies, clients=CLIENTS, count=200)).goodput for _ in range(2))
    flood = uvloop.run(open_loop(target, bodies, rate=OVERLOAD * peak, seconds=OVERLOAD_SECONDS))
    recovery = uvloop.run(_recovery(target, bodies, 1.5 * alone))
    return {
        "overload_goodput": round(flood.goodput / peak, 3),
        "overload_other": _other(flood),
        "overload_statuses": {str(status): count for status, count in sorted(flood.statuses.items())},
        "recovery_s": round(recovery, 2),
        "peak_films_per_s": round(peak, 2),
    }


def _other(outcome: Outcome) -> int:
    return sum(count for status, count in outcome.statuses.items() if status not in (200, 429, 503))


async def _recovery(target: Target, bodies: Sequence[bytes], usual_seconds: float) -> float:
    """Seconds until a film takes no longer than `usual_seconds`; asks one film after the other."""
    started = time.perf_counter()
    while time.perf_counter() - started < START_SECONDS:
        outcome = await closed_loop(target, bodies, clients=1, count=1)
        if outcome.latencies and outcome.latencies[0] <= usual_seconds:
            return time.perf_counter() - started
    return START_SECONDS
