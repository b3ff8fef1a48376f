"""What moto has not got of an account's limits: IAM's simulation of policies, and SageMaker's quotas."""

from __future__ import annotations

import json
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.responses import IamResponse
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

QUOTA: Final = 20.0
_USES: Final = {
    "TrainingInstanceType": ("training job usage", "spot training job usage"),
    "ProcessingInstanceType": ("processing job usage",),
    "TransformInstanceType": ("transform job usage",),
    "ProductionVariantInstanceType": ("endpoint usage",),
}


def install() -> None:
    """Answer for IAM and Service Quotas what moto does not."""
    for response, operation in (
        (IamResponse, simulate_principal_policy), (ServiceQuotasResponse, list_service_quotas)
    ):  # fmt: skip
        setattr(response, operation.__name__, operation)


def simulate_principal_policy(self: IamResponse) -> ActionResult:
    """SimulatePrincipalPolicy over the principal's own and attached policies: a denial outweighs what is allowed."""
    policies = _policies(self.backend, self._get_param("PolicySourceArn"))
    resources = self._get_param("ResourceArns", []) or ["*"]
    results = [
        {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": _decide(policies, action, resource)}
        for action in self._get_param("ActionNames", [])
        for resource in resources
    ]
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _policies(backend: Any, arn: str) -> list[IAMPolicy]:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    name = name.rsplit("/", 1)[-1]
    if kind not in ("role", "user"):
        raise NotFoundException(f"The principal {arn} is no role or user.")
    principal = backend.get_role(name) if kind == "role" else backend.get_user(name)
    own = [IAMPolicy(document) for document in principal.policies.values()]
    return own + [IAMPolicy(policy) for policy in principal.managed_policies.values()]


def _decide(policies: list[IAMPolicy], action: str, resource: str) -> str:
    found = {policy.is_action_permitted(action, resource) for policy in policies}
    if PermissionResult.DENIED in found:
        return "explicitDeny"
    return "allowed" if PermissionResult.PERMITTED in found else "implicitDeny"


def list_service_quotas(self: ServiceQuotasResponse) -> str:
    """ListServiceQuotas of SageMaker's instances: as many of each type as a small account has."""
    if json.loads(self.body)["ServiceCode"] != "sagemaker":
        raise NoSuchResource
    model = get_service_model("sagemaker")
    names = [
        f"{instance} for {use}"
        for shape, uses in _USES.items()
        for instance in model.shape_for(shape).enum
        for use in uses
    ]
    quotas = [{"ServiceCode": "sagemaker", "QuotaName": name, "Value": QUOTA, "Adjustable": True} for name in names]
    return json.dumps({"Quotas": quotas})
