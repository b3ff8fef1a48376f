"""Where the steps run. `get_backend` is the only place that asks which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from chest_xray.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from chest_xray.backends.base import Backend, Preparer, TrainingJobs
    from chest_xray.backends.checks import Check
    from chest_xray.locations import S3Prefix
    from chest_xray.settings import Settings


def get_backend(
    settings: Settings,
    options: Mapping[str, object] | None = None,
    processing: Mapping[str, object] | None = None,
    hosting: Mapping[str, object] | None = None,
) -> Backend:
    """The backend that CXR_BACKEND names.

    Args:
        settings: those of this machine.
        options: those of SageMaker's training that a command was given.
        processing: the same of its processing.
        hosting: the same of its registry and endpoints.

    Raises:
        SettingsError: an option of SageMaker for this machine, or boto3 is not installed.
    """
    match settings.backend:
        case "local":
            _take_no_options({**(options or {}), **(processing or {}), **(hosting or {})})
            from chest_xray.backends.local.backend import LocalBackend

            return LocalBackend(settings)
        case "sagemaker":
            _need_boto3()
            from chest_xray.backends.sagemaker.backend import SageMakerBackend
            from chest_xray.settings import load_hosting_settings, load_processing_settings, load_sagemaker_settings

            return SageMakerBackend(
                settings,
                load_sagemaker_settings(options),
                load_processing_settings(processing),
                load_hosting_settings(hosting),
            )


def get_training_jobs(settings: Settings, options: Mapping[str, object] | None = None) -> TrainingJobs:
    """SageMaker's training jobs, whatever CXR_BACKEND says: this machine has none.

    Raises:
        SettingsError: boto3 is not installed.
    """
    _need_boto3()
    from chest_xray.backends.sagemaker.training.jobs import TrainingJobs as SageMakerJobs
    from chest_xray.settings import load_sagemaker_settings

    return SageMakerJobs(settings, load_sagemaker_settings(options))


def get_preparer(options: Mapping[str, object] | None = None) -> Preparer:
    """SageMaker's preparation of films, whatever CXR_BACKEND says.

    Raises:
        SettingsError: boto3 is not installed, or an option cannot be used.
    """
    _need_boto3()
    from chest_xray.backends.sagemaker.processing.preparer import Preparer as SageMakerPreparer
    from chest_xray.settings import load_processing_settings

    return SageMakerPreparer(load_processing_settings(options))


def local_copy(place: S3Prefix, settings: Settings) -> Path:
    """Prepared data of S3 on this machine, copied once below CXR_HOME.

    Raises:
        SettingsError: boto3 is not installed.
        DataError: the prefix holds no prepared data.
        CloudError: it cannot be read.
    """
    _need_boto3()
    from chest_xray.backends.sagemaker.aws import Aws
    from chest_xray.backends.sagemaker.datasets import fetch_dataset
    from chest_xray.backends.sagemaker.store import Store
    from chest_xray.settings import load_sagemaker_settings

    store = Store(Aws(load_sagemaker_settings().region), place.bucket, "", None)
    return fetch_dataset(store, place, settings.home_dir / "data")


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
        raise SettingsError(f"{names} is for SageMaker: add --backend sagemaker, or leave it out.")


def _need_boto3() -> None:
    from importlib.util import find_spec

    if find_spec("boto3") is None:
        raise SettingsError("SageMaker needs boto3: pip install 'chest-xray-classifier[aws]'.")
