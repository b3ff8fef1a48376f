"""What is MLflow's own of the registry: tags, a store that others use too, and silence."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests.backends.conftest import PASSED, NewBundle, against
from tests.support.processes import run_python

from chest_xray.backends.local.registry import Registry
from chest_xray.bundle import load_bundle
from chest_xray.errors import BundleError, GateError, RegistryError
from chest_xray.promotion.gate import GateVerdict
from chest_xray.settings import Settings


def tags_of(settings: Settings, model_name: str, version: int) -> dict[str, str]:
    """As they stand in MLflow's database."""
    query = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
    with sqlite3.connect(settings.home_dir / "mlflow" / "mlflow.db") as database:
        tags = dict(database.execute(query, (model_name, version)))
    database.close()
    return tags


def test_a_version_has_its_origin_in_tags(mlflow_registry: Registry, new_bundle: NewBundle, settings: Settings) -> None:
    mlflow_registry.register(new_bundle().root, model_name="tagged", by="Eva Engineer", gate=PASSED)
    tags = tags_of(settings, "tagged", 1)
    assert tags["data_hash"] == "d" * 64
    assert tags["git_revision"] == "a" * 40
    assert tags["training_run"] == "run-1"
    assert tags["approval_status"] == "PendingManualApproval"


def test_the_verdict_is_in_tags_whole_and_short(
    mlflow_registry: Registry, new_bundle: NewBundle, settings: Settings
) -> None:
    mlflow_registry.register(new_bundle().root, model_name="short", by="me", gate=PASSED)
    champion = mlflow_registry.set_approval("short", 1, "Approved", by="me", reason=None)
    reasons = [f"finding {n} -0.100 (-0.200 to -0.050), margin 0.03" for n in range(20)]
    verdict = against(1, champion.digest, outcome="failed", reasons=reasons, forced="for a trial")
    mlflow_registry.register(new_bundle().root, model_name="short", by="me", gate=verdict)
    tags = tags_of(settings, "short", 2)
    assert GateVerdict.model_validate_json(tags["gate_verdict"]) == verdict
    short = {name: value for name, value in tags.items() if name.startswith("gate_") and name != "gate_verdict"}
    assert set(short) == {"gate_outcome", "gate_champion", "gate_summary", "gate_forced"}
    assert max(map(len, short.values())) == 256


def test_an_altered_copy_in_the_registry_is_refused(
    mlflow_registry: Registry, new_bundle: NewBundle, settings: Settings, tmp_path: Path
) -> None:
    bundle = new_bundle()
    mlflow_registry.register(bundle.root, model_name="altered", by="me", gate=PASSED)
    stored = [
        path
        for path in (settings.home_dir / "mlflow" / "artifacts").rglob("model.json")
        if load_bundle(path.parent).digest == bundle.digest
    ]
    assert len(stored) == 1
    manifest = json.loads(stored[0].read_text())
    stored[0].write_text(json.dumps(manifest | {"mean_auroc": 0.99}))  # consistent in itself, but another bundle
    with pytest.raises(BundleError, match=r"The registry's copy of altered version 1 has the digest"):
        mlflow_registry.fetch("altered", 1, tmp_path)


def test_a_model_that_someone_else_keeps_in_mlflow_is_left_alone(mlflow_registry: Registry) -> None:
    client = mlflow_registry._client
    client.create_registered_model("foreign")
    client.create_model_version("foreign", source="s3://elsewhere/model", run_id=None)
    assert "foreign" not in {version.model_name for version in mlflow_registry.models()}
    with pytest.raises(RegistryError, match=r"has no model foreign"):
        mlflow_registry.models("foreign")


def test_an_address_that_mlflow_cannot_use_is_one_line(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from chest_xray.backends.local.registry import Registry
from chest_xray.errors import SettingsError
from chest_xray.settings import Settings
try:
    Registry(Settings(home=Path(sys.argv[1]), mlflow_tracking_uri="nonsense://x"))
except SettingsError as error:
    print(error)
"""
    done = run_python(script, tmp_path)
    assert "CXR_MLFLOW_TRACKING_URI is 'nonsense://x', which MLflow refuses" in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1


def test_mlflow_is_quiet_and_sends_nothing(tmp_path: Path, new_bundle: NewBundle) -> None:
    script = """
import sys
from pathlib import Path
from chest_xray.backends.local.registry import Registry
from chest_xray.settings import Settings
from chest_xray.promotion.gate import GateRules, judge_first
registry = Registry(Settings(home=Path(sys.argv[1]) / "home"))
registry.register(Path(sys.argv[2]), model_name="quiet", by="me", gate=judge_first(0.7, GateRules()))
from mlflow.telemetry import get_telemetry_client
assert get_telemetry_client() is None
print(sorted(path.name for path in Path.cwd().iterdir()))
"""
    done = run_python(script, tmp_path, new_bundle().root, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['home']\n", "")


def test_a_version_from_before_the_gate_is_read_and_demands_a_reason(
    mlflow_registry: Registry, new_bundle: NewBundle
) -> None:
    mlflow_registry.register(new_bundle().root, model_name="older", by="me", gate=PASSED)
    for tag in ("gate_verdict", "gate_outcome", "gate_champion", "gate_summary", "gate_forced"):
        mlflow_registry._client.delete_model_version_tag("older", "1", tag)
    assert mlflow_registry.get("older", 1).gate is None
    with pytest.raises(GateError, match="older version 1 was registered without the promotion gate"):
        mlflow_registry.set_approval("older", 1, "Approved", by="me", reason=None)
    assert (
        mlflow_registry.set_approval("older", 1, "Approved", by="me", reason="in use for a year").status == "Approved"
    )
