"""The service against the usual one: speed, start, memory, overload, and what the guard tells apart.

    CXR_REAL_DATA=... python -m benchmarks.serving

Needs the real films (nih-fullsize, nih-mini). The model is trained on nih-mini once and kept in .benchmarks/. Server
and load share the machine. The last line is a JSON object, also written to benchmarks/results/serving.json:

    explained_speedup      p50, bytes of a 1024 px PNG to 14 scores and the top finding's map, usual over ours (bar: 6)
    plain_speedup          the same without a map (bar: 2.5)
    all_maps_cost          ours with all 14 maps over ours with none (bar: at most 1.15)
    http_overhead_ms       p50 over HTTP less p50 in process (bar: at most 3)
    concurrent_efficiency  films/s of 16 clients over the best in process (bar: 0.85)
    cold_start_s           process start to first answer (bar: 1.5); cold_start_vs_torch: usual over ours (bar: 3)
    rss_mb, rss_growth_mb  after 2,000 requests (bar: 400); over the last 1,000 (bar: 20)
    overload_goodput       at 10 times capacity over peak (bar: 0.9); overload_other: answers but 200, 429 and 503 (bar:
                           0); recovery_s: until a film takes again what it takes alone, within a half (bar: 5)
    guard_*                see benchmarks.serving.guard
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.serving import guard, in_process, over_http
from benchmarks.serving.model import nih_mini_bundle

RESULT = Path(__file__).parents[1] / "results" / "serving.json"


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000, help="requests before memory is read")
    options = parser.parse_args()
    real_data = os.environ.get("CXR_REAL_DATA")
    if not real_data:
        sys.exit("CXR_REAL_DATA is not set: give the folder that holds nih-fullsize and nih-mini.")
    bundle = nih_mini_bundle(Path(real_data))
    films = [path.read_bytes() for path in sorted((Path(real_data) / "nih-fullsize" / "images").glob("*.png"))]
    with tempfile.TemporaryDirectory() as scratch:
        result = in_process.measure(bundle, films, Path(scratch))
        result |= over_http.measure(bundle, films, Path(scratch), result, requests=options.requests)
    result |= guard.measure_guard(bundle, Path(real_data) / "nih-mini")
    result |= {"films": f"{len(films)} NIH PNG, 1024 px", "network_px": 224, "machine": describe_machine()}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
