"""Where data lie: a folder of this machine, or a prefix of S3."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chest_xray.errors import SettingsError

_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class S3Prefix:
    """`s3://bucket/key`; the key has no slash at either end and may be empty."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> S3Prefix:
        return S3Prefix(self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def below(self) -> str:
        """What the keys of its objects begin with."""
        return f"{self.key}/" if self.key else ""


Location = Path | S3Prefix


def read_location(text: str) -> Location:
    """Read what a person typed: a path, or `s3://bucket/key`.

    Raises:
        SettingsError: a URI of S3 without a bucket, or of something else.
    """
    if not text.startswith(_SCHEME):
        if "://" in text:
            raise SettingsError(f"{text} is neither a folder nor s3://BUCKET/PREFIX.")
        return Path(text)
    bucket, _, key = text.removeprefix(_SCHEME).partition("/")
    if not bucket:
        raise SettingsError(f"{text} names no bucket: expected s3://BUCKET/PREFIX.")
    return S3Prefix(bucket, key.strip("/"))


def require_folder(place: Location, what: str) -> Path:
    """A folder of this machine.

    Raises:
        SettingsError: it is in S3.
    """
    if isinstance(place, S3Prefix):
        raise SettingsError(f"{what} is {place}, in S3: add --backend sagemaker, or give a folder of this machine.")
    return place


def require_s3(place: Location, what: str) -> S3Prefix:
    """A prefix of S3.

    Raises:
        SettingsError: it is a folder of this machine.
    """
    if isinstance(place, Path):
        raise SettingsError(
            f"{what} is {place}, a folder of this machine, and SageMaker writes to S3: give s3://BUCKET/PREFIX, or "
            "leave --backend out."
        )
    return place
