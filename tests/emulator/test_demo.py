"""`make demo-aws`, with fewer and smaller films: two instances, spot instances taken away twice, and the registry."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.processes import ROOT, environment

from chest_xray.training.run import RunFolder

FLAGS = "--epochs 5 --batch-size 8 --learning-rate 0.002 --checkpoint-steps 2"


@pytest.mark.slow
def test_the_journey_over_sagemaker_ends_in_the_same_weights_and_an_approved_package(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    env = environment() | {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "TMPDIR": str(tmp_path),
        "DEMO": str(demo),
        "IMAGES": "140",
        "SIZE": "32",
        "FLAGS": FLAGS,
        "GATE": "--force too-few-films-for-an-AUROC",
    }
    command = ["sh", str(ROOT / "scripts" / "demo_aws.sh")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert "Taken away 2 times." in done.stdout
    assert "The same." in done.stdout
    assert done.stdout.count("Going on from step") == 2
    run = RunFolder(demo / "run")
    assert run.weights.read_bytes() == RunFolder(demo / "here").weights.read_bytes()
    left = [
        {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()} for root in (demo / "run", demo / "here")
    ]
    assert {name for name in left[0] if not name.startswith(("evaluation", "bundle"))} - {"job.json"} == left[1]
    assert run.record().history == RunFolder(demo / "here").record().history
    shards = json.loads((demo / "shards" / "dataset.json").read_text())
    assert run.record().data_hash == shards["data_hash"]
    (copy,) = (demo / "home" / "data").glob("*/dataset.json")
    assert copy.read_bytes() == (demo / "shards" / "dataset.json").read_bytes()
    assert "Approved" in done.stderr + done.stdout
