"""The requests that make a model package group and a model package of a bundle."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from chest_xray.backends.sagemaker.registry.metadata import Metadata
from chest_xray.backends.sagemaker.request_parts import needed, tags
from chest_xray.backends.sagemaker.rules import (
    buckets_have_legal_names,
    image_is_in_the_region,
    refuse,
    service_model,
    tags_are_not_aws_own,
)
from chest_xray.bundle import Bundle
from chest_xray.notices import RESEARCH_USE_ONLY
from chest_xray.promotion.gate import GateVerdict
from chest_xray.settings import HostingSettings

CONTENT_TYPES: Final = ("image/png", "image/jpeg", "application/dicom")
ANSWER_TYPE: Final = "application/json"
_INSTANCE_TYPES: Final = ["ml.m5.large", "ml.m5.xlarge", "ml.c5.xlarge", "ml.c5.2xlarge", "ml.c5.4xlarge"]


def group_request(model_name: str, settings: HostingSettings) -> dict[str, Any]:
    """A CreateModelPackageGroup."""
    request: dict[str, Any] = {
        "ModelPackageGroupName": model_name,
        "ModelPackageGroupDescription": f"Chest X-ray findings. {RESEARCH_USE_ONLY}",
        "Tags": tags(settings),
    }
    refuse([*service_model("CreateModelPackageGroup", request), *tags_are_not_aws_own(request)])
    return request


def package_request(
    bundle: Bundle,
    model_name: str,
    place: str,
    metadata: Metadata,
    gate: GateVerdict,
    settings: HostingSettings,
    region: str,
) -> dict[str, Any]:
    """A CreateModelPackage of a bundle whose files lie at `place`, held to AWS's rules.

    Model and digest are the client token: the same bundle asked for twice is one package.

    Raises:
        SettingsError: the hosting image is not set, or a rule is broken.
    """
    image = needed("serve-image", settings.serve_image)
    request: dict[str, Any] = {
        "ModelPackageGroupName": model_name,
        "ModelPackageDescription": _description(bundle),
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [{"Image": image, "ModelDataUrl": f"{place}/model.tar.gz", "Framework": "ONNX"}],
            "SupportedContentTypes": list(CONTENT_TYPES),
            "SupportedResponseMIMETypes": [ANSWER_TYPE],
            "SupportedRealtimeInferenceInstanceTypes": _INSTANCE_TYPES,
            "SupportedTransformInstanceTypes": _INSTANCE_TYPES,
        },
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": f"{place}/evaluation.json"},
                "Constraints": {"ContentType": "application/json", "S3Uri": f"{place}/gate.json"},
            }
        },
        "CustomerMetadataProperties": metadata,
        "ModelCard": {"ModelCardStatus": "Draft", "ModelCardContent": model_card(bundle, model_name, gate)},
        "ClientToken": hashlib.sha256(f"{model_name} {bundle.digest}".encode()).hexdigest()[:32],
        "Domain": "COMPUTER_VISION",
        "Task": "IMAGE_CLASSIFICATION",
    }
    if (revision := bundle.manifest.provenance.git_revision) is not None:
        request["MetadataProperties"] = {"CommitId": revision}
    refuse(
        [
            *service_model("CreateModelPackage", request),
            *buckets_have_legal_names([place]),
            *image_is_in_the_region(image, region),
        ]
    )
    return request


def _description(bundle: Bundle) -> str:
    mean = bundle.manifest.mean_auroc
    auroc = "no mean AUROC" if mean is None else f"mean AUROC {mean:.3f}"
    return (
        f"Bundle {bundle.digest[:12]}, {auroc}, labels {bundle.manifest.provenance.label_version}. {RESEARCH_USE_ONLY}"
    )


def model_card(bundle: Bundle, model_name: str, gate: GateVerdict) -> str:
    """The card in the form of SageMaker's model cards: overview, uses, and AUROC by finding. JSON on one line."""
    manifest = bundle.manifest
    rows = [
        {"name": f"AUROC {finding}", "type": "number", "value": profile.auroc}
        for finding, profile in manifest.findings.items()
        if profile.auroc is not None
    ]
    if manifest.mean_auroc is not None:
        rows.insert(0, {"name": "mean AUROC", "type": "number", "value": manifest.mean_auroc})
    content = {
        "model_overview": {
            "model_name": model_name,
            "model_description": f"{len(manifest.findings)} findings on frontal chest films, each with a heat map.",
            "problem_type": "Multi-label image classification",
            "algorithm_type": manifest.architecture,
        },
        "intended_uses": {
            "purpose_of_model": RESEARCH_USE_ONLY,
            "intended_uses": "Research on frontal chest radiographs of the kind that it was trained on.",
            "factors_affecting_model_efficiency": "View, exposure, devices and patients unlike the training films'.",
            "risk_rating": "High",
        },
        "training_details": {"training_observations": f"Data {manifest.provenance.data_hash}."},
        "evaluation_details": [
            {
                "name": "test list",
                "evaluation_observation": gate.summary,
                "metric_groups": [{"name": "AUROC", "metric_data": rows}],
            }
        ],
        "additional_information": {"caveats_and_recommendations": "See model_card.md in the bundle."},
    }
    return json.dumps(content)
