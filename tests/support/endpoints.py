"""Deploy a bundle's folder without a registry."""

import shutil
from pathlib import Path

from chest_xray.backends.base import Endpoint
from chest_xray.backends.local.endpoints import Endpoints
from chest_xray.bundle import load_bundle
from chest_xray.prediction import ModelIdentity


def deploy_folder(home: Path, bundle: Path, *, endpoint: str, name: str = "tiny", version: int = 1) -> Endpoint:
    """Deploy `bundle` as a version of model `name` below CXR_HOME `home`."""
    model = ModelIdentity(name=name, version=version, digest=load_bundle(bundle).digest)

    def fetch(folder: Path) -> Path:
        return Path(shutil.copytree(bundle, folder / "bundle"))

    return Endpoints(home / "endpoints").deploy(endpoint, model, fetch)
