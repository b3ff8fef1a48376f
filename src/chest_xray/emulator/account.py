"""What the emulator's account holds from the start: bucket, role, image, and a user for the key that it hands out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from moto.iam.models import iam_backends

ACCOUNT: Final = "123456789012"
NAME: Final = "emulator"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/{NAME}"
REPOSITORY: Final = "chest-xray"
TAGS: Final = ("train", "serve")
_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"


def image_name(region: str, tag: str) -> str:
    """One of the project's images, as a request names it."""
    return f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{REPOSITORY}:{tag}"


def bucket_name(region: str) -> str:
    """As SageMaker's own tools name an account's bucket."""
    return f"sagemaker-{region}-{ACCOUNT}"


def furnish(connect: Callable[[str, str], Any], region: str, key: str) -> None:
    """Create it all, with the emulator's own clients. `key` is the user's access key id."""
    _make_bucket(connect("s3", region), region)
    iam = connect("iam", region)
    _make_role(iam)
    _make_user(iam, key)
    _push_images(connect("ecr", region))


def _make_bucket(s3: Any, region: str) -> None:
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket_name(region), **place)
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(
        Bucket=bucket_name(region), PublicAccessBlockConfiguration=dict.fromkeys(closed, True)
    )  # fmt: skip


def _make_role(iam: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=_everything())


def _make_user(iam: Any, key: str) -> None:
    iam.create_user(UserName=NAME)
    iam.put_user_policy(UserName=NAME, PolicyName=NAME, PolicyDocument=_everything())
    made = iam.create_access_key(UserName=NAME)["AccessKey"]["AccessKeyId"]
    # moto draws ids of a form that tells the account; ours is the one that the gate knows.
    user = iam_backends[ACCOUNT]["aws"].get_user(NAME)
    next(found for found in user.access_keys if found.access_key_id == made).access_key_id = key


def _push_images(ecr: Any) -> None:
    """Names in the registry: what an image runs is the emulator's to say."""
    ecr.create_repository(repositoryName=REPOSITORY)
    empty = {"mediaType": _MANIFEST_TYPE, "digest": f"sha256:{'0' * 64}", "size": 0}
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": empty, "layers": []}
    for tag in TAGS:
        ecr.put_image(
            repositoryName=REPOSITORY,
            imageManifest=json.dumps(manifest),
            imageManifestMediaType=_MANIFEST_TYPE,
            imageTag=tag,
        )


def _everything() -> str:
    return _policy({"Effect": "Allow", "Action": "*", "Resource": "*"})


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
