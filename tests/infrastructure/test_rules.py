"""The rule packs and the linter over all templates."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.infrastructure.conftest import MODES, Template
from tests.support.processes import ROOT

HERE = Path(__file__).parent

# What may stay, on what. IAM5 is a wildcard in a policy, and each has its reason beside its permission.
ACCEPTED = {
    "AwsSolutions-IAM5",
    "HIPAA.Security-S3BucketReplicationEnabled",
    "HIPAA.Security-VPCDefaultSecurityGroupClosed",
}


def reports(assemblies: Path, mode: str) -> dict[str, dict[str, Any]]:
    report = json.loads((assemblies / mode / "validation-report.json").read_text())
    return {one["pluginName"]: one for one in report["pluginReports"]}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pack", ["AwsSolutions", "HIPAA.Security"])
def test_a_pack_has_no_finding_that_nobody_acknowledged(assemblies: Path, mode: str, pack: str) -> None:
    found = reports(assemblies, mode)[pack]
    assert found["violations"] == []
    # It looked: some finding of its own was acknowledged.
    assert found["suppressedViolations"]


@pytest.mark.parametrize("mode", MODES)
def test_what_is_acknowledged_is_on_the_list_and_has_a_reason(assemblies: Path, mode: str) -> None:
    packs = [one for name, one in reports(assemblies, mode).items() if name in {"AwsSolutions", "HIPAA.Security"}]
    kept = [one for pack in packs for one in pack["suppressedViolations"]]
    assert {one["ruleName"].partition("[")[0] for one in kept} <= ACCEPTED
    assert [one["ruleName"] for one in kept if len(one["reason"].split()) < 4] == []


def test_cfn_lint_has_no_error(template: Template) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", "--non-zero-exit-code", "error", template.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_cfn_lint_finds_what_is_broken(template: Template, tmp_path: Path) -> None:
    broken = json.loads(json.dumps(template.body))
    next(one for one in broken["Resources"].values() if one["Type"] == "AWS::S3::Bucket")["Properties"]["Nonsense"] = 1
    (path := tmp_path / "broken.json").write_text(json.dumps(broken))
    command = [Path(sys.executable).parent / "cfn-lint", "--non-zero-exit-code", "error", path]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_every_promise_of_the_documentation_has_its_test() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "infrastructure.md").read_text()))
    text = "\n".join(path.read_text() for path in HERE.glob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
    assert len(named) > 15
    assert named - there == set()
