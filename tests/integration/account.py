"""An AWS account under test, by `cxr` commands and the deletions that `cxr` leaves to people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError
from tests.support.processes import run_cxr

NEEDED: Final = (
    "CXR_SAGEMAKER_BUCKET", "CXR_SAGEMAKER_ROLE", "CXR_SAGEMAKER_IMAGE", "CXR_SAGEMAKER_SERVE_IMAGE"
)  # fmt: skip
_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class Account:
    """`run` is what the names of all that is made begin with."""

    session: Any
    env: dict[str, str]
    run: str
    home: Path

    @property
    def bucket(self) -> str:
        return self.env["CXR_SAGEMAKER_BUCKET"]

    def cxr(self, *arguments: object) -> str:
        """Run a command to its end; returns what it printed on both streams."""
        done = run_cxr(*arguments, home=self.home, env=self.env, timeout=_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def delete_everything(self) -> None:
        """Packages, their group, and every object of the run. Jobs cannot be deleted; they cost nothing."""
        sagemaker = self.session.client("sagemaker")
        groups = sagemaker.list_model_package_groups(NameContains=self.run)["ModelPackageGroupSummaryList"]
        listed = [
            package
            for group in groups
            for package in sagemaker.list_model_packages(ModelPackageGroupName=group["ModelPackageGroupName"])[
                "ModelPackageSummaryList"
            ]
        ]
        for package in listed:
            _delete(sagemaker.delete_model_package, ModelPackageName=package["ModelPackageArn"])
        for group in groups:
            _delete(sagemaker.delete_model_package_group, ModelPackageGroupName=group["ModelPackageGroupName"])
        s3 = self.session.client("s3")
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=f"{self.run}/")
        for page in pages:
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                s3.delete_object(Bucket=self.bucket, Key=item["Key"], VersionId=item["VersionId"])

    def objects(self) -> list[str]:
        """Keys that are left of the run."""
        found = self.session.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=f"{self.run}/")
        return [item["Key"] for item in found.get("Contents", ())]


def _delete(operation: Any, **request: str) -> None:
    """What a real account deletes; the emulator has no such operation, and is deleted whole."""
    try:
        operation(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "UnknownOperationException":
            raise
