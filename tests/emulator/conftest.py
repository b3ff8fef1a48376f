"""The emulator, and clients of it as any program makes them."""

from typing import Any

import pytest
from tests.support.emulators import client, shared_emulator

from chest_xray.emulator.server import Emulator


@pytest.fixture
def emulator() -> Emulator:
    return shared_emulator()


@pytest.fixture
def sagemaker() -> Any:
    return client("sagemaker")


@pytest.fixture
def s3() -> Any:
    return client("s3")


@pytest.fixture
def logs() -> Any:
    return client("logs")
