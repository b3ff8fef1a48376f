"""Where the steps run. `get_backend` is the only place that asks which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from chest_xray.errors import SettingsError

if TYPE_CHECKING:
    from chest_xray.backends.base import Backend, TrainingJobs
    from chest_xray.backends.checks import Check
    from chest_xray.settings import Settings


def get_backend(settings: Settings, options: Mapping[str, object] | None = None) -> Backend:
    """The backend that CXR_BACKEND names; `options` are those of SageMaker that a command was given.

    Raises:
        SettingsError: an option of SageMaker for this machine, or boto3 is not installed.
    """
    match settings.backend:
        case "local":
            _take_no_options(options)
            from chest_xray.backends.local.backend import LocalBackend

            return LocalBackend(settings)
        case "sagemaker":
            _need_boto3()
            from chest_xray.backends.sagemaker.backend import SageMakerBackend
            from chest_xray.settings import load_sagemaker_settings

            return SageMakerBackend(settings, load_sagemaker_settings(options))


def get_training_jobs(settings: Settings, options: Mapping[str, object] | None = None) -> TrainingJobs:
    """SageMaker's training jobs, whatever CXR_BACKEND says: this machine has none.

    Raises:
        SettingsError: boto3 is not installed.
    """
    _need_boto3()
    from chest_xray.backends.sagemaker.training import TrainingJobs as SageMakerJobs
    from chest_xray.settings import load_sagemaker_settings

    return SageMakerJobs(settings, load_sagemaker_settings(options))


def examine(settings: Settings, options: Mapping[str, object] | None = None) -> Iterator[Check]:
    """Look at what the backend of CXR_BACKEND needs, one thing after another; nothing is changed.

    Raises:
        SettingsError: boto3 is not installed, or an option cannot be used.
    """
    if settings.backend == "local":
        _take_no_options(options)
        from chest_xray.backends.local.doctor import examine as look

        return look(settings)
    _need_boto3()
    from chest_xray.backends.sagemaker.aws import Aws
    from chest_xray.backends.sagemaker.doctor.examine import examine as look_at_aws
    from chest_xray.settings import load_sagemaker_settings

    sagemaker = load_sagemaker_settings(options)
    return look_at_aws(Aws(sagemaker.region), sagemaker)


def _take_no_options(options: Mapping[str, object] | None) -> None:
    if options:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise SettingsError(f"{names} is for training on SageMaker: add --backend sagemaker, or leave it out.")


def _need_boto3() -> None:
    from importlib.util import find_spec

    if find_spec("boto3") is None:
        raise SettingsError("SageMaker needs boto3: pip install 'chest-xray-classifier[aws]'.")
