"""Model packages: what moto erases is kept, and a client token makes one package.

moto's UpdateModelPackage sets every member that a request does not have to nothing, and its CreateModelPackage forgets
the model card and makes a second package for the same token.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse

from chest_xray.emulator.operations.checks import hold_to_service_model, refuse

# Members that moto has no place for, and attributes that hold them.
_FORGOTTEN = {"ModelCard": "model_card", "ModelLifeCycle": "model_life_cycle"}


def install() -> None:
    """Answer moto's requests about model packages from here."""
    first = {name: getattr(SageMakerResponse, name) for name in ("create_model_package", "describe_model_package")}
    lock = threading.Lock()

    def create_model_package(self: SageMakerResponse) -> ActionResult:
        request = json.loads(self.body)
        hold_to_service_model("CreateModelPackage", request)
        with lock:
            token = request.get("ClientToken")
            for package in self.sagemaker_backend.model_packages.values():
                if token is not None and package.client_token == token:
                    return ActionResult({"ModelPackageArn": package.arn})
            arn = first["create_model_package"](self).result["ModelPackageArn"]
            _keep(self.sagemaker_backend.model_packages[arn], request)
            return ActionResult({"ModelPackageArn": arn})

    def describe_model_package(self: SageMakerResponse) -> ActionResult:
        package = _find(self, json.loads(self.body)["ModelPackageName"])
        kept = {member: getattr(package, attribute, None) for member, attribute in _FORGOTTEN.items()}
        described = first["describe_model_package"](self).result
        return ActionResult({**described, **{member: value for member, value in kept.items() if value is not None}})

    def update_model_package(self: SageMakerResponse) -> ActionResult:
        request = json.loads(self.body)
        hold_to_service_model("UpdateModelPackage", request)
        package = _find(self, request["ModelPackageArn"])
        if "ModelApprovalStatus" in request:
            package.set_model_approval_status(request["ModelApprovalStatus"])
        if "ApprovalDescription" in request:
            package.approval_description = request["ApprovalDescription"]
        metadata = dict(package.customer_metadata_properties or {}) | request.get("CustomerMetadataProperties", {})
        for name in request.get("CustomerMetadataPropertiesToRemove", ()):
            metadata.pop(name, None)
        package.customer_metadata_properties = metadata or None
        package.add_additional_inference_specifications(request.get("AdditionalInferenceSpecificationsToAdd"))
        _keep(package, request)
        package.modifications_done()
        return ActionResult({"ModelPackageArn": package.arn})

    for operation in (create_model_package, describe_model_package, update_model_package):
        setattr(SageMakerResponse, operation.__name__, operation)


def _find(response: SageMakerResponse, name: str) -> Any:
    backend = response.sagemaker_backend
    package = backend.model_packages.get(backend.model_package_name_mapping.get(name, name))
    if package is None:
        refuse(f"Model package {name} does not exist.")
    return package


def _keep(package: Any, request: dict[str, Any]) -> None:
    for member, attribute in _FORGOTTEN.items():
        if member in request:
            setattr(package, attribute, request[member])
