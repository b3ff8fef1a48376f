"""What AWS says when it refuses, as one line with what to do."""

from __future__ import annotations

import re
from typing import Final

_CURES: Final = (
    (
        r"ResourceLimitExceeded|\bquota\b|service limit",
        "Ask for a higher quota in Service Quotas, or take another --instance-type.",
    ),
    (r"kms:|KMS|\bCMK\b", "Let the role use the KMS key (kms:Decrypt, kms:GenerateDataKey) in the key's policy."),
    (r"iam:PassRole", "Let your user pass the role: iam:PassRole on the role of --role."),
    (r"AccessDenied|not authorized|Forbidden|\b403\b", "Let your user or the job's role do it, in an IAM policy."),
    (
        r"ExpiredToken|RequestExpired|InvalidClientTokenId|UnrecognizedClient",
        "Log in again: your credentials are not valid.",
    ),
    (r"NoSuchBucket|bucket .* does not exist|\b404\b", "Create the bucket, or name another with --bucket."),
    (r"image .*not found|RepositoryNotFound|ImageNotFound", "Push the image to ECR, or name another with --image."),
    (r"CapacityError|InsufficientCapacity", "There is no such instance free: try another --instance-type, or later."),
    (r"NoCredentials|Unable to locate credentials", "Run `aws configure` or `aws sso login`, or set AWS_PROFILE."),
    (r"ProfileNotFound|config profile", "Set AWS_PROFILE to a profile of ~/.aws/config."),
    (
        r"Could not connect|ConnectTimeout|EndpointConnection|Connection was closed|Read timeout",
        "Check the network, the region, and AWS_ENDPOINT_URL.",
    ),
    (r"Cou?ld not find|Requested resource not found|ResourceNotFound", "Check the name, the region and the account."),
    (r"already exists|ResourceInUse", "Take another --job-name, or leave it out."),
)


def explain(error: Exception) -> str:
    """One line: what was asked, what AWS said, and the cure where it is known."""
    said = " ".join(str(error).split())
    operation = getattr(error, "operation_name", None)
    answer = getattr(error, "response", None)
    if operation is not None and isinstance(answer, dict):
        found = answer.get("Error", {})
        said = f"AWS refused {operation}: {found.get('Message') or 'no reason given'} ({found.get('Code')})"
    named = f"{type(error).__name__} {said}"
    cure = next((cure for pattern, cure in _CURES if re.search(pattern, named)), "")
    return f"{said.rstrip('.')}. {cure}".strip()
