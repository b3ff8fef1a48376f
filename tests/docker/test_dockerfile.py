"""What the Dockerfile says, as far as nothing is built."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

from chest_xray.container import USER

TEXT = (ROOT / "docker" / "Dockerfile").read_text()


def test_the_linter_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "docker" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_agrees_with_what_else_names_the_same() -> None:
    pinned = re.search(r"torch==[\d.]+", (ROOT / "pyproject.toml").read_text()).group()
    assert f"ARG TORCH={pinned}\n" in TEXT
    assert f"useradd --uid {USER} " in TEXT
    assert f"groupadd --gid {USER} " in TEXT


def test_every_stage_is_built_on_the_base_that_was_asked_for() -> None:
    parents = {name: parent for parent, name in re.findall(r"^FROM (\S+) AS (\S+)$", TEXT, flags=re.MULTILINE)}
    assert {parent for parent in parents.values() if parent not in parents} == {"${BASE}"}
    assert {"serve", "train"} <= set(parents)


def test_make_passes_the_arguments_on() -> None:
    command = [
        "make",
        "--dry-run",
        "image",
        "BUILDER=docker",
        "BASE=some/cuda:base",
        "TORCH_INDEX=https://torch.example",
    ]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("serve", "train"):
        line = next(line for line in said.splitlines() if f"--target {target} " in line)
        assert line.startswith("docker build -f docker/Dockerfile ")
        for argument in ("BASE=some/cuda:base", "TORCH_INDEX=https://torch.example", "VERSION=0.1.0"):
            assert f"--build-arg {argument} " in line
