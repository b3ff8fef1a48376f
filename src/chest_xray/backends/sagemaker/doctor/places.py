"""The bucket, the key and the image that a job names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chest_xray.backends.sagemaker.ecr import read_image
from chest_xray.backends.sagemaker.store import Store
from chest_xray.errors import SettingsError

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.aws import Aws
    from chest_xray.settings import SageMakerSettings


def needed(name: str, value: str | None) -> str:
    """The value of a setting that has no default.

    Raises:
        SettingsError: it is not set.
    """
    if value is None:
        raise SettingsError(f"Give --{name}, or set CXR_SAGEMAKER_{name.upper()}.")
    return value


def check_bucket(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """It is there, in the job's region, and closed to the public."""
    bucket = needed("bucket", settings.bucket)
    Store(aws, bucket, settings.prefix, settings.kms_key).check_bucket()
    if _is_closed(aws, bucket):
        return f"{bucket}, in {aws.region}, closed to the public", ""
    return f"{bucket}, in {aws.region}", "Block all public access to it: aws s3api put-public-access-block."


def _is_closed(aws: Aws, bucket: str) -> bool:
    from botocore.exceptions import ClientError

    def ask(s3: Any) -> bool:
        try:
            found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration":
                return False
            raise
        return all(found.values())

    closed: bool = aws.patiently("s3", ask)
    return closed


def check_key(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """It is enabled, where one is set."""
    if settings.kms_key is None:
        return "none set: S3 and the disks use AWS's own keys", ""
    found = aws.call("kms", "describe_key", KeyId=settings.kms_key)["KeyMetadata"]
    if found["KeyState"] == "Enabled":
        return f"{found['Arn']}, enabled", ""
    return f"{found['Arn']}, {found['KeyState']}", "Enable it, or name another with --kms-key."


def check_image(aws: Aws, settings: SageMakerSettings) -> tuple[str, str]:
    """It was pushed to ECR in the job's region."""
    name = needed("image", settings.image)
    image = read_image(name)
    if image is None:
        return name, "Name an image in ECR: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG."
    if image.region != aws.region:
        return f"{name}, in {image.region}", f"Push it to ECR in {aws.region}, where the job runs."
    which = {"imageDigest": image.digest} if image.digest else {"imageTag": image.tag or "latest"}
    found = aws.call(
        "ecr", "describe_images", registryId=image.account, repositoryName=image.repository, imageIds=[which]
    )["imageDetails"][0]
    return f"{name}, pushed {found['imagePushedAt']:%Y-%m-%d}, {found['imageDigest'][:19]}", ""
