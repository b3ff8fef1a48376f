"""Who asks, by what clock, and how many instances the account may have."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chest_xray.backends.sagemaker.aws import Aws
    from chest_xray.settings import SageMakerSettings

# A signature is valid for five minutes around its time: AWS General Reference, Signature Version 4.
MOST_SECONDS_OFF: Final = 300.0


def check_credentials(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """They are accepted."""
    del settings
    return str(aws.call("sts", "get_caller_identity")["Arn"]), ""


def check_clock(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """This machine's clock agrees with AWS's, whose answers carry the time in whole seconds."""
    del settings
    headers = aws.call("sts", "get_caller_identity")["ResponseMetadata"]["HTTPHeaders"]
    off = (datetime.now(UTC) - parsedate_to_datetime(headers["date"])).total_seconds()
    found = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} AWS's"
    if abs(off) < MOST_SECONDS_OFF / 5:
        return found, ""
    return found, f"Set this machine's clock: AWS refuses requests that are {MOST_SECONDS_OFF:.0f} s off."


def check_quota(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """The account may have as many instances of the type as are asked for."""
    kind = "spot training" if settings.use_spot else "training"
    wanted = f"{settings.instance_type} for {kind} job usage"
    value = next((quota["Value"] for quota in _quotas(aws) if quota["QuotaName"] == wanted), None)
    if value is None:
        return f"there is no quota {wanted!r}", f"Take an instance type that SageMaker has in {aws.region}."
    found = f"{wanted}: {value:.0f}, asked for {settings.instance_count}"
    if value >= settings.instance_count:
        return found, ""
    return found, f"Ask for a higher quota of that name: Service Quotas, Amazon SageMaker, in {aws.region}."


def _quotas(aws: Aws) -> Iterator[dict[str, Any]]:
    """The account's own values first; those that nobody has raised have only AWS's default."""
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        request: dict[str, Any] = {"ServiceCode": "sagemaker", "MaxResults": 100}
        while True:
            page = aws.call("service-quotas", operation, **request)
            yield from page["Quotas"]
            if not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]
