"""The registry on MLflow: states, who decided, and nothing lost."""

import json
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from tests.support.bundles import write_bundle
from tests.support.processes import run_python

from chest_xray.backends.base import ApprovalStatus
from chest_xray.backends.local.registry import Registry
from chest_xray.bundle import Bundle, load_bundle
from chest_xray.errors import BundleError, GateError, NotApprovedError, RegistryError, SettingsError
from chest_xray.promotion.gate import GateRules, GateVerdict, judge_first, not_run
from chest_xray.settings import Settings

# MLflow's tracking store uses a SQLAlchemy option that SQLAlchemy 2.1 warns of.
NewBundle = Callable[[], Bundle]


PASSED = judge_first(0.7, GateRules())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), mlflow_tracking_uri=None)


@pytest.fixture(scope="module")
def registry(settings: Settings) -> Registry:
    """One registry for all tests, which use models of their own: making its database takes seconds."""
    return Registry(settings)


@pytest.fixture(scope="module")
def new_bundle(tmp_path_factory: pytest.TempPathFactory) -> NewBundle:
    """Makes a bundle like no other."""
    folder = tmp_path_factory.mktemp("bundles")
    numbers = count()

    def make() -> Bundle:
        number = next(numbers)
        return write_bundle(folder / str(number), mean_auroc=0.7 + number / 1000)

    return make


def test_a_registered_bundle_waits_for_approval_and_keeps_its_origin(
    registry: Registry, new_bundle: NewBundle, settings: Settings
) -> None:
    bundle = new_bundle()
    before = datetime.now(UTC)
    version = registry.register(bundle.root, model_name="origin", by="  Eva   Engineer ", gate=PASSED)
    assert (version.model_name, version.version, version.status) == ("origin", 1, "PendingManualApproval")
    assert (version.digest, version.mean_auroc) == (bundle.digest, bundle.manifest.mean_auroc)
    assert version.registered_by == "Eva Engineer"
    assert before <= version.registered_at <= datetime.now(UTC)
    assert (version.decided_by, version.decided_at, version.reason) == (None, None, None)
    with sqlite3.connect(settings.home_dir / "mlflow" / "mlflow.db") as database:
        tags = dict(database.execute("SELECT key, value FROM model_version_tags WHERE name = 'origin'"))
    database.close()
    assert tags["data_hash"] == "d" * 64
    assert tags["git_revision"] == "a" * 40
    assert tags["training_run"] == "run-1"
    assert tags["approval_status"] == "PendingManualApproval"


def test_versions_count_up_and_are_listed_newest_last(registry: Registry, new_bundle: NewBundle) -> None:
    digests = []
    for _ in range(11):  # 10 sorts before 9 as text
        bundle = new_bundle()
        digests.append(bundle.digest)
        registry.register(bundle.root, model_name="counting", by="me", gate=PASSED)
    versions = registry.models("counting")
    assert [version.version for version in versions] == list(range(1, 12))
    assert [version.digest for version in versions] == digests
    everything = registry.models()
    assert [version for version in everything if version.model_name == "counting"] == versions


def test_the_same_bundle_is_not_registered_twice(
    registry: Registry, new_bundle: NewBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = new_bundle()
    first = registry.register(bundle.root, model_name="twice", by="me", gate=PASSED)
    registry.set_approval("twice", 1, "Approved", by="radiologist", reason=None)
    again = registry.register(bundle.root, model_name="twice", by="someone else", gate=PASSED)
    assert (again.version, again.registered_by, again.status) == (1, "me", "Approved")
    assert again.registered_at == first.registered_at
    assert "twice has this bundle already: version 1, Approved." in capsys.readouterr().err
    assert len(registry.models("twice")) == 1
    assert registry.register(bundle.root, model_name="twice-again", by="me", gate=PASSED).version == 1


def test_two_registrations_at_once_give_one_version(
    registry: Registry, new_bundle: NewBundle, settings: Settings
) -> None:
    bundle = new_bundle()
    registries = [registry, Registry(settings)]
    versions: list[int] = []

    def register(one: Registry) -> None:
        versions.append(one.register(bundle.root, model_name="race", by="me", gate=PASSED).version)

    threads = [threading.Thread(target=register, args=(one,)) for one in registries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [1, 1]
    assert len(registry.models("race")) == 1


def test_every_decision_is_kept_with_who_when_and_why(
    registry: Registry, new_bundle: NewBundle, settings: Settings
) -> None:
    bundle = new_bundle()
    registered = registry.register(bundle.root, model_name="history", by="engineer", gate=PASSED)
    assert registry.decisions("history", 1) == []
    steps: list[tuple[ApprovalStatus, str, str | None]] = [
        ("Approved", "Dr. A", "mean AUROC 0.82"),
        ("Rejected", "Dr. B", 'worse in women; "see" ä'),
        ("PendingManualApproval", "Dr. B", None),
        ("Approved", "Dr. A", ""),
    ]
    for done, (status, by, reason) in enumerate(steps, start=1):
        version = registry.set_approval("history", 1, status, by=by, reason=reason)
        assert (version.status, version.decided_by, version.reason) == (status, by, reason or None)
        decisions = registry.decisions("history", 1)
        expected = [(status, by, reason or None) for status, by, reason in steps[:done]]
        assert [(decision.status, decision.by, decision.reason) for decision in decisions] == expected
        assert decisions[-1].at == version.decided_at
    times = [decision.at for decision in registry.decisions("history", 1)]
    assert times == sorted(times)
    assert times[-1] - times[0] < timedelta(minutes=5)
    # Nothing that registration wrote was lost, here or for another process.
    fresh = Registry(settings).get("history", 1)
    assert (fresh.digest, fresh.registered_by, fresh.registered_at) == (
        bundle.digest,
        "engineer",
        registered.registered_at,
    )
    assert fresh.mean_auroc == bundle.manifest.mean_auroc
    assert fresh.status == "Approved"


def test_deployment_takes_the_newest_approved_version(registry: Registry, new_bundle: NewBundle) -> None:
    for _ in range(3):
        registry.register(new_bundle().root, model_name="choice", by="me", gate=PASSED)
    with pytest.raises(NotApprovedError, match=r"No version of choice is Approved\. .*--version 3`"):
        registry.approved("choice", None)
    registry.set_approval("choice", 1, "Approved", by="me", reason=None)
    registry.set_approval("choice", 2, "Approved", by="me", reason="two readers agreed")
    registry.set_approval("choice", 3, "Rejected", by="me", reason="no")
    assert registry.approved("choice", None).version == 2
    assert registry.approved("choice", 1).version == 1
    with pytest.raises(NotApprovedError, match=r"^choice version 3 is Rejected"):
        registry.approved("choice", 3)


def test_what_is_fetched_is_what_was_registered(registry: Registry, new_bundle: NewBundle, tmp_path: Path) -> None:
    bundle = new_bundle()
    registry.register(bundle.root, model_name="whole", by="me", gate=PASSED)
    (bundle.root / "model_card.md").write_text("changed after registration")
    copy = load_bundle(registry.fetch("whole", 1, tmp_path))
    assert copy.digest == bundle.digest
    assert copy.manifest == bundle.manifest
    assert copy.root.is_relative_to(tmp_path)


def test_an_altered_copy_in_the_registry_is_refused(
    registry: Registry, new_bundle: NewBundle, settings: Settings, tmp_path: Path
) -> None:
    bundle = new_bundle()
    registry.register(bundle.root, model_name="altered", by="me", gate=PASSED)
    stored = [
        path
        for path in (settings.home_dir / "mlflow" / "artifacts").rglob("model.json")
        if load_bundle(path.parent).digest == bundle.digest
    ]
    assert len(stored) == 1
    manifest = json.loads(stored[0].read_text())
    stored[0].write_text(json.dumps(manifest | {"mean_auroc": 0.99}))  # consistent in itself, but another bundle
    with pytest.raises(BundleError, match=r"The registry's copy of altered version 1 has the digest"):
        registry.fetch("altered", 1, tmp_path)


def test_a_bundle_that_is_not_whole_is_not_registered(registry: Registry, new_bundle: NewBundle) -> None:
    bundle = new_bundle()
    (bundle.root / "golden.png").unlink()
    with pytest.raises(BundleError, match=r"lacks golden\.png"):
        registry.register(bundle.root, model_name="broken", by="me", gate=PASSED)
    with pytest.raises(RegistryError, match="has no model broken"):
        registry.models("broken")


def test_what_is_not_there_is_answered_with_what_is(registry: Registry, new_bundle: NewBundle) -> None:
    registry.register(new_bundle().root, model_name="known", by="me", gate=PASSED)
    with pytest.raises(RegistryError, match=r"has no model unknown\. It has: .*known"):
        registry.models("unknown")
    with pytest.raises(RegistryError, match=r"known has no version 7\. It has: 1\."):
        registry.get("known", 7)
    with pytest.raises(RegistryError, match=r"known has no version 2\. It has: 1\."):
        registry.set_approval("known", 2, "Approved", by="me", reason=None)
    with pytest.raises(RegistryError, match=r"has no model unknown"):
        registry.decisions("unknown", 1)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 64, "a'b", "a/b"])
def test_model_names_follow_sagemakers_rule(registry: Registry, new_bundle: NewBundle, name: str) -> None:
    with pytest.raises(SettingsError, match=r"model .* is no name"):
        registry.register(new_bundle().root, model_name=name, by="me", gate=PASSED)
    with pytest.raises(SettingsError, match=r"model .* is no name"):
        registry.models(name)


def test_a_decision_needs_a_state_and_a_person(registry: Registry, new_bundle: NewBundle) -> None:
    registry.register(new_bundle().root, model_name="decided", by="me", gate=PASSED)
    with pytest.raises(SettingsError, match="status is 'approved'; expected one of PendingManualApproval, Approved"):
        registry.set_approval("decided", 1, "approved", by="me", reason=None)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="by is empty"):
        registry.set_approval("decided", 1, "Approved", by=" ", reason=None)
    assert registry.decisions("decided", 1) == []


def test_a_model_that_someone_else_keeps_in_mlflow_is_left_alone(registry: Registry) -> None:
    client = registry._client
    client.create_registered_model("foreign")
    client.create_model_version("foreign", source="s3://elsewhere/model", run_id=None)
    assert "foreign" not in {version.model_name for version in registry.models()}
    with pytest.raises(RegistryError, match=r"has no model foreign"):
        registry.models("foreign")


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


def against(champion: int, digest: str, **changes: object) -> GateVerdict:
    """A verdict that passed against a champion."""
    passed = {"outcome": "passed", "champion": champion, "champion_digest": digest, "rules": GateRules(), "reasons": []}
    return GateVerdict.model_validate(passed | {"checks": [CHECK]} | changes)


CHECK = {"scope": "mean", "difference": 0.01, "ci95": (0, 0.02), "margin": 0.01, "basis": "interval", "passed": True}


def test_the_verdict_is_kept_whole_and_in_values_that_sagemaker_has_room_for(
    registry: Registry, new_bundle: NewBundle, settings: Settings
) -> None:
    first = registry.register(new_bundle().root, model_name="gated", by="me", gate=PASSED)
    assert first.gate is not None
    assert (first.gate.outcome, first.gate.champion, first.gate.forced) == ("passed", None, None)
    champion = registry.set_approval("gated", 1, "Approved", by="me", reason=None)
    reasons = [f"finding {n} -0.100 (-0.200 to -0.050), margin 0.03" for n in range(20)]
    verdict = against(1, champion.digest, outcome="failed", reasons=reasons, forced="for a trial")
    second = registry.register(new_bundle().root, model_name="gated", by="me", gate=verdict)
    assert second.status == "PendingManualApproval"
    assert second.gate is not None
    assert (second.gate.outcome, second.gate.champion, second.gate.forced) == ("failed", 1, "for a trial")
    assert second.gate.reasons == tuple(reasons)
    assert second.gate.summary.startswith("failed against version 1: finding 0 -0.100")
    with sqlite3.connect(settings.home_dir / "mlflow" / "mlflow.db") as database:
        tags = dict(database.execute("SELECT key, value FROM model_version_tags WHERE name = 'gated' AND version = 2"))
    database.close()
    assert GateVerdict.model_validate_json(tags["gate_verdict"]) == verdict
    short = {name: value for name, value in tags.items() if name.startswith("gate_") and name != "gate_verdict"}
    assert set(short) == {"gate_outcome", "gate_champion", "gate_summary", "gate_forced"}
    assert max(map(len, short.values())) == 256


def test_what_did_not_pass_is_only_added_with_a_reason(registry: Registry, new_bundle: NewBundle) -> None:
    failed = judge_first(0.4, GateRules())
    with pytest.raises(GateError, match=r"failed: first version, mean AUROC 0\.400, the floor is 0\.5\. Give a reason"):
        registry.register(new_bundle().root, model_name="floor", by="me", gate=failed)
    forced = failed.model_copy(update={"forced": "x" * 257})
    with pytest.raises(SettingsError, match="the reason has 257 characters; at most 256"):
        registry.register(new_bundle().root, model_name="floor", by="me", gate=forced)
    assert registry.champion("floor") is None
    with pytest.raises(RegistryError, match="has no model floor"):
        registry.models("floor")


def test_a_verdict_against_an_older_champion_is_refused(registry: Registry, new_bundle: NewBundle) -> None:
    first = registry.register(new_bundle().root, model_name="overtaken", by="me", gate=PASSED)
    registry.set_approval("overtaken", 1, "Approved", by="me", reason=None)
    with pytest.raises(GateError, match=r"Another version of overtaken was approved in the meantime\. Run"):
        registry.register(new_bundle().root, model_name="overtaken", by="me", gate=PASSED)
    with pytest.raises(GateError, match="approved in the meantime"):
        registry.register(new_bundle().root, model_name="overtaken", by="me", gate=against(1, "0" * 64))
    added = registry.register(new_bundle().root, model_name="overtaken", by="me", gate=against(1, first.digest))
    assert added.version == 2


def test_approval_without_the_gates_pass_demands_a_reason(registry: Registry, new_bundle: NewBundle) -> None:
    first = registry.register(new_bundle().root, model_name="reasoned", by="me", gate=PASSED)
    registry.register(new_bundle().root, model_name="reasoned", by="me", gate=PASSED)
    registry.set_approval("reasoned", 1, "Approved", by="me", reason=None)
    with pytest.raises(GateError, match=r"version 2 was not compared with version 1, which is Approved\. .*--reason"):
        registry.set_approval("reasoned", 2, "Approved", by="me", reason="  ")
    unseen = not_run(1, first.digest, GateRules()).model_copy(update={"forced": "no data here"})
    registry.register(new_bundle().root, model_name="reasoned", by="me", gate=unseen)
    with pytest.raises(GateError, match=r"version 3 did not pass the gate \(not run against version 1: no data"):
        registry.set_approval("reasoned", 3, "Approved", by="me", reason=None)
    registry.set_approval("reasoned", 3, "Rejected", by="me", reason="unseen")
    assert registry.set_approval("reasoned", 3, "Approved", by="me", reason="compared by hand").status == "Approved"
    registry.register(new_bundle().root, model_name="reasoned", by="me", gate=against(3, _digest(registry, 3)))
    assert registry.set_approval("reasoned", 4, "Approved", by="me", reason=None).status == "Approved"


def _digest(registry: Registry, version: int) -> str:
    return registry.get("reasoned", version).digest


def test_a_version_from_before_the_gate_is_read_and_demands_a_reason(registry: Registry, new_bundle: NewBundle) -> None:
    registry.register(new_bundle().root, model_name="older", by="me", gate=PASSED)
    for tag in ("gate_verdict", "gate_outcome", "gate_champion", "gate_summary", "gate_forced"):
        registry._client.delete_model_version_tag("older", "1", tag)
    assert registry.get("older", 1).gate is None
    with pytest.raises(GateError, match="older version 1 was registered without the promotion gate"):
        registry.set_approval("older", 1, "Approved", by="me", reason=None)
    assert registry.set_approval("older", 1, "Approved", by="me", reason="in use for a year").status == "Approved"
