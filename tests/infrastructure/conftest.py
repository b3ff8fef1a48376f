"""The templates, written once by the command that deploys them, in both modes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tests.support.processes import ROOT

STAGES = ("dev", "staging", "prod")
MODES = ("cheap", "private")

Resource = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """One stage's template in one mode."""

    stage: str
    mode: str
    path: Path
    body: dict[str, Any]

    def of(self, kind: str) -> dict[str, Resource]:
        """Resources of a type, such as `S3::Bucket`, by logical id."""
        return {name: one for name, one in self.body["Resources"].items() if one["Type"] == f"AWS::{kind}"}

    def properties(self, kind: str) -> list[dict[str, Any]]:
        return [one["Properties"] for one in self.of(kind).values()]


def write(mode: str, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "infrastructure.app", "--out", str(out / mode), "--mode", mode]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of both assemblies; workers share it."""
    base = tmp_path_factory.getbasetemp()
    out = (base if worker_id == "master" else base.parent) / "assemblies"
    with FileLock(f"{out}.lock"):
        if not out.exists():
            out.mkdir()
            for running in [write(mode, out) for mode in MODES]:
                _, said = running.communicate(timeout=300)
                assert running.returncode == 0, said
    return out


@pytest.fixture(params=[(stage, mode) for mode in MODES for stage in STAGES], ids="-".join)
def template(request: pytest.FixtureRequest, assemblies: Path) -> Template:
    """Every stage in every mode."""
    stage, mode = request.param
    return read(assemblies, stage, mode)


@pytest.fixture(params=STAGES)
def private(request: pytest.FixtureRequest, assemblies: Path) -> Template:
    return read(assemblies, request.param, "private")


@pytest.fixture(params=STAGES)
def cheap(request: pytest.FixtureRequest, assemblies: Path) -> Template:
    return read(assemblies, request.param, "cheap")


def read(assemblies: Path, stage: str, mode: str) -> Template:
    path = assemblies / mode / f"chest-xray-{stage}.template.json"
    return Template(stage, mode, path, json.loads(path.read_text()))
