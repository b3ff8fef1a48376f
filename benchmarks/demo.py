"""The demo, timed, and the mean AUROC that it reaches on the phantom test list.

    python -m benchmarks.demo

Runs scripts/demo.sh with the options of the Makefile in a new folder, without installation and without serving. The
last line is a JSON object; `mean_auroc` has the bar 0.85.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe_machine

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "demo.json"


def main() -> None:
    """Run the demo and keep its evaluation and its times."""
    with tempfile.TemporaryDirectory() as scratch:
        demo = Path(scratch) / "demo"
        started = time.monotonic()
        steps = _run_demo(demo)
        seconds = time.monotonic() - started
        evaluation = json.loads((demo / "run" / "evaluation" / "evaluation.json").read_bytes())
    result = {
        "mean_auroc": round(evaluation["mean"]["auroc"], 4),
        "mean_auroc_ci95": evaluation["mean"]["ci95"],
        "findings": {name: row["auroc"] for name, row in evaluation["findings"].items()},
        "test_images": evaluation["images"],
        "images": "phantom",
        "seconds": round(seconds, 1),
        "steps_started_at_s": steps,
        "options": makefile_value("DEMO_FLAGS"),
        "machine": describe_machine(),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def makefile_value(name: str) -> str:
    """A variable's value as it stands in the Makefile."""
    text = (ROOT / "Makefile").read_text().replace("\\\n\t", "")
    found = re.search(rf"^{name} \??:?= (.*)$", text, flags=re.MULTILINE)
    assert found is not None, f"the Makefile has no {name}"
    return found.group(1)


def _run_demo(demo: Path) -> dict[str, int]:
    """Run the script, pass its output on, and return when each step began."""
    environment = os.environ | {
        "CXR": str(Path(sys.executable).with_name("cxr")),
        "DEMO": str(demo),
        "IMAGES": makefile_value("DEMO_IMAGES"),
        "SERVE": "0",
        "FLAGS": makefile_value("DEMO_FLAGS"),
    }
    command = ["sh", str(ROOT / "scripts" / "demo.sh")]
    steps = {}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if began := re.search(r"\[ *(\d+)s\] ([^\x1b]*)", line):
                steps[began.group(2).strip()] = int(began.group(1))
    if process.returncode:
        sys.exit(process.returncode)
    return steps


if __name__ == "__main__":
    main()
