"""Deployment on this machine: only approved models, never half a deployment."""

import json
import shutil
import signal
from pathlib import Path

import pytest
from filelock import FileLock
from tests.support.bundles import film, known_outputs, png, write_bundle
from tests.support.endpoints import deploy_folder
from tests.support.processes import run_python

from chest_xray import lock
from chest_xray.backends import get_backend
from chest_xray.backends.local.endpoints import RECORD, Endpoints
from chest_xray.bundle import Golden, load_bundle
from chest_xray.errors import BundleError, EndpointError, NotApprovedError, SettingsError
from chest_xray.findings import FINDINGS
from chest_xray.prediction import ModelIdentity
from chest_xray.settings import Settings

# MLflow's tracking store uses a SQLAlchemy option that SQLAlchemy 2.1 warns of.
KILLED = """
import os, signal, sys
from pathlib import Path
from chest_xray.backends.local import endpoints
from tests.support.endpoints import deploy_folder

home, bundle, step, when = sys.argv[1:]
original = getattr(endpoints, step)

def killed(*args):
    if when == "after":
        original(*args)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(endpoints, step, killed)
deploy_folder(Path(home), Path(bundle), endpoint="clinic", version=2)
"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four different bundles."""
    folder = tmp_path_factory.mktemp("bundles")
    return [write_bundle(folder / str(n), mean_auroc=0.70 + 0.01 * n).root for n in range(4)]


def copies(home: Path) -> set[str]:
    return {path.name for path in (home / "endpoints" / "clinic").iterdir() if path.is_dir()}


def test_from_registration_to_prediction(tmp_path: Path, bundles: list[Path]) -> None:
    backend = get_backend(Settings(home=tmp_path / "home"))
    first = backend.register(bundles[0], model_name="chest-xray-v1", by="engineer")
    second = backend.register(bundles[1], model_name="chest-xray-v1", by="engineer")
    with pytest.raises(
        NotApprovedError,
        match=r"No version .* version 2 is PendingManualApproval.*`cxr approve chest-xray-v1 --version 2`",
    ):
        backend.deploy("chest-xray-v1", version=None, endpoint="clinic")
    with pytest.raises(EndpointError, match=r"Endpoint clinic does not exist\. Nothing is deployed\. .*`cxr deploy"):
        backend.predictor("clinic")

    backend.set_approval("chest-xray-v1", 1, "Approved", by="radiologist", reason="good")
    deployed = backend.deploy("chest-xray-v1", version=None, endpoint="clinic")
    assert deployed.model == ModelIdentity(name="chest-xray-v1", version=1, digest=first.digest)
    predictor = backend.predictor("clinic")
    assert predictor.identity == deployed.model
    pixels = film(9)
    expected = known_outputs(pixels).cam[FINDINGS.index("Mass")]
    prediction = predictor.predict(png(pixels), explain=["Mass"])
    assert prediction.heat_maps["Mass"] == pytest.approx(expected, abs=1e-5)
    assert prediction.model == deployed.model

    with pytest.raises(NotApprovedError, match=r"^chest-xray-v1 version 2 is PendingManualApproval"):
        backend.deploy("chest-xray-v1", version=2, endpoint="clinic")
    backend.set_approval("chest-xray-v1", 2, "Approved", by="radiologist", reason="seen")
    assert backend.deploy("chest-xray-v1", version=None, endpoint="clinic").model.version == 2
    assert backend.predictor("clinic").identity.digest == second.digest
    assert backend.deploy("chest-xray-v1", version=1, endpoint="clinic").model.version == 1

    backend.set_approval("chest-xray-v1", 1, "Rejected", by="radiologist", reason="worse")
    with pytest.raises(NotApprovedError, match="version 1 is Rejected"):
        backend.deploy("chest-xray-v1", version=1, endpoint="clinic")
    assert backend.predictor("clinic").identity.version == 1


@pytest.mark.parametrize(
    ("step", "when", "answers"),
    [
        ("_install", "before", 1),
        ("_install", "after", 1),
        ("_load", "after", 1),
        ("_switch", "before", 1),
        ("_switch", "after", 2),
        ("_remove_old", "after", 1),
    ],
)
def test_a_deployment_killed_at_any_step_leaves_an_endpoint_that_answers(
    tmp_path: Path, bundles: list[Path], step: str, when: str, answers: int
) -> None:
    home = tmp_path / "home"
    deploy_folder(home, bundles[0], endpoint="clinic", version=1)
    killed = run_python(KILLED, home, bundles[1], step, when)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    predictor = Endpoints(home / "endpoints").predictor("clinic")
    assert predictor.identity.version == answers
    assert predictor.identity.digest == load_bundle(bundles[answers - 1]).digest
    # The next deployment goes through and clears what the killed one left.
    deploy_folder(home, bundles[2], endpoint="clinic", version=3)
    assert Endpoints(home / "endpoints").predictor("clinic").identity.version == 3
    assert copies(home) == {load_bundle(bundles[index]).digest for index in (answers - 1, 2)}


def test_a_kill_in_the_middle_of_the_copy_leaves_no_half_bundle_in_place(tmp_path: Path, bundles: list[Path]) -> None:
    home = tmp_path / "home"
    deploy_folder(home, bundles[0], endpoint="clinic")
    killed = run_python(
        """
import os, shutil, signal, sys
from pathlib import Path
from chest_xray.prediction import ModelIdentity
from chest_xray.backends.local.endpoints import Endpoints
from chest_xray.bundle import load_bundle

home, bundle = map(Path, sys.argv[1:])
def fetch(folder):
    (folder / "bundle").mkdir()
    shutil.copy2(bundle / "model.json", folder / "bundle")
    os.kill(os.getpid(), signal.SIGKILL)
Endpoints(home / "endpoints").deploy("clinic", ModelIdentity("tiny", 2, load_bundle(bundle).digest), fetch)
""",
        home,
        bundles[1],
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert load_bundle(bundles[1]).digest not in copies(home)
    assert Endpoints(home / "endpoints").predictor("clinic").identity.version == 1


def test_the_copy_before_is_kept_and_older_ones_go(tmp_path: Path, bundles: list[Path]) -> None:
    digests = [load_bundle(bundle).digest for bundle in bundles]
    for version, bundle in enumerate(bundles, start=1):
        deploy_folder(tmp_path, bundle, endpoint="clinic", version=version)
    assert copies(tmp_path) == set(digests[2:])
    deploy_folder(tmp_path, bundles[3], endpoint="clinic", version=4)
    assert copies(tmp_path) == set(digests[2:])


def test_two_endpoints_do_not_touch_each_other(tmp_path: Path, bundles: list[Path]) -> None:
    deploy_folder(tmp_path, bundles[0], endpoint="clinic", version=1)
    deploy_folder(tmp_path, bundles[1], endpoint="research", version=2)
    endpoints = Endpoints(tmp_path / "endpoints")
    assert [endpoints.predictor(name).identity.version for name in ("clinic", "research")] == [1, 2]
    with pytest.raises(EndpointError, match=r"Endpoint ward does not exist\. Deployed: clinic, research"):
        endpoints.read("ward")


def test_a_bundle_that_fails_on_its_golden_film_does_not_replace_the_one_that_answers(
    tmp_path: Path, bundles: list[Path]
) -> None:
    deploy_folder(tmp_path / "home", bundles[0], endpoint="clinic", version=1)
    broken = write_bundle(tmp_path / "broken", golden=Golden(logits=(9.0,) * 14)).root
    with pytest.raises(BundleError, match="golden film"):
        deploy_folder(tmp_path / "home", broken, endpoint="clinic", version=2)
    assert Endpoints(tmp_path / "home" / "endpoints").predictor("clinic").identity.version == 1


def test_failed_deployments_leave_no_copies(tmp_path: Path, bundles: list[Path]) -> None:
    deployed = deploy_folder(tmp_path, bundles[0], endpoint="clinic", version=1)
    digests = [load_bundle(bundle).digest for bundle in bundles]
    endpoints = Endpoints(tmp_path / "endpoints")

    def full_disk(folder: Path) -> Path:
        (folder / "bundle").mkdir()
        shutil.copy2(bundles[1] / "model.onnx", folder / "bundle")
        raise OSError(28, "No space left on device")

    def altered(folder: Path) -> Path:
        copy = Path(shutil.copytree(bundles[1], folder / "bundle"))
        (copy / "model_card.md").write_text("altered")
        return copy

    for fetch, error in ((full_disk, OSError), (altered, BundleError)):
        with pytest.raises(error):
            endpoints.deploy("clinic", ModelIdentity("tiny", 2, digests[1]), fetch)
        assert copies(tmp_path) == {deployed.model.digest}
    assert endpoints.predictor("clinic").identity.version == 1


def test_a_deployment_first_makes_room(tmp_path: Path, bundles: list[Path]) -> None:
    """What killed deployments left goes before the next copy comes, so that a full disk can be got out of."""
    deployed = deploy_folder(tmp_path, bundles[0], endpoint="clinic", version=1)
    (tmp_path / "endpoints" / "clinic" / ".staging-killed" / "bundle").mkdir(parents=True)

    def fetch(folder: Path) -> Path:
        assert copies(tmp_path) == {deployed.model.digest, folder.name}
        return Path(shutil.copytree(bundles[1], folder / "bundle"))

    model = ModelIdentity("tiny", 2, load_bundle(bundles[1]).digest)
    assert Endpoints(tmp_path / "endpoints").deploy("clinic", model, fetch).model == model


def test_a_bundle_other_than_the_models_is_refused(tmp_path: Path, bundles: list[Path]) -> None:
    model = ModelIdentity(name="tiny", version=1, digest=load_bundle(bundles[0]).digest)
    endpoints = Endpoints(tmp_path / "endpoints")
    with pytest.raises(BundleError, match="has the digest"):
        endpoints.deploy("clinic", model, lambda folder: Path(shutil.copytree(bundles[1], folder / "bundle")))
    with pytest.raises(EndpointError, match="does not exist"):
        endpoints.read("clinic")


def test_an_altered_copy_is_refused_and_mended_by_deploying_again(tmp_path: Path, bundles: list[Path]) -> None:
    deployed = deploy_folder(tmp_path, bundles[0], endpoint="clinic")
    (deployed.bundle / "model_card.md").write_text("altered")
    with pytest.raises(BundleError, match=r"model_card\.md was changed"):
        Endpoints(tmp_path / "endpoints").predictor("clinic")
    deploy_folder(tmp_path, bundles[0], endpoint="clinic")
    assert Endpoints(tmp_path / "endpoints").predictor("clinic").identity.version == 1
    assert copies(tmp_path) == {deployed.model.digest}


@pytest.mark.parametrize("text", ["", "{", '{"format": "cxr-endpoint/2"}', '{"digest": "../../x"}'])
def test_a_record_that_cannot_be_read_is_one_line(tmp_path: Path, bundles: list[Path], text: str) -> None:
    deploy_folder(tmp_path, bundles[0], endpoint="clinic")
    (tmp_path / "endpoints" / "clinic" / RECORD).write_text(text)
    with pytest.raises(EndpointError, match=r"endpoint\.json cannot be read"):
        Endpoints(tmp_path / "endpoints").read("clinic")


def test_a_record_cannot_lead_out_of_its_endpoint(tmp_path: Path, bundles: list[Path]) -> None:
    deploy_folder(tmp_path, bundles[0], endpoint="clinic")
    path = tmp_path / "endpoints" / "clinic" / RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | {"digest": "../" * 10 + "etc"}))
    with pytest.raises(EndpointError, match=r"endpoint\.json cannot be read"):
        Endpoints(tmp_path / "endpoints").read("clinic")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-a", "a-", "a_b", "a" * 64, "ä", "a\n"])
def test_names_follow_sagemakers_rule(tmp_path: Path, bundles: list[Path], name: str) -> None:
    with pytest.raises(SettingsError, match=r"endpoint .* is no name"):
        deploy_folder(tmp_path, bundles[0], endpoint=name)
    assert not (tmp_path / "endpoints").exists()


def test_one_deployment_at_a_time(tmp_path: Path, bundles: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    deploy_folder(tmp_path, bundles[0], endpoint="clinic")
    with (
        FileLock(tmp_path / "endpoints" / "clinic" / "deploy.lock"),
        pytest.raises(EndpointError, match="Another deployment to clinic is under way"),
    ):
        deploy_folder(tmp_path, bundles[1], endpoint="clinic")
    assert deploy_folder(tmp_path, bundles[1], endpoint="clinic", version=2).model.version == 2
