"""What goes to S3 before a job, and comes back after it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chest_xray.console import progress
from chest_xray.errors import SettingsError
from chest_xray.locations import S3Prefix

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.aws import Aws


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it; `size` in bytes."""

    size: int
    etag: str


class Store:
    """A prefix of a bucket in the job's region, under the settings' KMS key."""

    def __init__(self, aws: Aws, bucket: str, prefix: str, kms_key: str | None) -> None:
        self._aws, self._bucket, self._prefix, self._kms_key = aws, bucket, prefix.strip("/"), kms_key

    def uri(self, *names: str) -> str:
        """`s3://bucket/prefix/names...`."""
        return f"s3://{self._bucket}/{'/'.join(name for name in (self._prefix, *names) if name)}"

    def check_bucket(self, bucket: str | None = None) -> None:
        """Refuse a bucket that is not there or is in another region; by default its own.

        Raises:
            CloudError: it cannot be reached.
            SettingsError: it is elsewhere.
        """
        bucket = bucket or self._bucket
        answer = self._aws.call("s3", "head_bucket", Bucket=bucket)
        where = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", self._aws.region)
        if where != self._aws.region:
            raise SettingsError(
                f"The bucket {bucket} is in {where}, and the job in {self._aws.region}: give --region {where}, "
                f"or a bucket in {self._aws.region}."
            )

    def upload(self, files: Mapping[str, Path], *names: str, what: str) -> str:
        """Copy files below a prefix that their content has named, so that what is there already is the same.

        Returns:
            the prefix.
        """
        there = self.list(S3Prefix(self._bucket, "/".join(name for name in (self._prefix, *names) if name)))
        missing = {
            name: path for name, path in files.items() if name not in there or there[name].size != path.stat().st_size
        }
        if missing:
            total = sum(path.stat().st_size for path in missing.values()) // 1_000_000
            with progress(f"Uploading {what}", total, unit="MB") as advance:
                for name, path in missing.items():
                    self._upload_file(path, "/".join((self._prefix, *names, name)))
                    advance(path.stat().st_size // 1_000_000)
        return self.uri(*names)

    def place(self, content: bytes, *folders: str) -> str:
        """The prefix that `put` gives these bytes: their SHA-256 is part of it."""
        return self.uri(*folders, hashlib.sha256(content).hexdigest()[:16])

    def put(self, content: bytes, *names: str) -> str:
        """Put bytes at a key below their `place`; returns the prefix, which holds them alone."""
        *folders, file = names
        prefix = self.place(content, *folders)
        key = f"{urlsplit(prefix).path.lstrip('/')}/{file}"
        self._aws.call("s3", "put_object", Bucket=self._bucket, Key=key, Body=content, **self._encryption())
        return prefix

    def write(self, content: bytes, uri: str) -> None:
        """Put bytes at an address."""
        parts = urlsplit(uri)
        key = parts.path.lstrip("/")
        self._aws.call("s3", "put_object", Bucket=parts.netloc, Key=key, Body=content, **self._encryption())

    def download(self, uri: str, to: Path) -> None:
        """Fetch an object into a file."""
        parts = urlsplit(uri)
        to.parent.mkdir(parents=True, exist_ok=True)
        self._aws.patiently("s3", lambda s3: s3.download_file(parts.netloc, parts.path.lstrip("/"), str(to)))

    def exists(self, uri: str) -> bool:
        """Whether there is an object of exactly this name."""
        parts = urlsplit(uri)
        key = parts.path.lstrip("/")
        answer = self._aws.call("s3", "list_objects_v2", Bucket=parts.netloc, Prefix=key, MaxKeys=1)
        return any(item["Key"] == key for item in answer.get("Contents", ()))

    def list(self, place: S3Prefix) -> dict[str, Listed]:
        """What lies under a prefix, by its name below it; objects that stand for folders are left out."""

        def ask(s3: Any) -> dict[str, Listed]:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.below)
            items = [item for page in pages for item in page.get("Contents", ()) if not item["Key"].endswith("/")]
            return {
                item["Key"].removeprefix(place.below): Listed(item["Size"], item["ETag"].strip('"')) for item in items
            }

        found: dict[str, Listed] = self._aws.patiently("s3", ask)
        return found

    def read(self, uri: str) -> bytes:
        """An object's bytes."""
        parts = urlsplit(uri)
        key = parts.path.lstrip("/")
        content: bytes = self._aws.patiently(
            "s3", lambda s3: s3.get_object(Bucket=parts.netloc, Key=key)["Body"].read()
        )
        return content

    def _upload_file(self, path: Path, key: str) -> None:
        extra = self._encryption()
        self._aws.patiently("s3", lambda s3: s3.upload_file(str(path), self._bucket, key, ExtraArgs=extra))

    def _encryption(self) -> dict[str, str]:
        if self._kms_key is None:
            return {}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._kms_key}
