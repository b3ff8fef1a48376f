"""Between a container's folders and the emulator's S3, as SageMaker copies them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import Any, BinaryIO
from urllib.parse import urlsplit


class MissingDataError(Exception):
    """An input of a job that is not in S3. The text is AWS's."""


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/some/key` -> `bucket`, `some/key`."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


class Storage:
    """One region's S3."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def download(self, source: Mapping[str, Any], folder: Path, *, part: int = 0, parts: int = 1) -> None:
        """Fetch an S3DataSource into `folder`; a share of it where it is `ShardedByS3Key`.

        Raises:
            MissingDataError: there is nothing under its S3Uri.
        """
        bucket, prefix = split_uri(source["S3Uri"])
        try:
            if source["S3DataType"] == "ManifestFile":
                named = list(self._manifest(bucket, prefix))
            else:
                named = [(bucket, key, _name_below(prefix, key)) for key in self.keys(bucket, prefix)]
        except self._client.exceptions.ClientError as error:
            raise MissingDataError(_nothing_under(source["S3Uri"])) from error
        if not named:
            raise MissingDataError(_nothing_under(source["S3Uri"]))
        if source.get("S3DataDistributionType") == "ShardedByS3Key":
            named = named[part::parts]
        folder.mkdir(parents=True, exist_ok=True)
        for where, key, name in named:
            self._fetch(where, key, folder / name)

    def restore(self, uri: str, folder: Path) -> None:
        """Fetch all that lies under `uri`, which may be nothing."""
        bucket, prefix = split_uri(uri.rstrip("/") + "/")
        folder.mkdir(parents=True, exist_ok=True)
        for key in self.keys(bucket, prefix):
            self._fetch(bucket, key, folder / key.removeprefix(prefix))

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Keys of objects under a prefix, in order; those that stand for folders are left out."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return sorted(key for key in found if not key.endswith("/"))

    def upload(self, body: bytes | BinaryIO, uri: str, kms_key: str | None = None) -> None:
        """Put an object at `uri`."""
        bucket, key = split_uri(uri)
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        self._client.put_object(Bucket=bucket, Key=key, Body=body, **encryption)

    def _fetch(self, bucket: str, key: str, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
        with to.open("wb") as file:
            copyfileobj(body, file, 1 << 20)

    def _manifest(self, bucket: str, key: str) -> Iterator[tuple[str, str, str]]:
        prefix, *names = json.loads(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())
        where, below = split_uri(prefix["prefix"])
        for name in names:
            yield where, below + name, name


def _name_below(prefix: str, key: str) -> str:
    folder = prefix.rstrip("/") + "/"
    if key == prefix:
        return PurePosixPath(key).name
    return key.removeprefix(folder) if key.startswith(folder) else key[prefix.rfind("/") + 1 :]


def _nothing_under(uri: str) -> str:
    return (
        f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. '
        "Please ensure that the bucket exists in the selected region, that objects exist under that S3 prefix, and "
        'that the role has "s3:ListBucket" permissions on the bucket.'
    )
