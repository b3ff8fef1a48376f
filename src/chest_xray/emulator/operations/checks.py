"""What AWS refuses in any request, and moto takes."""

from __future__ import annotations

from typing import Any, NoReturn

from moto.core.utils import get_service_model
from moto.sagemaker.exceptions import ValidationError

from chest_xray.emulator.storage import split_uri
from chest_xray.service_model import Fault, find_faults

_RULES = {
    "max": "Member must have {measure} less than or equal to {limit}",
    "min": "Member must have {measure} greater than or equal to {limit}",
    "pattern": "Member must satisfy regular expression pattern: {limit}",
    "enum": "Member must satisfy enum value set: {limit}",
}


def hold_to_service_model(operation: str, request: dict[str, Any]) -> None:
    """Refuse a request that breaks SageMaker's service model, in AWS's words.

    Raises:
        ValidationError: it does.
    """
    shape = get_service_model("sagemaker").operation_model(operation).input_shape
    faults = list(find_faults(shape, request))
    if faults:
        count = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected"
        raise ValidationError(message=f"{count}: {'; '.join(_in_aws_words(fault) for fault in faults[:10])}")


def _in_aws_words(fault: Fault) -> str:
    measure = "value" if isinstance(fault.value, int | float) else "length"
    limit = "[" + ", ".join(fault.limit) + "]" if fault.rule == "enum" else fault.limit
    path = ".".join(part[:1].lower() + part[1:] for part in fault.path.split("."))
    rule = _RULES[fault.rule].format(measure=measure, limit=limit)
    return f"Value '{str(fault.value)[:256]}' at '{path}' failed to satisfy constraint: {rule}"


def refuse(message: str) -> NoReturn:
    """Answer with a ValidationException."""
    raise ValidationError(message=message)


def check_bucket(place: str, storage: Any, region: str, job: str) -> None:
    """Refuse a place in S3 whose bucket is not there, or in another region than the job.

    Raises:
        ValidationError: it is.
    """
    bucket, _ = split_uri(place)
    try:
        where = storage.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"]
    except storage.exceptions.ClientError:
        refuse(f"The S3 bucket {bucket} of {place} does not exist or cannot be accessed.")
    if where != region:
        refuse(f"The S3 bucket {bucket} is in {where}; a {job} in {region} needs one in {region}.")
