"""Settings from the environment (`CXR_*`). No other module reads the environment.

An explicit argument wins over the environment, the environment over the default given here.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from chest_xray.errors import SettingsError


class Settings(BaseSettings):
    """What a machine, not a run, decides."""

    model_config = SettingsConfigDict(env_prefix="CXR_", frozen=True, extra="ignore")

    home: Path = Field(default=Path("~/.cxr"), description="Where runs, the registry and deployed endpoints are kept.")
    backend: Literal["local"] = Field(default="local", description="Where the commands run.")
    mlflow_tracking_uri: str | None = Field(
        default=None,
        description="MLflow server for runs and registry; unset means a sqlite file under CXR_HOME.",
    )
    imagenet_weights: Path | None = Field(
        default=None,
        description="torchvision's densenet121-a639ec97.pth, for machines that may not download it.",
    )

    @property
    def home_dir(self) -> Path:
        """CXR_HOME, absolute, with `~` expanded. Not created here."""
        return self.home.expanduser().resolve()


def load_settings() -> Settings:
    """Read the environment once.

    Raises:
        SettingsError: a CXR_* variable has a value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "CXR_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name} is {first['input']!r}: {first['msg']}.") from error
