"""The five commands of docs/deployment.md, "AWS without AWS", as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.processes import ROOT, environment

from chest_xray.training.run import RunFolder


@pytest.mark.slow
def test_the_five_commands(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "deployment.md").read_text().split("## AWS without AWS", 1)[1]
    block = re.search(r"```sh\n(.*?)```", text, flags=re.DOTALL).group(1)
    assert len(block.splitlines()) == 5
    env = environment() | {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "CXR_HOME": str(tmp_path / "home"),
        "CXR_SAGEMAKER_POLL_SECONDS": "0.5",
        "TMPDIR": str(tmp_path),
    }
    stopped = "trap 'cxr emulator stop >&2' EXIT; "
    done = subprocess.run(
        ["bash", "-e", "-c", stopped + block],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert "The emulator ends" in done.stderr, done.stderr
    assert "saved by spot instances" in done.stderr
    record = RunFolder(tmp_path / "runs" / "cloud").record()
    assert (record.config.epochs, record.image_size) == (1, 32)
    assert RunFolder(tmp_path / "runs" / "cloud").weights.is_file()
