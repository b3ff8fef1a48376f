"""Every check in turn, each with its answer whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from chest_xray.backends.checks import Check
from chest_xray.backends.sagemaker.aws import was_denied
from chest_xray.backends.sagemaker.doctor.account import check_clock, check_credentials, check_quota
from chest_xray.backends.sagemaker.doctor.network import check_network
from chest_xray.backends.sagemaker.doctor.permissions import check_caller, check_role, check_role_may
from chest_xray.backends.sagemaker.doctor.places import check_bucket, check_image, check_key
from chest_xray.errors import CloudError, SettingsError

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.aws import Aws
    from chest_xray.settings import SageMakerSettings

Look = Callable[["Aws", "SageMakerSettings"], tuple[str, str]]
# All others need these, and each costs half a minute where AWS cannot be reached.
_FIRST: Final[Mapping[str, Look]] = {"credentials": check_credentials, "clock": check_clock}
_OTHERS: Final[Mapping[str, Look]] = {
    "your permissions": check_caller,
    "role": check_role,
    "role's permissions": check_role_may,
    "bucket": check_bucket,
    "KMS key": check_key,
    "image": check_image,
    "network": check_network,
    "quota": check_quota,
}


def examine(aws: Aws, settings: SageMakerSettings) -> Iterator[Check]:
    """Look at all that a training job with these settings needs; each check as soon as it is made."""
    try:
        yield Check("region", "ok", aws.region)
    except SettingsError as error:
        yield Check("region", "failed", str(error))
        return
    for name, look in _FIRST.items():
        yield (check := _answer(name, look, aws, settings))
        if check.state == "failed":
            return
    for name, look in _OTHERS.items():
        yield _answer(name, look, aws, settings)


def _answer(name: str, look: Look, aws: Aws, settings: SageMakerSettings) -> Check:
    try:
        found, wrong = look(aws, settings)
    except CloudError as error:
        # Who may not look may still be allowed to train.
        return Check(name, "unknown" if was_denied(error) else "failed", str(error))
    except SettingsError as error:
        return Check(name, "failed", str(error))
    return Check(name, "failed" if wrong else "ok", found, wrong)
