"""The evaluation: does it agree, does it cover, how long does it take, what does calibration gain, what does int8 cost.

    python -m benchmarks.evaluation [--predictions .demo/run/evaluation/predictions.parquet]
                                    [--bundle .demo/run/bundle --shards .demo/shards]

The phantom demo (`make demo`) must have run, or others be given. The last line is a JSON object, also written to
benchmarks/results/evaluation.json:

    auroc_agreement         largest difference to scikit-learn over 1,000 random cases (bar: 1e-12)
    ci_coverage             of the 95% interval, the scenario farthest from 0.95 (bar: 0.93 to 0.97)
    evaluate_s              25,596 images, 14 findings, 2,000 rounds over patients, groups and all (bar: at most 60)
    evaluate_rss_mb         peak of that process (bar: at most 1,500)
    ece_ratio               calibration error after over before, phantom test list (bar: at most 0.5)
    compressed_*            see benchmarks.evaluation.compressed
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.evaluation import agreement, calibration, compressed, coverage, speed
from benchmarks.machine import describe_machine

RESULT = Path(__file__).parents[1] / "results" / "evaluation.json"


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", type=Path, default=Path(".demo/run/evaluation/predictions.parquet"))
    parser.add_argument("--bundle", type=Path, default=Path(".demo/run/bundle"))
    parser.add_argument("--shards", type=Path, default=Path(".demo/shards"))
    parser.add_argument("--cases", type=int, default=1000, help="random cases against scikit-learn")
    parser.add_argument("--simulations", type=int, default=1000, help="simulated studies of each scenario")
    parser.add_argument("--rounds", type=int, default=2000, help="bootstrap rounds of the timed evaluation")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the result is kept")
    options = parser.parse_args()
    result: dict[str, Any] = speed.measure(options.rounds)
    result |= agreement.measure(options.cases)
    result |= coverage.measure(options.simulations)
    result |= calibration.measure(options.predictions)
    result |= compressed.measure(options.bundle, options.shards)
    result |= {"machine": describe_machine(("numpy", "scikit-learn", "scipy", "pyarrow", "onnxruntime"))}
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
