"""Settings from the environment (`CXR_*`). No other module reads the environment.

An explicit argument wins over the environment, the environment over the default given here.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

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
    backend: Literal["local"] = Field(default="local", description="Where the commands run.")
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


def load_container_settings() -> ContainerSettings:
    """Read SageMaker's part of the environment once.

    Raises:
        SettingsError: a SAGEMAKER_* variable has a value that cannot be used.
    """
    return _load(ContainerSettings)


def load_emulator_settings() -> EmulatorSettings:
    """Read the emulator's part of the environment once."""
    return _load(EmulatorSettings)


def _load(kind: type[_Loaded]) -> _Loaded:
    try:
        return kind()
    except ValidationError as error:
        first = error.errors()[0]
        name = kind.model_config["env_prefix"] + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name} is {first['input']!r}: {first['msg']}.") from error
