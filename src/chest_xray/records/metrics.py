"""What the service counts of itself, in Prometheus' text format.

Counting is adding to a dictionary; prometheus-client is imported when the first scrape comes, because its import costs
30 to 45 ms of a cold start. No label has a value that a caller can choose: routes are the application's own, codes,
stages and findings are the project's.

Every method belongs to the event loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Seconds. A film takes 30 to 60 ms on two processors; a queue that is full takes some seconds.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _Histogram:
    """Observations in seconds: how many fell into each bucket (the last one has no upper end), and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper end, observations up to it), as Prometheus counts them."""
        ends = (*(str(end) for end in BUCKETS), "+Inf")
        return [(end, float(sum(self.counts[: index + 1]))) for index, end in enumerate(ends)]


class Metrics:
    """The counts of one process that serves one model."""

    def __init__(self, *, model: str, version: int | None, digest: str) -> None:
        self._model = (model, "" if version is None else str(version), digest)
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._durations: dict[tuple[str], _Histogram] = {}
        self._stages: dict[tuple[str], _Histogram] = {}
        self._images: Counter[tuple[str, str]] = Counter()
        self._guard: Counter[tuple[str]] = Counter()
        self._quality: Counter[tuple[str]] = Counter()
        self._flags: Counter[tuple[str]] = Counter()
        self._refusals: Counter[tuple[str]] = Counter()
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._registry: CollectorRegistry | None = None

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request that was answered. `route` is a route of the application, not the path that was asked for."""
        self._requests[route, method if method in _METHODS else "other", str(status)] += 1
        self._durations.setdefault((route,), _Histogram()).add(seconds)

    def observe_stage(self, stage: str, milliseconds: float) -> None:
        """How long one stage of one film took."""
        self._stages.setdefault((stage,), _Histogram()).add(milliseconds / 1e3)

    def count_scored(self, *, in_distribution: bool, warnings: Iterable[str], flagged: Iterable[str]) -> None:
        """One film that was scored: the guard's verdict, the quality checks it failed, the findings flagged."""
        self._images["scored", ""] += 1
        self._guard["in_distribution" if in_distribution else "out_of_distribution",] += 1
        self._quality.update((check,) for check in warnings)
        self._flags.update((finding,) for finding in flagged)

    def count_viewed(self) -> None:
        """One film whose pixels went to a viewer."""
        self._images["viewed", ""] += 1

    def count_refused_image(self, code: str) -> None:
        """One image that got a problem instead of scores; `code` is the problem's."""
        self._images["refused", code] += 1

    def count_refusal(self, reason: str) -> None:
        """One request that was refused before anything was computed."""
        self._refusals[reason,] += 1

    def add_gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """A value that is read when it is scraped."""
        self._gauges[name] = (description, read)

    def prepare(self) -> None:
        """Import what a scrape needs. May be called from any thread, which spares the event loop the import."""
        import_module("prometheus_client")

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format, with this process' memory, time and files."""
        from prometheus_client.exposition import generate_latest

        if self._registry is None:
            self._registry = self._own_registry()
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """The families, as prometheus-client's collector protocol wants them."""
        from prometheus_client.metrics_core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        for name, description, labels, counter in self._counters():
            family = CounterMetricFamily(name, description, labels=labels)
            for values, count in counter.items():
                family.add_metric(values, count)
            yield family
        for name, description, label, histograms in self._histograms():
            durations = HistogramMetricFamily(name, description, labels=[label])
            for values, histogram in histograms.items():
                durations.add_metric(values, buckets=histogram.cumulative(), sum_value=histogram.total)
            yield durations
        for name, (description, read) in self._gauges.items():
            yield GaugeMetricFamily(name, description, value=read())
        name, version, digest = self._model
        yield InfoMetricFamily(
            "cxr_model", "The model that answers.", value={"name": name, "version": version, "digest": digest}
        )

    def _counters(self) -> Iterable[tuple[str, str, list[str], Counter[tuple[str, ...]]]]:
        yield "cxr_requests", "Requests answered.", ["route", "method", "status"], Counter(self._requests)
        yield "cxr_images", "Images, by what became of them.", ["outcome", "code"], Counter(self._images)
        yield "cxr_guard", "Films scored, by the guard's verdict.", ["verdict"], Counter(self._guard)
        yield "cxr_quality_warnings", "Films that failed a quality check.", ["check"], Counter(self._quality)
        yield "cxr_flags", "Films flagged for a finding.", ["finding"], Counter(self._flags)
        yield "cxr_refusals", "Requests refused before any work.", ["reason"], Counter(self._refusals)

    def _histograms(self) -> Iterable[tuple[str, str, str, dict[tuple[str], _Histogram]]]:
        yield "cxr_request_seconds", "From a request's headers to its answer.", "route", self._durations
        yield "cxr_stage_seconds", "Time of a film in each stage.", "stage", self._stages

    def _own_registry(self) -> CollectorRegistry:
        from prometheus_client.process_collector import ProcessCollector
        from prometheus_client.registry import CollectorRegistry

        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        return registry
