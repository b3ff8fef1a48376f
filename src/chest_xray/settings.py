"""Settings from the environment (`CXR_*`). No other module reads the environment.

An explicit argument wins over the environment, the environment over the default given here.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from chest_xray.errors import SettingsError

# What a model, its endpoint and the experiment of its runs are called where nobody gives a name.
DEFAULT_MODEL: Final = "chest-xray"

Networks = tuple[IPv4Network | IPv6Network, ...]


class Settings(BaseSettings):
    """What a machine, not a run, decides."""

    model_config = SettingsConfigDict(env_prefix="CXR_", frozen=True, extra="ignore")

    home: Path = Field(default=Path("~/.cxr"), description="Where runs, the registry and deployed endpoints are kept.")
    backend: Literal["local", "sagemaker"] = Field(
        default="local", description="Where the commands run: `local` or `sagemaker`."
    )
    engine: Literal["onnxruntime", "openvino"] = Field(
        default="onnxruntime", description="What runs the graph; `openvino` must be installed and must agree."
    )
    log_format: Literal["json", "text"] | None = Field(
        default=None, description="A server's log; unset means text on a terminal and JSON lines elsewhere."
    )
    mlflow_tracking_uri: str | None = Field(
        default=None,
        description="MLflow server for runs and registry; unset means a sqlite file under CXR_HOME.",
    )
    imagenet_weights: Path | None = Field(
        default=None,
        description="torchvision's densenet121-a639ec97.pth, for machines that may not download it.",
    )
    revision: str | None = Field(
        default=None, description="Git revision of an installed copy, for its models' records; images have it set."
    )
    gate_margin: float = Field(
        default=0.01, gt=0, lt=1, description="AUROC that a challenger's mean may lie below the champion's."
    )
    gate_group_margin: float = Field(
        default=0.03, gt=0, lt=1, description="The same for a common finding, and for the mean in a group of patients."
    )
    gate_floor: float = Field(
        default=0.5, ge=0, le=1, description="Mean AUROC that the first version of a model must reach."
    )
    trusted_proxies: Annotated[Networks | None, NoDecode] = Field(
        default=None,
        description="Networks of the proxies that sign users in, separated by commas; only they may name a user.",
    )
    proxy_user_header: str = Field(
        default="X-Forwarded-User",
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$",
        description="The header in which such a proxy passes the user's name.",
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _read_networks(cls, value: str | None) -> Networks | None:
        if value is None:
            return None
        networks = tuple(ip_network(name.strip()) for name in value.split(",") if name.strip())
        if not networks:
            raise ValueError("expected networks such as 10.0.3.0/24, separated by commas, or the variable unset")
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError("a network of every address would let anybody name a user; name the proxies' own network")
        return networks

    @property
    def home_dir(self) -> Path:
        """CXR_HOME, absolute, with `~` expanded. Not created here."""
        return self.home.expanduser().resolve()


class AwsSettings(BaseSettings):
    """Where everything on AWS is kept."""

    model_config = SettingsConfigDict(
        env_prefix="CXR_SAGEMAKER_", frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True
    )

    bucket: str | None = Field(default=None, description="S3 bucket for data, checkpoints and results.")
    prefix: str = Field(default="chest-xray", description="What every key in the bucket begins with.")
    region: str | None = Field(default=None, description="AWS region; unset means that of the AWS profile.")
    kms_key: str | None = Field(default=None, description="KMS key of data, results and disks, its ARN or id.")
    tags: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Tags of all that is made: KEY=VALUE, separated by commas."
    )

    @field_validator("tags", "subnets", "security_groups", "environment", mode="before", check_fields=False)
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class JobSettings(AwsSettings):
    """Where jobs run on SageMaker, whatever they do."""

    role: str | None = Field(default=None, description="ARN of the IAM role that jobs run as.")
    image: str | None = Field(default=None, description="The training image in ECR, with its tag or digest.")
    max_hours: float = Field(default=24.0, gt=0, le=672, description="Hours after which a job is stopped.")
    volume_gb: int = Field(default=50, ge=1, description="Disk of an instance in GB.")
    subnets: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Subnets of the VPC that jobs run in, separated by commas."
    )
    security_groups: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Security groups in that VPC, separated by commas."
    )
    environment: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Variables of the container: NAME=VALUE, separated by commas."
    )
    poll_seconds: float = Field(
        default=10.0, ge=0.1, description="Seconds between looks at a job; on AWS itself 10 at least."
    )


class HostingSettings(AwsSettings):
    """What models on SageMaker are registered and hosted with."""

    serve_image: str | None = Field(default=None, description="The hosting image in ECR, with its tag or digest.")


class SageMakerSettings(JobSettings):
    """Where and how training jobs run on SageMaker. Each is an option of `cxr train` too."""

    job_name: str | None = Field(default=None, description="Name of the job; unset makes one of the run folder's.")
    instance_type: str = Field(default="ml.g4dn.xlarge", description="Instance type of SageMaker training.")
    instance_count: int = Field(default=1, ge=1, description="Instances; training uses one.")
    use_spot: bool = Field(default=False, description="Train on spot instances, which may be taken away.")
    max_wait_hours: float | None = Field(
        default=None,
        gt=0,
        description="Hours on spot instances, with the waiting for them; unset: twice --max-hours.",
    )
    input_mode: Literal["File", "FastFile"] = Field(
        default="File", description="`File` copies the data first, `FastFile` reads them as they are needed."
    )
    mlflow_arn: str | None = Field(
        default=None, description="ARN of the MLflow App or tracking server that records runs; unset: only the job."
    )
    usd_per_hour: float | None = Field(
        default=None, gt=0, description="On-demand price of an instance, to tell what a job cost."
    )


class ProcessingSettings(JobSettings):
    """Where and how films are prepared on SageMaker. Each is an option of `cxr prepare-data` too."""

    instance_type: str = Field(
        default="ml.m5.4xlarge",
        validation_alias="CXR_SAGEMAKER_PROCESSING_INSTANCE_TYPE",
        description="Instance type; decoding wants processors, no GPU.",
    )
    instance_count: int = Field(
        default=1,
        ge=1,
        validation_alias="CXR_SAGEMAKER_PROCESSING_INSTANCE_COUNT",
        description="Instances that share the films; their parts are put together on one.",
    )


class ContainerSettings(BaseSettings):
    """What SageMaker tells a hosting container."""

    model_config = SettingsConfigDict(env_prefix="SAGEMAKER_", frozen=True, extra="ignore")

    bind_to_port: int = Field(default=8080, ge=1, le=65535, description="The port to answer on.")
    batch: bool = Field(default=False, description="Whether Batch Transform is the caller.")


class EmulatorSettings(BaseSettings):
    """The variables that `cxr emulator` prints: where it answers, and the file with its access key."""

    model_config = SettingsConfigDict(env_prefix="AWS_", frozen=True, extra="ignore")

    endpoint_url: str | None = None
    shared_credentials_file: Path | None = None


_Loaded = TypeVar("_Loaded", bound=BaseSettings)


def load_settings() -> Settings:
    """Read the environment once.

    Raises:
        SettingsError: a CXR_* variable has a value that cannot be used.
    """
    return _load(Settings)


def load_sagemaker_settings(options: Mapping[str, object] | None = None) -> SageMakerSettings:
    """Read CXR_SAGEMAKER_* once; an option that is given wins.

    Raises:
        SettingsError: one of them has a value that cannot be used.
    """
    return _load(SageMakerSettings, options or {})


def load_processing_settings(options: Mapping[str, object] | None = None) -> ProcessingSettings:
    """The same for the jobs that prepare films.

    Raises:
        SettingsError: one of them has a value that cannot be used.
    """
    return _load(ProcessingSettings, options or {})


def load_hosting_settings(options: Mapping[str, object] | None = None) -> HostingSettings:
    """The same for registered and hosted models.

    Raises:
        SettingsError: one of them has a value that cannot be used.
    """
    return _load(HostingSettings, options or {})


def load_container_settings() -> ContainerSettings:
    """Read SageMaker's part of the environment once.

    Raises:
        SettingsError: a SAGEMAKER_* variable has a value that cannot be used.
    """
    return _load(ContainerSettings)


def load_emulator_settings() -> EmulatorSettings:
    """Read the emulator's part of the environment once."""
    return _load(EmulatorSettings)


def _load(kind: type[_Loaded], options: Mapping[str, Any] | None = None) -> _Loaded:
    try:
        return kind(**options or {})
    except ValidationError as error:
        first = error.errors()[0]
        field = "_".join(str(part) for part in first["loc"])
        prefix = str(kind.model_config["env_prefix"])
        name = prefix + field.upper().removeprefix(prefix)
        if options and field in options:
            name = f"--{field.replace('_', '-')}"
        raise SettingsError(f"{name} is {first['input']!r}: {first['msg']}.") from error
