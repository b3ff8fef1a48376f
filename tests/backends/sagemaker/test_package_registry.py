"""What is SageMaker's own of the registry: the package as AWS shows it, and decisions that were made without `cxr`."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.backends.conftest import PASSED, NewBundle, against
from tests.support.bundles import write_bundle
from tests.support.emulators import client, shared_emulator, variables
from tests.support.processes import run_cxr

from chest_xray.backends.sagemaker.registry.metadata import LONGEST, OUTSIDE, decode, encode
from chest_xray.backends.sagemaker.registry.registry import PackageRegistry
from chest_xray.backends.sagemaker.rules import service_model
from chest_xray.errors import BundleError, SettingsError
from chest_xray.settings import HostingSettings


def packages(model_name: str) -> list[dict[str, Any]]:
    sagemaker = client("sagemaker")
    listed = sagemaker.list_model_packages(ModelPackageGroupName=model_name)["ModelPackageSummaryList"]
    return [sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"]) for item in listed]


def body(uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


@given(st.text(max_size=60))
def test_any_text_is_a_value_that_aws_takes_and_comes_back(text: str) -> None:
    value = encode(text)
    if text:
        request = {"ModelPackageArn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/lungs/1"}
        request["CustomerMetadataProperties"] = {"text": value}
        assert list(service_model("UpdateModelPackage", request)) == []
    assert len(value) <= LONGEST
    if len(value) < LONGEST - 12:
        assert decode(value) == text


def test_a_long_text_is_cut_between_characters() -> None:
    assert decode(encode("(" * 300)) == "(" * (LONGEST // 3)


def test_a_package_points_at_all_that_a_reviewer_asks_for(
    package_registry: PackageRegistry, new_bundle: NewBundle
) -> None:
    bundle = new_bundle()
    package_registry.register(bundle.root, model_name="reviewed", by="O'Neill, A. (physics)", gate=PASSED)
    (package,) = packages("reviewed")
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["Image"].endswith("/chest-xray:serve")
    assert package["InferenceSpecification"]["SupportedContentTypes"] == [
        "image/png",
        "image/jpeg",
        "application/dicom",
    ]
    place = container["ModelDataUrl"].rpartition("/")[0]
    assert f"/registry/reviewed/{bundle.digest[:16]}" in place
    quality = package["ModelMetrics"]["ModelQuality"]
    assert body(quality["Statistics"]["S3Uri"]) == (bundle.root / "evaluation.json").read_bytes()
    assert json.loads(body(quality["Constraints"]["S3Uri"]))["outcome"] == "passed"
    metadata = package["CustomerMetadataProperties"]
    assert metadata["bundle_digest"] == bundle.digest
    assert metadata["data_hash"] == "d" * 64
    assert metadata["training_run"] == "run-1"
    assert metadata["registered_by"] == "O=27Neill=2C A. =28physics=29"
    assert package["MetadataProperties"]["CommitId"] == "a" * 40
    assert package_registry.get("reviewed", 1).registered_by == "O'Neill, A. (physics)"
    card = json.loads(package["ModelCard"]["ModelCardContent"])
    (group,) = card["evaluation_details"][0]["metric_groups"]
    values = {row["name"]: row["value"] for row in group["metric_data"]}
    assert values["mean AUROC"] == bundle.manifest.mean_auroc
    assert values["AUROC Mass"] == bundle.manifest.findings["Mass"].auroc
    assert card["intended_uses"]["purpose_of_model"].startswith("Research use only")


def test_a_decision_loses_nothing_even_where_an_update_erases_what_it_does_not_send(
    package_registry: PackageRegistry, new_bundle: NewBundle
) -> None:
    package_registry.register(new_bundle().root, model_name="kept", by="engineer", gate=PASSED)
    (before,) = packages("kept")
    sent: list[dict[str, Any]] = []
    call = package_registry._aws.call

    def watched(service: str, operation: str, **request: Any) -> Any:
        if operation == "update_model_package":
            sent.append(request)
        return call(service, operation, **request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package_registry._aws, "call", watched)
        package_registry.set_approval("kept", 1, "Approved", by="Dr. A", reason=None)
        package_registry.set_approval("kept", 1, "Rejected", by="Dr. B", reason="worse in women")
    for request in sent:
        assert before["CustomerMetadataProperties"].items() <= request["CustomerMetadataProperties"].items()
        assert {"ModelApprovalStatus", "ApprovalDescription"} <= request.keys()
    (after,) = packages("kept")
    assert (after["ModelApprovalStatus"], after["ApprovalDescription"]) == ("Rejected", "worse in women")


def test_a_decision_made_in_the_console_counts_and_is_told_apart(
    package_registry: PackageRegistry, new_bundle: NewBundle
) -> None:
    package_registry.register(new_bundle().root, model_name="console", by="engineer", gate=PASSED)
    (package,) = packages("console")
    client("sagemaker").update_model_package(
        ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus="Approved", ApprovalDescription="looks good"
    )
    version = package_registry.get("console", 1)
    assert (version.status, version.reason) == ("Approved", "looks good")
    assert version.decided_by in (OUTSIDE, "fake-user-profile-name")
    assert package_registry.decisions("console", 1) == []
    assert package_registry.set_approval("console", 1, "Rejected", by="Dr. B", reason="no").decided_by == "Dr. B"


def test_another_archive_in_the_bundles_place_is_refused(
    package_registry: PackageRegistry, new_bundle: NewBundle, tmp_path: Path
) -> None:
    for name in ("mine", "other"):
        package_registry.register(new_bundle().root, model_name=f"swapped-{name}", by="me", gate=PASSED)
    mine, other = (
        packages(f"swapped-{name}")[0]["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        for name in ("mine", "other")
    )
    bucket, _, key = mine.removeprefix("s3://").partition("/")
    client("s3").put_object(Bucket=bucket, Key=key, Body=body(other))
    with pytest.raises(BundleError, match=r"The registry's copy of swapped-mine version 1 has the digest"):
        package_registry.fetch("swapped-mine", 1, tmp_path)


def test_a_package_of_somebody_else_is_left_alone(package_registry: PackageRegistry, new_bundle: NewBundle) -> None:
    package_registry.register(new_bundle().root, model_name="shared", by="me", gate=PASSED)
    (package,) = packages("shared")
    client("sagemaker").create_model_package(
        ModelPackageGroupName="shared", InferenceSpecification=package["InferenceSpecification"]
    )
    assert len(packages("shared")) == 2
    assert [version.version for version in package_registry.models("shared")] == [1]


def test_without_a_hosting_image_nothing_is_copied(new_bundle: NewBundle, package_registry: PackageRegistry) -> None:
    settings = HostingSettings(bucket=shared_emulator().bucket, prefix="without-image")
    with pytest.raises(SettingsError, match="--serve-image or CXR_SAGEMAKER_SERVE_IMAGE"):
        PackageRegistry(settings, package_registry._aws).register(
            new_bundle().root, model_name="imageless", by="me", gate=PASSED
        )
    listed = client("s3").list_objects_v2(Bucket=shared_emulator().bucket, Prefix="without-image/")
    assert listed["KeyCount"] == 0


def test_a_verdict_of_twenty_reasons_is_kept_whole(package_registry: PackageRegistry, new_bundle: NewBundle) -> None:
    first = package_registry.register(new_bundle().root, model_name="reasons", by="me", gate=PASSED)
    package_registry.set_approval("reasons", 1, "Approved", by="me", reason=None)
    reasons = [f"finding {n} -0.100 (-0.200 to -0.050), margin 0.03" for n in range(20)]
    verdict = against(1, first.digest, outcome="failed", reasons=reasons, forced="for a trial")
    second = package_registry.register(new_bundle().root, model_name="reasons", by="me", gate=verdict)
    assert second.gate is not None
    assert second.gate.reasons == tuple(reasons)
    assert max(map(len, packages("reasons")[1]["CustomerMetadataProperties"].values())) <= LONGEST


def test_register_approve_reject_and_models_through_the_commands(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = variables(home) | {"CXR_BACKEND": "sagemaker"}
    env["CXR_SAGEMAKER_SERVE_IMAGE"] = env["CXR_SAGEMAKER_IMAGE"].replace(":train", ":serve")
    bundle = write_bundle(tmp_path / "bundle", mean_auroc=0.7)

    def cxr(*arguments: object, code: int = 0) -> str:
        done = run_cxr(*arguments, home=home, env=env)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    registered = json.loads(
        cxr("register", "--bundle", bundle.root, "--model-name", "commands", "--by", "a reviewer", "--json")
    )
    assert (registered[0]["version"], registered[0]["status"]) == (1, "PendingManualApproval")
    assert "commands has no version 2" in cxr("approve", "commands", "--version", "2", code=2)
    cxr("approve", "commands", "--version", "1", "--reason", "floor reached", "--by", "a reviewer")
    (shown,) = json.loads(cxr("models", "commands", "--json"))
    assert (shown["status"], shown["reason"], shown["digest"]) == ("Approved", "floor reached", bundle.digest)
    second = write_bundle(tmp_path / "second", mean_auroc=0.71)
    refused = cxr("register", "--bundle", second.root, "--model-name", "commands", code=2)
    assert "commands version 1 is Approved, and a new version is compared with it first" in refused
    cxr("reject", "commands", "--version", "1", "--reason", "worse in women")
    assert json.loads(cxr("models", "commands", "--json"))[0]["status"] == "Rejected"
