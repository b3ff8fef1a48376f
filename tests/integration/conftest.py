"""`pytest tests/integration --aws-profile NAME`: the journey on a real account, with everything deleted at the end.

    export CXR_SAGEMAKER_BUCKET=... CXR_SAGEMAKER_ROLE=... CXR_SAGEMAKER_IMAGE=... CXR_SAGEMAKER_SERVE_IMAGE=...

It costs cents: two small processing instances and one small training instance for some minutes each.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import boto3
import pytest
from tests.integration.account import NEEDED, Account
from tests.support.processes import environment

OPTION = "--aws-profile"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Without the option nothing is asked of AWS."""
    parser.addoption(OPTION, help="profile of the AWS account to test on; `emulator` takes the one of the environment")


@pytest.fixture(scope="session")
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """What the commands need; all that they make is deleted afterwards."""
    profile = request.config.getoption(OPTION, default=None)
    if profile is None:
        pytest.skip(f"needs an AWS account: {OPTION} NAME")
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.fail(f"{', '.join(missing)} must be set")
    given = {name: value for name, value in os.environ.items() if name.startswith("CXR_SAGEMAKER_")}
    run = f"cxr-test-{uuid.uuid4().hex[:8]}"
    session = boto3.session.Session(profile_name=None if profile == "emulator" else profile)
    env = environment() | given | ({} if profile == "emulator" else {"AWS_PROFILE": profile})
    env |= {"CXR_SAGEMAKER_PREFIX": run, "CXR_SAGEMAKER_TAGS": "made-by=cxr-integration-test"}
    found = Account(session, env, run, tmp_path_factory.mktemp("account") / "home")
    try:
        yield found
    finally:
        found.delete_everything()
