"""Every registry: states, who decided, and nothing lost. Each test holds for MLflow and for SageMaker."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.backends.conftest import PASSED, NewBundle, against

from chest_xray.backends.base import ApprovalStatus
from chest_xray.backends.registry import ModelRegistry
from chest_xray.bundle import load_bundle
from chest_xray.errors import BundleError, GateError, NotApprovedError, RegistryError, SettingsError
from chest_xray.promotion.gate import GateRules, judge_first, not_run


def test_a_registered_bundle_waits_for_approval_and_keeps_its_origin(
    registry: ModelRegistry, new_bundle: NewBundle
) -> None:
    bundle = new_bundle()
    before = datetime.now(UTC)
    version = registry.register(bundle.root, model_name="origin", by="  Eva   Engineer ", gate=PASSED)
    assert (version.model_name, version.version, version.status) == ("origin", 1, "PendingManualApproval")
    assert (version.digest, version.mean_auroc) == (bundle.digest, bundle.manifest.mean_auroc)
    assert version.registered_by == "Eva Engineer"
    assert before <= version.registered_at <= datetime.now(UTC)
    assert (version.decided_by, version.decided_at, version.reason) == (None, None, None)


def test_versions_count_up_and_are_listed_newest_last(registry: ModelRegistry, new_bundle: NewBundle) -> None:
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
    registry: ModelRegistry, new_bundle: NewBundle, capsys: pytest.CaptureFixture[str]
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
    registry: ModelRegistry, another: ModelRegistry, new_bundle: NewBundle
) -> None:
    bundle = new_bundle()
    registries = [registry, another]
    versions: list[int] = []

    def register(one: ModelRegistry) -> None:
        versions.append(one.register(bundle.root, model_name="race", by="me", gate=PASSED).version)

    threads = [threading.Thread(target=register, args=(one,)) for one in registries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [1, 1]
    assert len(registry.models("race")) == 1


def test_every_decision_is_kept_with_who_when_and_why(
    registry: ModelRegistry, another: ModelRegistry, new_bundle: NewBundle
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
    fresh = another.get("history", 1)
    assert (fresh.digest, fresh.registered_by, fresh.registered_at) == (
        bundle.digest,
        "engineer",
        registered.registered_at,
    )
    assert fresh.mean_auroc == bundle.manifest.mean_auroc
    assert fresh.status == "Approved"


def test_deployment_takes_the_newest_approved_version(registry: ModelRegistry, new_bundle: NewBundle) -> None:
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


def test_what_is_fetched_is_what_was_registered(registry: ModelRegistry, new_bundle: NewBundle, tmp_path: Path) -> None:
    bundle = new_bundle()
    registry.register(bundle.root, model_name="whole", by="me", gate=PASSED)
    (bundle.root / "model_card.md").write_text("changed after registration")
    copy = load_bundle(registry.fetch("whole", 1, tmp_path))
    assert copy.digest == bundle.digest
    assert copy.manifest == bundle.manifest
    assert copy.root.is_relative_to(tmp_path)


def test_a_bundle_that_is_not_whole_is_not_registered(registry: ModelRegistry, new_bundle: NewBundle) -> None:
    bundle = new_bundle()
    (bundle.root / "golden.png").unlink()
    with pytest.raises(BundleError, match=r"lacks golden\.png"):
        registry.register(bundle.root, model_name="broken", by="me", gate=PASSED)
    with pytest.raises(RegistryError, match="has no model broken"):
        registry.models("broken")


def test_what_is_not_there_is_answered_with_what_is(registry: ModelRegistry, new_bundle: NewBundle) -> None:
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
def test_model_names_follow_sagemakers_rule(registry: ModelRegistry, new_bundle: NewBundle, name: str) -> None:
    with pytest.raises(SettingsError, match=r"model .* is no name"):
        registry.register(new_bundle().root, model_name=name, by="me", gate=PASSED)
    with pytest.raises(SettingsError, match=r"model .* is no name"):
        registry.models(name)


def test_a_decision_needs_a_state_and_a_person(registry: ModelRegistry, new_bundle: NewBundle) -> None:
    registry.register(new_bundle().root, model_name="decided", by="me", gate=PASSED)
    with pytest.raises(SettingsError, match="status is 'approved'; expected one of PendingManualApproval, Approved"):
        registry.set_approval("decided", 1, "approved", by="me", reason=None)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="by is empty"):
        registry.set_approval("decided", 1, "Approved", by=" ", reason=None)
    assert registry.decisions("decided", 1) == []


def test_the_verdict_is_kept_whole(registry: ModelRegistry, new_bundle: NewBundle) -> None:
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


def test_what_did_not_pass_is_only_added_with_a_reason(registry: ModelRegistry, new_bundle: NewBundle) -> None:
    failed = judge_first(0.4, GateRules())
    with pytest.raises(GateError, match=r"failed: first version, mean AUROC 0\.400, the floor is 0\.5\. Give a reason"):
        registry.register(new_bundle().root, model_name="floor", by="me", gate=failed)
    forced = failed.model_copy(update={"forced": "x" * 257})
    with pytest.raises(SettingsError, match="the reason has 257 characters; at most 256"):
        registry.register(new_bundle().root, model_name="floor", by="me", gate=forced)
    assert registry.champion("floor") is None
    with pytest.raises(RegistryError, match="has no model floor"):
        registry.models("floor")


def test_a_verdict_against_an_older_champion_is_refused(registry: ModelRegistry, new_bundle: NewBundle) -> None:
    first = registry.register(new_bundle().root, model_name="overtaken", by="me", gate=PASSED)
    registry.set_approval("overtaken", 1, "Approved", by="me", reason=None)
    with pytest.raises(GateError, match=r"Another version of overtaken was approved in the meantime\. Run"):
        registry.register(new_bundle().root, model_name="overtaken", by="me", gate=PASSED)
    with pytest.raises(GateError, match="approved in the meantime"):
        registry.register(new_bundle().root, model_name="overtaken", by="me", gate=against(1, "0" * 64))
    added = registry.register(new_bundle().root, model_name="overtaken", by="me", gate=against(1, first.digest))
    assert added.version == 2


def test_approval_without_the_gates_pass_demands_a_reason(registry: ModelRegistry, new_bundle: NewBundle) -> None:
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


def _digest(registry: ModelRegistry, version: int) -> str:
    return registry.get("reasoned", version).digest
