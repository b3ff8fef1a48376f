"""The journey on an account: prepare on two instances, train on spot, evaluate, register, approve."""

from pathlib import Path

from tests.integration.account import Account

from chest_xray.training.run import RunFolder

FLAGS = ("--epochs", "1", "--batch-size", "16", "--learning-rate", "0.002")


def test_from_films_to_an_approved_package(account: Account, tmp_path: Path) -> None:
    cxr, shards, run = account.cxr, f"s3://{account.bucket}/{account.run}/shards", tmp_path / "run"
    cxr("doctor", "--backend", "sagemaker", "--instance-type", "ml.m5.large", "--use-spot")
    cxr("phantom", tmp_path / "films", "--images", "200", "--size", "128")
    cxr("prepare-data", "--source", tmp_path / "films", "--output", tmp_path / "here", "--image-size", "32")
    there = ("--backend", "sagemaker", "--instance-type", "ml.m5.large")
    cxr(
        "prepare-data", *there, "--instance-count", "2", "--volume-gb", "10", "--source", tmp_path / "films",
        "--output", shards, "--image-size", "32",
    )  # fmt: skip
    name = f"{account.run}-train"
    cxr(
        "train", *there, "--use-spot", "--max-hours", "0.5", "--volume-gb", "10", "--job-name", name, "--data", shards,
        "--output", run, *FLAGS,
    )  # fmt: skip
    cxr("evaluate", "--run", run, "--data", shards, "--rounds", "200")
    copied = next((account.home / "data").glob("*/dataset.json"))
    assert copied.read_bytes() == (tmp_path / "here" / "dataset.json").read_bytes()
    cxr("export", "--run", run, "--data", shards)
    registry = ("--backend", "sagemaker")
    cxr(
        "register", *registry, "--bundle", run / "bundle", "--model-name", account.run, "--force", "an integration test"
    )  # fmt: skip
    cxr("approve", account.run, *registry, "--version", "1", "--reason", "an integration test")
    assert "Approved" in cxr("models", account.run, *registry)
    assert RunFolder(run).record().best_epoch == 1
    account.delete_everything()
    assert account.objects() == []
