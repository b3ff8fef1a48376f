"""What requests for jobs of every kind have in common."""

from __future__ import annotations

from chest_xray.errors import SettingsError
from chest_xray.settings import AwsSettings, JobSettings


def needed(name: str, value: str | None) -> str:
    """A setting without which there is no request.

    Raises:
        SettingsError: it is not set.
    """
    if value is None:
        variable = f"CXR_SAGEMAKER_{name.replace('-', '_').upper()}"
        raise SettingsError(f"SageMaker needs --{name} or {variable}; neither is set.")
    return value


def pairs(name: str, values: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE, one after the other.

    Raises:
        SettingsError: one has another form.
    """
    split = [value.partition("=") for value in values]
    for key, sign, _ in split:
        if not sign or not key:
            raise SettingsError(f"--{name} holds {key!r}; expected NAME=VALUE, separated by commas.")
    return {key: value for key, _, value in split}


def tags(settings: AwsSettings) -> list[dict[str, str]]:
    """A request's Tags."""
    return [{"Key": key, "Value": value} for key, value in pairs("tags", settings.tags).items()]


def vpc_config(settings: JobSettings) -> dict[str, list[str]] | None:
    """A request's VpcConfig; None where no VPC is set."""
    if not settings.subnets and not settings.security_groups:
        return None
    return {"Subnets": list(settings.subnets), "SecurityGroupIds": list(settings.security_groups)}
