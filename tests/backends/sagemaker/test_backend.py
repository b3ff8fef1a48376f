"""What `get_backend` gives for SageMaker, and what is refused there."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from chest_xray.backends import get_backend, get_training_jobs
from chest_xray.backends.base import Backend
from chest_xray.errors import SettingsError
from chest_xray.locations import S3Prefix, read_location
from chest_xray.settings import Settings

REFUSED: dict[str, Callable[[Backend], object]] = {
    "deploy": lambda backend: backend.deploy("lungs", version=1, endpoint="lungs"),
    "predict and serve": lambda backend: backend.predictor("lungs"),
}


@pytest.mark.parametrize("step", REFUSED)
def test_a_step_that_sagemaker_has_not_got_is_refused(step: str, tmp_path: Path) -> None:
    backend = get_backend(Settings(home=tmp_path, backend="sagemaker"))
    with pytest.raises(SettingsError, match=f"{step} runs on this machine only: set CXR_BACKEND=local"):
        REFUSED[step](backend)


def test_options_of_sagemaker_for_this_machine_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--use-spot, --instance-type is for SageMaker"):
        get_backend(Settings(home=tmp_path), {"use_spot": True, "instance_type": "ml.g5.xlarge"})


def test_shards_are_not_written_to_this_machine_from_there(tmp_path: Path) -> None:
    backend = get_backend(Settings(home=tmp_path, backend="sagemaker"))
    with pytest.raises(SettingsError, match=r"--output is \S+, a folder of this machine, and SageMaker writes to S3"):
        backend.prepare(S3Prefix("films", "in"), tmp_path, image_size=32, workers=None)
    with pytest.raises(SettingsError, match="--workers is for this machine"):
        backend.prepare(S3Prefix("films", "in"), S3Prefix("films", "out"), image_size=32, workers=1)
    with pytest.raises(SettingsError, match="s3://films/in, in S3: add --backend sagemaker"):
        get_backend(Settings(home=tmp_path)).prepare(S3Prefix("films", "in"), tmp_path, image_size=32, workers=1)
    for text in ("gs://films/in", "s3:///in"):
        with pytest.raises(SettingsError, match="s3://BUCKET/PREFIX"):
            read_location(text)


def test_without_boto3_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for make in (lambda: get_backend(Settings(backend="sagemaker")), lambda: get_training_jobs(Settings())):
        with pytest.raises(SettingsError, match=r"pip install 'chest-xray-classifier\[aws\]'"):
            make()
