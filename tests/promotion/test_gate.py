"""The promotion gate: which challengers become candidates, and what is said of the others."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image
from tests.support.bundles import SIZE, graph, write_bundle
from tests.support.nih_folders import row, write_csv
from tests.support.processes import run_cxr

from chest_xray.backends import get_backend
from chest_xray.backends.base import Backend
from chest_xray.bundle import Bundle, Interval
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.errors import GateError, SettingsError
from chest_xray.evaluation.comparison.results import (
    ComparedBundle,
    Comparison,
    Difference,
    GroupComparison,
    MeanDifference,
)
from chest_xray.promotion.gate import GateRules, GateVerdict, judge, judge_first, not_run, refusal, shortened
from chest_xray.settings import Settings

RULES = GateRules()


def difference(value: float, ci95: Interval | None, cases: int = 500) -> Difference:
    return Difference(positives=cases, negatives=5000, a=0.8, b=0.8 + value, difference=value, ci95=ci95, p=0.5)


def mean(value: float | None, ci95: Interval | None, cases: int = 500) -> MeanDifference:
    b = None if value is None else 0.8 + value
    return MeanDifference(
        positives=cases, negatives=5000, a=0.8, b=b, difference=value, ci95=ci95, p=0.5, findings=[], left_out={}
    )


def comparison(
    whole: MeanDifference,
    findings: dict[str, Difference] | None = None,
    groups: dict[str, MeanDifference] | None = None,
) -> Comparison:
    sides = [ComparedBundle(name=n, digest=n * 64, image_size=224, data_hash="d" * 64) for n in "ab"]
    rows = [
        GroupComparison(kind="sex", group=group, images=900, patients=300, mean=row, findings={})
        for group, row in (groups or {}).items()
    ]
    return Comparison(
        a=sides[0],
        b=sides[1],
        label_version="v2020",
        images=5500,
        patients=2000,
        rounds=2000,
        seed=0,
        fewest_cases=10,
        mean=whole,
        findings=findings or {},
        groups=rows,
        groups_left_out={"view AP": "no finding has 10 images of each class"},
        notes=["a note"],
    )


def judged(
    whole: MeanDifference,
    findings: dict[str, Difference] | None = None,
    groups: dict[str, MeanDifference] | None = None,
) -> GateVerdict:
    return judge(comparison(whole, findings, groups), 3, RULES)


EQUAL = mean(0.0, (-0.004, 0.004))


def test_a_challenger_that_is_shown_to_be_not_worse_passes() -> None:
    verdict = judged(mean(-0.002, (-0.009, 0.005)), {"Mass": difference(-0.01, (-0.029, 0.009))})
    assert (verdict.outcome, verdict.reasons) == ("passed", [])
    assert [(check.scope, check.basis, check.margin) for check in verdict.checks] == [
        ("mean", "interval", 0.01),
        ("Mass", "interval", 0.03),
    ]
    assert (verdict.champion, verdict.champion_digest, verdict.data_hash) == (3, "a" * 64, "d" * 64)
    assert verdict.summary == (
        "passed against version 3: mean -0.002 (-0.009 to +0.005), margin 0.01; 2 checks; 1 not judged"
    )
    assert verdict.notes == ["a note"]


def test_the_lower_end_of_a_narrow_interval_decides_and_not_its_middle() -> None:
    verdict = judged(mean(-0.004, (-0.011, 0.003)))
    assert verdict.outcome == "failed"
    assert verdict.reasons == ["mean -0.004 (-0.011 to +0.003), margin 0.01"]


def test_where_the_interval_is_too_wide_to_show_anything_the_estimate_decides_and_it_is_said() -> None:
    wide = judged(mean(-0.009, (-0.04, 0.02)))
    assert (wide.outcome, wide.checks[0].basis) == ("passed", "estimate")
    assert "1 checks, 1 of them on the estimate alone" in wide.summary
    assert judged(mean(-0.0101, (-0.04, 0.02))).outcome == "failed"


def test_one_common_finding_that_is_worse_is_enough_to_fail() -> None:
    verdict = judged(EQUAL, {"Mass": difference(0.05, (0.03, 0.07)), "Effusion": difference(-0.05, (-0.06, -0.04))})
    assert verdict.reasons == ["Effusion -0.050 (-0.060 to -0.040), margin 0.03"]


def test_one_group_of_patients_that_is_worse_is_enough_to_fail() -> None:
    verdict = judged(EQUAL, {}, {"F": mean(-0.05, (-0.06, -0.04)), "M": mean(0.05, (0.04, 0.06))})
    assert verdict.outcome == "failed"
    assert verdict.summary == "failed against version 3: sex F -0.050 (-0.060 to -0.040), margin 0.03"


def test_what_has_too_few_images_is_not_judged_and_named() -> None:
    verdict = judged(EQUAL, {"Hernia": difference(-0.3, (-0.5, -0.1), cases=29)}, {"F": mean(-0.3, None, cases=12)})
    assert verdict.outcome == "passed"
    assert verdict.not_judged == {
        "view AP": "no finding has 10 images of each class",
        "Hernia": "29 images with, 5000 without; 30 of each needed",
        "sex F": "12 images with, 5000 without; 30 of each needed",
    }
    assert judged(EQUAL, {"Hernia": difference(-0.3, (-0.5, -0.1), cases=30)}).outcome == "failed"


def test_a_mean_that_cannot_be_judged_is_no_pass() -> None:
    assert judged(mean(None, None)).reasons == [
        "the mean cannot be judged: 500 images with, 5000 without; 30 of each needed"
    ]
    assert judged(mean(0.1, (0.05, 0.15), cases=20)).outcome == "failed"


def test_the_first_version_is_held_to_the_floor() -> None:
    rules = GateRules(floor=0.7)
    assert judge_first(0.7, rules).outcome == "passed"
    assert judge_first(0.699, rules).reasons == ["mean AUROC 0.699, the floor is 0.7"]
    assert judge_first(None, rules).reasons == ["it has no mean AUROC, the floor is 0.7"]


def test_long_reasons_are_cut_where_they_are_shown() -> None:
    verdict = not_run(2, "a" * 64, RULES).model_copy(update={"reasons": [f"reason {n}" for n in range(99)]})
    assert refusal(verdict) == "reason 0; reason 1; reason 2; and 96 more"
    assert len(verdict.summary) == 256
    assert shortened("x" * 256) == "x" * 256


# From here on: real registry, real graphs. The tiny graph follows brightness, and so do these films' labels.


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 films of 100 patients, all of the test list; films with Edema are brighter."""
    folder = tmp_path_factory.mktemp("source") / "nih"
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    rows, names = [], []
    for number in range(202):
        name, ill = f"{number:08d}_000.png", number % 3 == 0
        pixels = np.clip(rng.normal(110 + 4 * ill, 4) + rng.normal(0, 20 + 30 * (number % 7), (SIZE, SIZE)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / name)
        rows.append(row(name, "Edema" if ill else "No Finding", number // 2, sex="FM"[number // 2 % 2]))
        names.append(name)
    write_csv(folder, rows)
    (folder / "test_list.txt").write_text("\n".join(names[:200]) + "\n")
    (folder / "train_val_list.txt").write_text("\n".join(names[200:]) + "\n")
    prepare_data(folder, folder.parent / "shards", image_size=SIZE, workers=1)
    return folder.parent / "shards"


def blind_graph() -> bytes:
    """The tiny graph turned round: what is bright was ill and now is well."""
    model = graph()
    (weights,) = [tensor for tensor in model.graph.initializer if tensor.name == "weights"]
    weights.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weights), "weights"))
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("champion") / "bundle", mean_auroc=0.71)


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("equal") / "bundle", mean_auroc=0.72)


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("worse") / "bundle", onnx_bytes=blind_graph(), mean_auroc=0.99)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, champion: Bundle) -> Path:
    """A home whose registry has an Approved version 1 of `chest-xray`."""
    folder = tmp_path_factory.mktemp("home")
    backend = get_backend(Settings(home=folder))
    backend.register(champion.root, model_name="chest-xray", by="me")
    backend.set_approval("chest-xray", 1, "Approved", by="me", reason=None)
    return folder


@pytest.fixture
def backend(home: Path) -> Backend:
    return get_backend(Settings(home=home))


def test_a_challenger_without_data_is_refused_with_what_to_do(backend: Backend, equal: Bundle) -> None:
    with pytest.raises(GateError, match=r"^chest-xray version 1 is Approved, .* --data SHARDS, or --force REASON"):
        backend.register(equal.root, model_name="chest-xray", by="me")
    assert len(backend.models("chest-xray")) == 1


def test_a_worse_challenger_is_not_registered_whatever_its_own_figures_say(
    backend: Backend, worse: Bundle, shards: Path
) -> None:
    with pytest.raises(GateError, match=r"^This bundle is not registered: against chest-xray version 1 .*mean -0\.\d+"):
        backend.register(worse.root, model_name="chest-xray", by="me", data=[shards])
    assert len(backend.models("chest-xray")) == 1


def test_the_champion_registered_again_is_its_own_version(backend: Backend, champion: Bundle) -> None:
    assert backend.register(champion.root, model_name="chest-xray", by="me").version == 1


def test_a_reason_that_is_none_is_refused(backend: Backend, equal: Bundle) -> None:
    for force in ("", "  ", "x" * 257):
        with pytest.raises(SettingsError, match=r"--force has \d+ characters; a reason of 1 to 256 is expected"):
            backend.register(equal.root, model_name="chest-xray", by="me", force=force)


def test_a_first_version_below_the_floor_is_refused(home: Path, equal: Bundle) -> None:
    strict = get_backend(Settings(home=home, gate_floor=0.8))
    with pytest.raises(GateError, match=r"first version of other: mean AUROC 0\.720, the floor is 0\.8 \(CXR_GATE_FL"):
        strict.register(equal.root, model_name="other", by="me")
    forced = strict.register(equal.root, model_name="other", by="me", force="  only  for a trial ")
    assert forced.gate is not None
    assert (forced.gate.outcome, forced.gate.champion, forced.gate.forced) == ("failed", None, "only for a trial")


@pytest.mark.slow
def test_the_gate_through_the_commands(home: Path, equal: Bundle, worse: Bundle, shards: Path, tmp_path: Path) -> None:
    """Last in this file: it adds versions."""
    added = run_cxr("register", "--bundle", equal.root, "--by", "me", "--data", shards, "--json", home=home)
    assert added.returncode == 0, added.stderr
    (version,) = json.loads(added.stdout)
    assert (version["version"], version["status"]) == (2, "PendingManualApproval")
    assert (version["gate"]["outcome"], version["gate"]["champion"]) == ("passed", 1)
    assert version["gate"]["summary"].startswith("passed against version 1: mean +0.000 (+0.000 to +0.000)")
    refused = run_cxr("register", "--bundle", worse.root, "--by", "me", "--data", shards, home=home)
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines()[-1].startswith("error: This bundle is not registered")
    reason = ("--force", "readers want to see it")
    forced = run_cxr("register", "--bundle", worse.root, "--by", "me", "--data", shards, *reason, home=home)
    assert forced.returncode == 0, forced.stderr
    approval = run_cxr("approve", "chest-xray", "--version", 3, "--by", "me", home=home)
    assert approval.returncode == 2
    assert "version 3 did not pass the gate (failed against version 1: mean -0." in approval.stderr
    listed = run_cxr("models", "chest-xray", home=home).stdout
    assert "passed, version 1" in listed
    assert "forced" in listed
    out = tmp_path / "compared"
    done = run_cxr("compare", "chest-xray:1", worse.root, "--data", shards, "--output", out, "--json", home=home)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["verdict"].startswith("B is worse than A: mean AUROC 0.")
    assert answer["findings"]["Edema"]["difference"] < -0.3
    assert json.loads((out / "comparison.json").read_text())["a"]["name"] == "chest-xray:1"
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")
