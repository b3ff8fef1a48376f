"""Training: the same weights to the bit after kill -9, SIGTERM or a full disk; refusals; what a run leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.nih_folders import write_nih_folder
from tests.support.processes import ROOT, environment

from chest_xray.data.prepare.prepare import prepare_data
from chest_xray.data.shards import Shards
from chest_xray.errors import SettingsError, TrainingError
from chest_xray.mlflow_store import configure_mlflow
from chest_xray.settings import Settings
from chest_xray.training.checkpoint import load_checkpoint, save_checkpoint
from chest_xray.training.config import TrainConfig
from chest_xray.training.learner import Learner
from chest_xray.training.loader import Loader, epoch_order
from chest_xray.training.recipe import learning_rate_factor, positive_weights, training_normalisation
from chest_xray.training.run import RunFolder
from chest_xray.training.train import train

OPTIONS = {"epochs": 2, "batch_size": 8, "checkpoint_steps": 2, "learning_rate": 0.002}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_nih_folder(folder / "nih", patients=24, films=3)
    prepare_data(folder / "nih", folder / "shards", image_size=32, workers=1, validation_fraction=0.2)
    return folder / "shards"


def start(data: Path, run: Path, home: Path, **changes: object) -> subprocess.Popen[str]:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in {**OPTIONS, **changes}.items()]
    command = [sys.executable, "-m", "chest_xray.cli", "train", f"--data={data}", f"--output={run}", *options]
    env = environment() | {"CXR_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=300)
    return process.returncode, err


@pytest.fixture(scope="module")
def whole(data: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    code, err = finish(start(data, run, home))
    assert code == 0, err
    return run


def wait_for(lines: Iterator[str], pattern: str) -> None:
    seen = []
    for line in lines:
        seen.append(line)
        if re.search(pattern, line):
            return
    pytest.fail(f"never saw {pattern!r} in {''.join(seen)}")


@pytest.mark.slow
def test_weights_are_the_same_to_the_bit_after_kills(data: Path, home: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    for pattern in (r"Epoch 1/2: 24/", r"epoch=1 "):
        process = start(data, run, home)
        wait_for(process.stderr, pattern)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = start(data, run, home)
    wait_for(process.stderr, r"Epoch 2/2: ")
    process.send_signal(signal.SIGTERM)
    code, err = finish(process)
    assert code == 130
    assert "the same command goes on from there" in err
    code, err = finish(start(data, run, home))
    assert code == 0, err
    assert "Going on from step" in err
    assert RunFolder(run).weights.read_bytes() == RunFolder(whole).weights.read_bytes()
    record = RunFolder(run).record()
    assert record.history == RunFolder(whole).record().history
    points = configure_mlflow(Settings(home=home)).get_metric_history(record.mlflow_run, "train_loss")
    assert {point.step: point.value for point in points} == {row.epoch: row.train_loss for row in record.history}
    assert not list(run.rglob("*.part"))


@pytest.mark.slow
def test_a_finished_run_is_recorded(data: Path, home: Path, whole: Path) -> None:
    record = RunFolder(whole).record()
    shards = Shards.open(data)
    assert record.data_hash == shards.data_hash
    assert record.findings == shards.findings
    assert [row.epoch for row in record.history] == [1, 2]
    assert record.versions["torch"] == torch.__version__
    assert RunFolder(whole).output.joinpath("curves.png").read_bytes().startswith(b"\x89PNG")
    client = configure_mlflow(Settings(home=home))
    found = client.get_run(record.mlflow_run)
    assert found.info.status == "FINISHED"
    assert found.data.params["data_hash"] == shards.data_hash
    assert found.data.params["learning_rate"] == "0.002"
    curve = [metric.value for metric in client.get_metric_history(record.mlflow_run, "train_loss")]
    assert curve == [row.train_loss for row in record.history]
    artifacts = {item.path for item in client.list_artifacts(record.mlflow_run)}
    assert artifacts == {"curves.png", "weights.safetensors", "training.json"}


@pytest.mark.slow
def test_a_second_run_skips_and_another_is_refused(data: Path, home: Path, whole: Path) -> None:
    before = RunFolder(whole).weights.stat().st_mtime_ns
    code, err = finish(start(data, whole, home))
    assert (code, "nothing to do" in err) == (0, True)
    assert RunFolder(whole).weights.stat().st_mtime_ns == before
    code, err = finish(start(data, whole, home, learning_rate=0.01))
    assert code == 2
    assert err.strip().splitlines() == [
        f"error: {whole} was started with learning_rate=0.002, this is 0.01. Use another --output, or delete it."
    ]


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_no_half_written_file(data: Path, home: Path, tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes the kernel refuse the checkpoint's bytes as a full disk does."""
    run = tmp_path / "full"
    script = (
        "import resource, signal, sys\n"
        "from chest_xray.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, 8_000_000))\n"
        "main(sys.argv[1:])\n"
    )
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    command = [sys.executable, "-c", script, "train", f"--data={data}", f"--output={run}", *options]
    env = environment() | {"CXR_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "disk is full" in done.stderr
    assert [path.name for path in run.rglob("*") if path.is_file()] == ["run.lock"]


def test_two_trainings_do_not_share_a_folder(data: Path, home: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.alone(), pytest.raises(TrainingError, match=r"Another cxr command works in .*run"):
        train(data, folder.root, TrainConfig(**OPTIONS), Settings(home=home))
    assert sorted(path.name for path in folder.root.iterdir()) == ["run.lock"]


def learner(data: Path, **changes: object) -> Learner:
    return Learner(Shards.open(data), TrainConfig(**{**OPTIONS, **changes}), Settings())


@pytest.mark.slow
def test_a_finished_run_takes_the_shards_of_its_findings_alone(data: Path, whole: Path) -> None:
    record, shards = RunFolder(whole).record(), Shards.open(data)
    record.check_shards(shards, whole, "Evaluate with its own.")
    record.model_copy(update={"findings": ()}).check_shards(shards, whole, "Evaluate with its own.")
    other = record.model_copy(update={"findings": ("Opacity", "Device")})
    with pytest.raises(TrainingError, match=r"for Opacity, Device, .* Atelectasis, .* Evaluate with its own"):
        other.check_shards(shards, whole, "Evaluate with its own.")
    shards.data_hash = "0" * 64
    with pytest.raises(TrainingError, match=r"was trained on data \w{12}, .* is 000000000000. Evaluate with its own"):
        record.check_shards(shards, whole, "Evaluate with its own.")


def test_a_checkpoint_of_other_data_or_settings_is_refused(data: Path, tmp_path: Path) -> None:
    first = learner(data)
    state = first.state()
    save_checkpoint(tmp_path, state)
    with pytest.raises(TrainingError, match=r"was started with seed=0, this is 1"):
        learner(data, seed=1).restore(load_checkpoint(tmp_path) or {}, tmp_path)
    state["identity"] = state["identity"] | {"data_hash": "0" * 64}
    with pytest.raises(TrainingError, match=r"was trained on data 000000000000, these are"):
        learner(data).restore(state, tmp_path)
    others = {"data_hash": first.shards.data_hash, "findings": ["Opacity", "Device"]}
    state["identity"] = state["identity"] | others
    with pytest.raises(TrainingError, match=r"was trained for Opacity, Device, these are Atelectasis, "):
        learner(data).restore(state, tmp_path)


def test_a_checkpoint_from_before_findings_were_in_it_goes_on(data: Path, tmp_path: Path) -> None:
    state = learner(data).state()
    del state["identity"]["findings"]
    state["progress"]["step_in_epoch"] = 3
    going_on = learner(data)
    going_on.restore(state, tmp_path)
    assert going_on.step == 3


def test_a_torn_checkpoint_is_one_clear_error(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    save_checkpoint(tmp_path, {"x": torch.arange(10_000)})
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    for content in (b"", b"\x80", whole[: len(whole) // 2]):
        (tmp_path / "checkpoint.pt").write_bytes(content)
        with pytest.raises(TrainingError, match=r"cannot be read. Delete it to train from the start"):
            load_checkpoint(tmp_path)


def test_the_network_learns(data: Path) -> None:
    """Twelve steps on one batch bring its loss down by half: gradients reach the weights that are used."""
    net = learner(data, rotation_degrees=0, scale=0, shift=0, contrast=0, brightness=0, epochs=4)
    batch = next(Loader(net.shards).batches(epoch_order(net.train_rows, 8, seed=0, epoch=0)))
    losses = []
    for _ in range(12):
        losses.append(net.train_step(batch))
        net.at.step_in_epoch += 1
    assert losses[-1] < 0.5 * losses[0]


def test_the_averaged_network_follows_its_formula(data: Path) -> None:
    net = learner(data, ema_decay=0.5)
    batch = next(Loader(net.shards).batches(epoch_order(net.train_rows, 8, seed=0, epoch=0)))
    net.train_step(batch)
    first = net.model.classifier.weight.detach().clone()
    net.at.step_in_epoch += 1
    net.train_step(batch)
    second = net.model.classifier.weight.detach()
    expected = first + (second - first) * (1 - 2 / 11)  # decay (1 + n) / (10 + n) after n = 1 update
    torch.testing.assert_close(net.averaged_weights()["classifier.weight"], expected)


def test_every_image_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    rows = np.arange(100, 133)
    first, again = (epoch_order(rows, 8, seed=1, epoch=0) for _ in range(2))
    other = epoch_order(rows, 8, seed=1, epoch=1)
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in again]
    assert np.concatenate(first).tolist() != np.concatenate(other).tolist()
    assert [len(batch) for batch in first] == [8, 8, 8, 8]
    assert len(set(np.concatenate(first))) == 32


def test_the_loader_gives_what_the_shards_hold(data: Path) -> None:
    shards = Shards.open(data)
    order = epoch_order(shards.rows("train"), 4, seed=0, epoch=0)
    for rows, batch in zip(order, Loader(shards).batches(order), strict=True):
        np.testing.assert_array_equal(batch.images[:, 0].numpy(), shards.read(rows))
        np.testing.assert_array_equal(batch.labels.numpy(), shards.labels[rows])


def test_normalisation_is_that_of_all_training_pixels(data: Path) -> None:
    shards = Shards.open(data)
    rows = shards.rows("train")
    pixels = shards.read(rows).astype(np.float64) / 255
    found = training_normalisation(shards, rows)
    assert (found.mean, found.std) == pytest.approx((pixels.mean(), pixels.std()), abs=1e-5)


def test_positive_weights_are_negatives_over_positives_within_the_cap() -> None:
    labels = np.zeros((100, 3), dtype=np.uint8)
    labels[:20, 0] = 1
    labels[:80, 1] = 1
    assert positive_weights(labels, cap=10.0) == [4.0, 1.0, 10.0]


def test_learning_rate_warms_up_then_falls_to_nothing() -> None:
    factors = [learning_rate_factor(step, 100, 0.1) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_hyperparameters_arrive_as_strings() -> None:
    config = TrainConfig.from_hyperparameters({"epochs": "3", "learning-rate": "1e-4", "init": "none"})
    assert (config.epochs, config.learning_rate) == (3, 1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": "0"}, r"hyperparameter epochs is '0'"),
        ({"lr": "1"}, r"'lr' is no hyperparameter. Known: init, epochs"),
        ({"precision": "fp8"}, r"hyperparameter precision is 'fp8'"),
    ],
)
def test_bad_hyperparameters_are_one_clear_error(values: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        TrainConfig.from_hyperparameters(values)
    assert "\n" not in str(error.value)


def test_too_few_images_are_refused(data: Path) -> None:
    with pytest.raises(TrainingError, match=r"do not fill a batch of 4096. Lower --batch-size"):
        learner(data, batch_size=4096)


def test_a_loss_that_is_not_finite_stops_training(data: Path) -> None:
    net = learner(data)
    with torch.no_grad():
        net.model.classifier.bias.fill_(float("nan"))
    batch = next(Loader(net.shards).batches(epoch_order(net.train_rows, 8, seed=0, epoch=0)))
    with pytest.raises(TrainingError, match=r"the loss is nan at step 0. Lower --learning-rate"):
        net.train_step(batch)


@pytest.mark.slow
def test_the_container_entry_trains_under_opt_ml(data: Path, home: Path, whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "ml"
    (root / "input/config").mkdir(parents=True)
    (root / "input/data").mkdir()
    (root / "input/data/shards").symlink_to(data)
    config = root / "input/config"
    config.joinpath("hyperparameters.json").write_text(json.dumps({k: str(v) for k, v in OPTIONS.items()}))
    command = [sys.executable, "-m", "chest_xray.training.container", f"--root={root}"]
    env = environment() | {"CXR_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert RunFolder(root).weights.read_bytes() == RunFolder(whole).weights.read_bytes()
    assert not (root / "output/failure").exists()
    config.joinpath("hyperparameters.json").write_text('{"epochs": "many"}')
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert (root / "output/failure").read_text().startswith("hyperparameter epochs is 'many'")
