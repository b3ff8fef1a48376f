"""The registry's operations over model packages.

A bundle lies as model.tar.gz in S3 under its digest, with the evaluation, the gate's verdict, the comparison behind it
and every decision beside it; the package points there and is made last. Its state is AWS's ModelApprovalStatus.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from chest_xray.archives import pack, unpack
from chest_xray.backends.registry import Decision, ModelRegistry
from chest_xray.backends.sagemaker.aws import Aws
from chest_xray.backends.sagemaker.registry.metadata import (
    decision_members,
    is_ours,
    read_package,
    registration_metadata,
)
from chest_xray.backends.sagemaker.registry.package import group_request, package_request
from chest_xray.backends.sagemaker.request_parts import needed
from chest_xray.backends.sagemaker.rules import refuse, service_model
from chest_xray.backends.sagemaker.store import Store
from chest_xray.errors import CloudError, RegistryError
from chest_xray.locations import S3Prefix
from chest_xray.promotion.gate import GateVerdict

if TYPE_CHECKING:
    from chest_xray.backends.base import ModelVersion
    from chest_xray.bundle import Bundle
    from chest_xray.evaluation.comparison.results import Comparison
    from chest_xray.settings import HostingSettings

MODEL_FILE: Final = "model.tar.gz"
_GATE: Final = "gate.json"
_MANIFEST: Final = "model.json"


class PackageRegistry(ModelRegistry):
    """The models of one account and region."""

    def __init__(self, settings: HostingSettings, aws: Aws | None = None) -> None:
        self._settings = settings
        self._aws = aws or Aws(settings.region)

    def decisions(self, model_name: str, version: int) -> list[Decision]:
        """Every decision on a version, oldest first. A version that was only registered has none."""
        prefix = _prefix(self._place(model_name, self.get(model_name, version).digest)) / "decisions"
        store = self._store()
        return [Decision.model_validate_json(store.read(str(prefix / name))) for name in sorted(store.list(prefix))]

    def _alone(self) -> AbstractContextManager[None]:
        # The package's client token is the bundle's digest: two registrations of one bundle are one package.
        return nullcontext()

    def _names(self) -> list[str]:
        groups = self._pages("list_model_package_groups", "ModelPackageGroupSummaryList")
        names = [group["ModelPackageGroupName"] for group in groups]
        return sorted(name for name in names if self._versions(name))

    def _versions(self, model_name: str) -> list[ModelVersion]:
        found = [self._read(package) for package in self._packages(model_name)]
        return sorted(found, key=lambda version: version.version)

    def _add(
        self, bundle: Bundle, model_name: str, by: str, gate: GateVerdict, comparison: Comparison | None
    ) -> ModelVersion:
        store, place = self._store(), self._place(model_name, bundle.digest)
        metadata = registration_metadata(bundle, by, datetime.now(UTC), gate)
        request = package_request(bundle, model_name, place, metadata, gate, self._settings, self._aws.region)
        group = group_request(model_name, self._settings)
        store.check_bucket()
        with tempfile.TemporaryDirectory(prefix="cxr-package-") as name:
            folder = Path(name)
            with (folder / MODEL_FILE).open("wb") as archive:
                pack([bundle.root], archive)
            (folder / _GATE).write_text(gate.model_dump_json(indent=2), encoding="utf-8")
            files = {file: folder / file for file in (MODEL_FILE, _GATE)}
            files["evaluation.json"] = bundle.root / "evaluation.json"
            if comparison is not None:
                files["comparison.json"] = folder / "comparison.json"
                files["comparison.json"].write_text(comparison.model_dump_json(indent=2), encoding="utf-8")
            store.upload(files, "registry", model_name, bundle.digest[:16], what="the bundle")
        self._make_group(group)
        arn = str(self._aws.call("sagemaker", "create_model_package", **request)["ModelPackageArn"])
        return self._read(self._describe(arn))

    def _decide(self, model_name: str, version: int, decision: Decision) -> None:
        arn, package = self._package(model_name, version)
        metadata = package["CustomerMetadataProperties"]
        request = {"ModelPackageArn": arn, **decision_members(decision, metadata)}
        refuse(list(service_model("UpdateModelPackage", request)))
        place = self._place(model_name, self.get(model_name, version).digest)
        name = f"{decision.at:%Y%m%dT%H%M%S.%fZ}_{uuid.uuid4().hex[:8]}.json"
        # Kept before it counts: a state without a record of who set it would be worse than the reverse.
        self._store().write(decision.model_dump_json().encode(), str(_prefix(place) / "decisions" / name))
        self._aws.call("sagemaker", "update_model_package", **request)

    def _copy(self, model_name: str, version: int, into: Path) -> Path:
        _, package = self._package(model_name, version)
        uri = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        archive = into / MODEL_FILE
        self._store().download(uri, archive)
        unpack(archive, into / "bundle", must_hold=_MANIFEST)
        archive.unlink()
        return into / "bundle"

    def _package(self, model_name: str, version: int) -> tuple[str, dict[str, Any]]:
        for package in self._packages(model_name):
            if package["ModelPackageVersion"] == version:
                return package["ModelPackageArn"], package
        raise RegistryError(f"{model_name} has no version {version}.")

    def _packages(self, model_name: str) -> Iterator[dict[str, Any]]:
        try:
            listed = list(
                self._pages("list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=model_name)
            )
        except CloudError as error:
            if "does not exist" in str(error):
                return
            raise
        packages = (self._describe(summary["ModelPackageArn"]) for summary in listed)
        yield from (package for package in packages if is_ours(package))

    def _read(self, package: dict[str, Any]) -> ModelVersion:
        place = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].rsplit("/", 1)[0]
        return read_package(package, GateVerdict.model_validate_json(self._store().read(f"{place}/{_GATE}")))

    def _describe(self, arn: str) -> dict[str, Any]:
        package: dict[str, Any] = self._aws.call("sagemaker", "describe_model_package", ModelPackageName=arn)
        return package

    def _pages(self, operation: str, member: str, **request: Any) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self._aws.call("sagemaker", operation, **request, **token)
            yield from page[member]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _make_group(self, request: dict[str, Any]) -> None:
        try:
            self._aws.call("sagemaker", "create_model_package_group", **request)
        except CloudError as error:
            if "already exists" not in str(error):
                raise

    def _place(self, model_name: str, digest: str) -> str:
        return self._store().uri("registry", model_name, digest[:16])

    def _store(self) -> Store:
        settings = self._settings
        return Store(self._aws, needed("bucket", settings.bucket), settings.prefix, settings.kms_key)


def _prefix(uri: str) -> S3Prefix:
    parts = urlsplit(uri)
    return S3Prefix(parts.netloc, parts.path.strip("/"))
