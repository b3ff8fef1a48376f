"""AWS's rules for requests of every kind, held before anything is asked of AWS or copied to it.

First the service model's own limits (`service_model.py`), then what AWS says only in prose. Each rule is a function
that yields what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from chest_xray.backends.sagemaker.ecr import read_image
from chest_xray.errors import SettingsError
from chest_xray.service_model import find_faults

_BUCKET: Final = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

Request = Mapping[str, Any]


def refuse(found: Sequence[str]) -> None:
    """Refuse a request of which something is wrong.

    Raises:
        SettingsError: something is; the message names the first three.
    """
    if found:
        more = f" And {len(found) - 3} more." if len(found) > 3 else ""
        raise SettingsError(" ".join(found[:3]) + more)


def service_model(operation: str, request: Request) -> Iterator[str]:
    """Maxima, patterns, enumerations and lengths of the service model; then types and required members."""
    from botocore.validate import ParamValidator

    shape = _shape(operation)
    for fault in find_faults(shape, request):
        yield str(fault)
    report = ParamValidator().validate(dict(request), shape)
    if report.has_errors():
        yield " ".join(report.generate_report().split()) + "."


@cache
def _shape(operation: str) -> Any:
    from botocore.session import get_session

    return get_session().get_service_model("sagemaker").operation_model(operation).input_shape


def buckets_have_legal_names(places: Iterable[str]) -> Iterator[str]:
    """S3's rule, which SageMaker's pattern does not have."""
    for bucket in sorted({urlsplit(place).netloc for place in places}):
        if not _BUCKET.fullmatch(bucket):
            yield (
                f"{bucket!r} is no name of an S3 bucket: 3 to 63 small letters, digits, dots and hyphens. "
                "Give the name alone, without s3://."
            )


def tags_are_not_aws_own(request: Request) -> Iterator[str]:
    """Each key once, and none that AWS keeps for itself."""
    keys = [tag["Key"] for tag in request.get("Tags", ())]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"The tag {key} is given twice."
    for key in keys:
        if key.lower().startswith("aws:"):
            yield f"The tag {key} begins with aws:, which AWS keeps for itself."


def vpc_has_subnets_and_groups(vpc: Request | None) -> Iterator[str]:
    """Neither works without the other."""
    if vpc is not None and not (vpc.get("Subnets") and vpc.get("SecurityGroupIds")):
        yield "A VPC needs --subnets and --security-groups, both."


def keys_are_in_the_region(keys: Iterable[str], region: str) -> Iterator[str]:
    """A key's ARN names its region; a job uses keys of its own only."""
    for key in sorted(set(keys)):
        parts = key.split(":")
        if len(parts) > 3 and parts[3] != region:
            yield f"The KMS key {key} is in {parts[3]}, and the job in {region}: name a key of {region}."


def image_is_in_the_region(name: str, region: str) -> Iterator[str]:
    """A job's image comes from ECR in its region."""
    image = read_image(name)
    if image is None:
        yield f"The image is {name!r}; expected one in ECR: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG."
    elif image.region != region:
        yield f"The image {name} is in {image.region}, and the job in {region}: push it to ECR in {region}."
