"""Names of images in ECR."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Image:
    """An image in ECR, by the parts of its name."""

    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None


def read_image(name: str) -> Image | None:
    """None for a name that is not ECR's."""
    match = _NAME.fullmatch(name)
    return None if match is None else Image(**match.groupdict())
