"""The images of docker/Dockerfile, built and run: the same Dockerfile on a base of debootstrap's."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.built_images import REVISION, build, buildah, cannot_build, reference, storage_variables
from tests.support.bundles import film, png, write_bundle
from tests.support.containers import Running, image, mounted_images, running
from tests.support.emulators import wait_until
from tests.support.nih_folders import write_nih_folder
from tests.support.processes import environment, run_cxr

import chest_xray
from chest_xray.backends.sagemaker.training.request import METRICS
from chest_xray.container import USER
from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.emulator.runtime import Images
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.training.run import RunFolder

pytestmark = [
    pytest.mark.image,
    pytest.mark.slow,
    pytest.mark.skipif(cannot_build() is not None, reason=f"{cannot_build()}"),
]
COMPILERS = {"as", "c++", "cc", "clang", "g++", "gcc", "gfortran", "ld", "make", "rustc"}
OPTIONS = {"epochs": "2", "batch_size": "8", "checkpoint_steps": "2", "learning_rate": "0.002"}


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    with mounted_images("serve", "train") as opened:
        yield opened


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_nih_folder(folder / "nih", patients=24, films=3)
    prepare_data(folder / "nih", folder / "shards", image_size=32, workers=1)
    return folder / "shards"


@pytest.fixture
def opt_ml() -> Iterator[Path]:
    """Root's, with mode 0755, as SageMaker's; pytest's own folders are for one user."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "ml").mkdir(mode=0o755)
        yield Path(name) / "ml"


@pytest.mark.parametrize("target", ["serve", "train"])
def test_what_an_image_says_of_itself(target: str) -> None:
    config = json.loads(buildah("inspect", "--type", "image", build(target)))["OCIv1"]["config"]
    assert config["Entrypoint"] == ["/opt/cxr/bin/python", "-m", "chest_xray.container"]
    assert config["Cmd"] == [target]
    assert "User" not in config
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == chest_xray.__version__
    assert labels["org.opencontainers.image.revision"] == REVISION
    assert labels.get("com.amazonaws.sagemaker.capabilities.accept-bind-to-port") == (
        "true" if target == "serve" else None
    )
    assert not [pair for pair in config["Env"] if pair.startswith("PIP_")]


@pytest.mark.parametrize("target", ["serve", "train"])
def test_what_an_image_holds(images: Images, target: str) -> None:
    root = image(images, target).root
    programs = {
        path.name for folder in ("usr/bin", "usr/local/bin", "bin", "opt/cxr/bin") for path in (root / folder).glob("*")
    }
    assert not programs & COMPILERS
    libraries = {path.name for path in root.glob("opt/cxr/lib/python3*/site-packages/*")}
    assert "pip" not in libraries
    assert ("torch" in libraries) == (target == "train")
    assert not list(root.glob("build")) + list(root.glob("opt/package/tests"))
    if target == "serve":
        used = subprocess.run(
            ["du", "--summarize", "--block-size=1M", str(root)], capture_output=True, text=True, check=True
        )
        assert int(used.stdout.split()[0]) <= 600


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def answers(url: str, started: Running) -> bool:
    assert started.container.exit_code() is None, started.lines
    try:
        return httpx.get(f"{url}/ping").status_code == 200
    except httpx.TransportError:
        return False


def test_serve_answers_with_the_numbers_of_this_process(images: Images, opt_ml: Path) -> None:
    bundle = write_bundle(opt_ml / "model").root
    port = free_port()
    with running(images, "serve", "serve", opt_ml, SAGEMAKER_BIND_TO_PORT=str(port)) as started:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url, started))
        body = png(film())
        answer = httpx.post(f"{url}/invocations", content=body, headers={"content-type": "image/png"}).json()
        assert status(started)["Uid"] == [str(USER)] * 4
        assert status(started)["Gid"] == [str(USER)] * 4
        assert status(started)["Groups"] == []
        assert status(started)["NSpid"][-1] == "1"
        assert started.stop() == 0
    here = OnnxPredictor.load(bundle).predict(body)
    assert [row["finding"] for row in answer["findings"]] == [score.finding for score in here.findings]
    assert [row["probability"] for row in answer["findings"]] == pytest.approx(
        [score.probability for score in here.findings], abs=1e-6
    )


def status(started: Running) -> dict[str, list[str]]:
    """/proc's status of the container's first process."""
    pid = started.container.pid
    child = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    lines = [line.split(":", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines()]
    return {name: value.split() for name, value in lines}


def shell(images: Images, opt_ml: Path, script: str, *, isolated: bool = False) -> tuple[int, list[str]]:
    """Exit code and lines of a shell in the image of `serve`."""
    entry = ("/bin/sh", "-c", script)
    with running(images, "serve", "serve", opt_ml, entry=entry, isolated=isolated, ASKED="for") as started:
        return started.wait(), started.lines


def test_a_container_writes_where_it_may_and_sees_what_it_should(images: Images, opt_ml: Path) -> None:
    script = "touch /opt/ml/mine /tmp/mine /dev/shm/mine; echo $$ $ASKED $HOME; pwd; touch /mine /opt/package/mine"
    code, lines = shell(images, opt_ml, script)
    assert code != 0
    assert lines[:2] == ["1 for /tmp", "/"]
    assert [line.rsplit(": ", 1)[-1] for line in lines[2:]] == ["Read-only file system"] * 2
    assert (opt_ml / "mine").is_file()


def test_an_isolated_container_has_its_own_loopback_alone(images: Images, opt_ml: Path) -> None:
    count = "grep -c : /proc/net/dev"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        connect = (
            f"/opt/cxr/bin/python -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}))' 2>/dev/null"
        )
        assert shell(images, opt_ml, f"{connect} && echo open") == (0, ["open"])
        assert shell(images, opt_ml, f"{connect} || echo closed", isolated=True) == (0, ["closed"])
    assert shell(images, opt_ml, count, isolated=True) == (0, ["1"])


def test_a_command_that_is_not_there_is_127(images: Images, opt_ml: Path) -> None:
    with running(images, "serve", "serve", opt_ml, entry=("/absent",)) as started:
        assert started.wait() == 127
    assert started.lines == ["container: /absent: No such file or directory"]


def test_the_image_without_torch_does_not_train(images: Images, opt_ml: Path) -> None:
    with running(images, "serve", "train", opt_ml) as started:
        assert started.wait() == 2
    assert [line for line in started.lines if "no torch" in line] == started.lines


def write_job(opt_ml: Path, data: Path) -> None:
    (opt_ml / "input" / "config").mkdir(parents=True)
    (opt_ml / "input" / "config" / "hyperparameters.json").write_text(json.dumps(OPTIONS))
    shutil.copytree(data, opt_ml / "input" / "data" / "shards")


def test_train_stops_at_sigterm_and_goes_on_to_the_same_weights(images: Images, data: Path, opt_ml: Path) -> None:
    write_job(opt_ml, data)
    run = RunFolder(opt_ml)
    with running(images, "train", "train", opt_ml, OMP_NUM_THREADS="1") as started:
        wait_until(
            lambda: started.container.exit_code() is not None or any("epoch=1" in line for line in started.lines)
        )
        assert started.stop() == 130, started.lines
    assert started.lines[-1].startswith("Stopped at step ")
    assert not run.weights.exists()
    with running(images, "train", "train", opt_ml, OMP_NUM_THREADS="1") as started:
        assert started.wait() == 0, started.lines
    assert any(line.startswith("Going on from step") for line in started.lines)
    assert run.record().git_revision == REVISION
    left = [path for name in ("model", "output", "checkpoints") for path in (opt_ml / name).rglob("*")]
    assert {path.stat().st_uid for path in left} == {USER}
    trained = train_here(data, opt_ml.parent)
    assert run.weights.read_bytes() == trained.weights.read_bytes()


def train_here(data: Path, folder: Path) -> RunFolder:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    done = run_cxr("train", "--data", data, "--output", folder / "here", *options, home=folder / "home")
    assert done.returncode == 0, done.stderr
    return RunFolder(folder / "here")


def test_a_failure_of_train_is_written_down(images: Images, opt_ml: Path) -> None:
    with running(images, "train", "train", opt_ml) as started:
        assert started.wait() == 1
    reason = (opt_ml / "output" / "failure").read_text()
    assert "input/data/shards" in reason
    assert f"error: {reason}" in started.lines


@pytest.fixture
def exported(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of an emulator whose training image is the built one."""
    env = (
        environment() | storage_variables() | {"CXR_HOME": str(tmp_path / "home"), "CXR_SAGEMAKER_POLL_SECONDS": "0.5"}
    )
    env |= {"CXR_SAGEMAKER_ENVIRONMENT": "OMP_NUM_THREADS=1", "OMP_NUM_THREADS": "1"}
    options = ["emulator", "--background", f"--image=chest-xray=buildah:{reference('train')}"]
    started = subprocess.run(cxr(*options), env=env, capture_output=True, text=True, timeout=60, check=False)
    assert started.returncode == 0, started.stderr
    lines = [line.removeprefix("export ").split("=", 1) for line in started.stdout.splitlines() if line[0] != "#"]
    env |= {name: value.strip("'") for name, value in lines}
    yield env
    subprocess.run(cxr("emulator", "stop"), env=env, capture_output=True, timeout=60, check=False)


def cxr(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "chest_xray.cli", *map(str, arguments)]


def test_the_journey_over_the_image_ends_in_the_same_weights(
    images: Images, exported: dict[str, str], data: Path, tmp_path: Path
) -> None:
    shards = prepare_there(data.parent / "nih", exported)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    spot = ("--backend=sagemaker", "--instance-type=ml.g4dn.xlarge", "--use-spot", f"--data={shards}")
    command = cxr("train", *spot, f"--output={tmp_path / 'cloud'}", "--job-name=journey", *options)
    process = subprocess.Popen(command, env=exported, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if "epoch=1 " in line:
            reclaim = subprocess.run(
                cxr("emulator", "reclaim", "journey"), env=exported, capture_output=True, check=False
            )
            break
    _, rest = process.communicate(timeout=300)
    assert process.returncode == 0, "".join(lines) + rest
    assert reclaim.returncode == 0, reclaim.stderr
    assert "Going on from step" in rest
    here = train_here(data, tmp_path)
    assert RunFolder(tmp_path / "cloud").weights.read_bytes() == here.weights.read_bytes()
    check_metrics(rest, job(exported))


def prepare_there(films: Path, exported: dict[str, str]) -> str:
    """Films copied to S3 and prepared on two instances; where their shards are."""
    bucket = exported["CXR_SAGEMAKER_BUCKET"]
    script = (
        "import boto3, sys; from pathlib import Path; s3 = boto3.client('s3'); root = Path(sys.argv[1]); "
        "[s3.upload_file(str(p), sys.argv[2], f'nih/{p.relative_to(root)}') for p in root.rglob('*') if p.is_file()]"
    )
    subprocess.run([sys.executable, "-c", script, films, bucket], env=exported, check=True)
    places = (f"--source=s3://{bucket}/nih", f"--output=s3://{bucket}/shards")
    command = cxr("prepare-data", "--backend=sagemaker", *places, "--instance-count=2", "--image-size=32")
    done = subprocess.run(command, env=exported, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return f"s3://{bucket}/shards"


def job(exported: dict[str, str]) -> dict[str, Any]:
    script = (
        "import boto3, json; found = boto3.client('sagemaker').describe_training_job(TrainingJobName='journey'); "
        "print(json.dumps(found, default=str))"
    )
    done = subprocess.run([sys.executable, "-c", script], env=exported, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def check_metrics(said: str, found: dict[str, Any]) -> None:
    """Every MetricDefinition was found in the container's own log, with the last epoch's value."""
    last = re.findall(r"epoch=2 .*", said)[-1]
    values = {item["MetricName"]: item["Value"] for item in found["FinalMetricDataList"]}
    assert values == {name: float(re.search(regex, last).group(1)) for name, regex in METRICS.items()}
