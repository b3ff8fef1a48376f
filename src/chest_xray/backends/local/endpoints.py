"""Deployed endpoints, as folders. No process runs until `cxr serve` or `cxr predict` reads one.

    CXR_HOME/endpoints/<endpoint>/endpoint.json      which bundle answers; replaced in one step
                                  <bundle digest>/   that bundle, whole
                                  <bundle digest>/   the one before

A new bundle is copied, verified and proved on its golden film before endpoint.json changes. Whatever ends a deployment
before that leaves the endpoint as it was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from chest_xray.backends.base import Endpoint
from chest_xray.backends.names import check_name
from chest_xray.bundle import Sha256, load_bundle
from chest_xray.errors import BundleError, EndpointError, NotDeployedError
from chest_xray.lock import only_one
from chest_xray.prediction import ModelIdentity

if TYPE_CHECKING:
    from chest_xray.inference.engines import EngineName
    from chest_xray.inference.predictor import OnnxPredictor

RECORD: Final = "endpoint.json"
_STAGING: Final = ".staging-"

Fetch = Callable[[Path], Path]


class _Record(BaseModel):
    """The content of endpoint.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["cxr-endpoint/1"] = "cxr-endpoint/1"
    model_name: str
    version: int | None
    digest: Sha256
    previous: Sha256 | None
    deployed_at: AwareDatetime


class Endpoints:
    """The endpoints under `root`, CXR_HOME/endpoints."""

    def __init__(self, root: Path, engine: EngineName = "onnxruntime") -> None:
        self._root = root
        self._engine: EngineName = engine

    def deploy(self, endpoint: str, model: ModelIdentity, fetch: Fetch) -> Endpoint:
        """Make `model` answer for `endpoint`. `fetch` writes its bundle below a folder and returns where.

        Raises:
            BundleError: the bundle fetched is not the model's, or does not prove itself.
            EndpointError: another deployment to this endpoint is under way.
        """
        folder = self._root / check_name("endpoint", endpoint)
        busy = EndpointError(f"Another deployment to {endpoint} is under way. Run this again when it is done.")
        with only_one(folder / "deploy.lock", busy):
            _remove_old(folder)
            _install(folder, model, fetch)
            _load(folder / model.digest, model, self._engine)
            _switch(folder, model)
            _remove_old(folder)
        return self.read(endpoint)

    def read(self, endpoint: str) -> Endpoint:
        """The endpoint as it is deployed now.

        Raises:
            NotDeployedError: nothing is deployed there.
        """
        folder = self._root / check_name("endpoint", endpoint)
        record = _read_record(folder)
        if record is None:
            raise NotDeployedError(self._nothing_at(endpoint))
        model = ModelIdentity(name=record.model_name, version=record.version, digest=record.digest)
        return Endpoint(name=endpoint, model=model, deployed_at=record.deployed_at, bundle=folder / record.digest)

    def predictor(self, endpoint: str) -> OnnxPredictor:
        """Verify, load and prove the bundle that answers for `endpoint`.

        Raises:
            NotDeployedError: nothing is deployed there.
            BundleError: the deployed copy was altered.
        """
        deployed = self.read(endpoint)
        return _load(deployed.bundle, deployed.model, self._engine)

    def _nothing_at(self, endpoint: str) -> str:
        others = sorted(path.parent.name for path in self._root.glob(f"*/{RECORD}"))
        known = f"Deployed: {', '.join(others)}." if others else "Nothing is deployed."
        return (
            f"Endpoint {endpoint} does not exist. {known} "
            f"Deploy an approved model: `cxr deploy --model-name NAME --endpoint {endpoint}`."
        )


def _load(bundle: Path, model: ModelIdentity, engine: EngineName) -> OnnxPredictor:
    from chest_xray.inference.predictor import OnnxPredictor

    predictor = OnnxPredictor.load(bundle, name=model.name, version=model.version, engine=engine)
    _check_digest(bundle, predictor.identity.digest, model)
    return predictor


def _check_digest(bundle: Path, digest: str, model: ModelIdentity) -> None:
    if digest != model.digest:
        raise BundleError(
            f"{bundle} has the digest {digest[:12]}..., but {model.name} version {model.version} is "
            f"{model.digest[:12]}.... Deploy it again, or register the bundle again."
        )


def _install(folder: Path, model: ModelIdentity, fetch: Fetch) -> None:
    """Bring the model's bundle to its folder, unless it lies there intact. No half copy is ever there."""
    target = folder / model.digest
    if target.is_dir():
        if _intact(target, model.digest):
            return
        # What lies there no longer answers anyway: make room.
        target.rename(Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder)) / "altered")
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
    try:
        fetched = fetch(staging)
        _check_digest(fetched, load_bundle(fetched).digest, model)
        fetched.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _intact(bundle: Path, digest: str) -> bool:
    try:
        return load_bundle(bundle).digest == digest
    except BundleError:
        return False


def _switch(folder: Path, model: ModelIdentity) -> None:
    """Replace endpoint.json in one step."""
    before = _read_record(folder)
    previous = None
    if before is not None:
        previous = before.previous if before.digest == model.digest else before.digest
    record = _Record(
        model_name=model.name,
        version=model.version,
        digest=model.digest,
        previous=previous,
        deployed_at=datetime.now(UTC),
    )
    draft = folder / f"{_STAGING}{RECORD}"
    with draft.open("w", encoding="utf-8") as stream:
        stream.write(record.model_dump_json(indent=2) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(folder / RECORD)


def _remove_old(folder: Path) -> None:
    """Remove every copy but the one that answers and the one before, and what killed deployments left."""
    record = _read_record(folder)
    keep = {record.digest, record.previous} if record else set()
    for path in folder.iterdir():
        if path.is_dir() and path.name not in keep:
            shutil.rmtree(path)


def _read_record(folder: Path) -> _Record | None:
    path = folder / RECORD
    try:
        return _Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise EndpointError(
            f"{path} cannot be read: {error.errors()[0]['msg']}. Remove it and deploy again."
        ) from error
