"""Settings of the stages, read from stages.toml and checked before anything is made."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

STAGES: Final = Path(__file__).with_name("stages.toml")
PROJECT: Final = "chest-xray"
# How an asynchronous request ends.
OUTCOMES: Final = ("answered", "failed")

StageName = Literal["dev", "staging", "prod"]
Mode = Literal["cheap", "private"]
# What CloudWatch Logs accepts, from a year on.
LogDays = Literal[365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]


class StagesError(Exception):
    """stages.toml says what cannot be made; the message is one line."""


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GitHub(_Checked):
    """The repository whose workflows may deploy, by name and by number."""

    owner: str = Field(pattern=r"^[A-Za-z0-9-]{1,39}$")
    repository: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")
    owner_id: int = Field(ge=1)
    repository_id: int = Field(ge=1)

    def subjects(self, environment: str) -> list[str]:
        """Both forms of the token's subject for a job in this environment: by names, and with their numbers."""
        by_number = f"{self.owner}@{self.owner_id}/{self.repository}@{self.repository_id}"
        return [f"repo:{name}:environment:{environment}" for name in (f"{self.owner}/{self.repository}", by_number)]


class Stage(_Checked):
    """One stage: an account, its sizes and its budget.

    Attributes:
        mode: `cheap` costs about nothing idle and has no VPC; `private` keeps jobs and endpoints in a closed VPC.
        budget_usd: a month; mail goes out at 80% and 100% of it, and where 100% is forecast.
        log_days: how long logs are kept, and the audit trail is locked.
        trail_lock: `compliance` lets nobody delete the trail before; `governance` lets who has the permission.
        raw_days: days after which old versions of data and models end.
        capture_days: days after which captured requests, which hold images, end.
    """

    name: StageName
    account: str = Field(pattern=r"^\d{12}$")
    region: str = Field(pattern=r"^[a-z]{2}-[a-z]+-\d$")
    zones: Annotated[tuple[str, ...], Field(min_length=2, max_length=3)]
    mode: Mode
    budget_usd: int = Field(ge=1)
    alerts: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    log_days: LogDays
    trail_lock: Literal["governance", "compliance"]
    raw_days: int = Field(ge=1)
    capture_days: int = Field(ge=1)
    github: GitHub

    @model_validator(mode="after")
    def _zones_are_the_regions(self) -> Stage:
        if strange := [zone for zone in self.zones if not zone.startswith(self.region)]:
            raise ValueError(f"zones {', '.join(strange)} are not in {self.region}")
        return self

    @property
    def prefix(self) -> str:
        """What names begin with that must differ between stages."""
        return f"{PROJECT}-{self.name}"

    def bucket(self, purpose: str) -> str:
        """A bucket's name, unique in the world by the account's number."""
        return f"{self.prefix}-{purpose}-{self.account}-{self.region}"

    def objects(self, purpose: str, prefix: str = "") -> str:
        """The ARN of a bucket's objects below a prefix."""
        return f"arn:aws:s3:::{self.bucket(purpose)}/{prefix}*"

    def async_topic(self, outcome: str) -> str:
        """The ARN of the topic that tells of asynchronous requests which ended so."""
        return self.arn("sns", f"{self.prefix}-async-{outcome}")

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def read_stages(path: Path = STAGES, mode: str | None = None) -> list[Stage]:
    """All stages, in the order of promotion; a mode that is given wins over each stage's own.

    Raises:
        StagesError: a stage or a field is missing, unknown or out of range, or two stages share an account.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    github = table.pop("github", None)
    chosen = {} if mode is None else {"mode": mode}
    stages = [_read(path, name, {"github": github} | fields | chosen) for name, fields in table.items()]
    if len({stage.account for stage in stages}) < len(stages):
        raise StagesError(f"{path.name}: two stages share an account; give each its own, or delete a stage.")
    return stages


def _read(path: Path, name: str, fields: dict[str, object]) -> Stage:
    try:
        return Stage.model_validate({"name": name} | fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join([name, *(str(part) for part in first["loc"])])
        found = "is missing" if first["type"] == "missing" else f"is {str(first['input'])[:80]!r}: {first['msg']}"
        raise StagesError(f"{path.name}: {field} {found}.") from error
