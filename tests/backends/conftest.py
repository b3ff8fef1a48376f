"""Bundles for registries, and both registries."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from tests.support.bundles import write_bundle
from tests.support.emulators import variables

from chest_xray.backends.local.registry import Registry
from chest_xray.backends.registry import ModelRegistry
from chest_xray.backends.sagemaker.aws import Aws
from chest_xray.backends.sagemaker.registry.registry import PackageRegistry
from chest_xray.bundle import Bundle
from chest_xray.emulator.account import image_name
from chest_xray.promotion.gate import GateRules, GateVerdict, judge_first
from chest_xray.settings import Settings, load_hosting_settings

NewBundle = Callable[[], Bundle]
PASSED = judge_first(0.7, GateRules())
CHECK = {"scope": "mean", "difference": 0.01, "ci95": (0, 0.02), "margin": 0.01, "basis": "interval", "passed": True}


def against(champion: int, digest: str, **changes: object) -> GateVerdict:
    """A verdict that passed against a champion."""
    passed = {"outcome": "passed", "champion": champion, "champion_digest": digest, "rules": GateRules(), "reasons": []}
    return GateVerdict.model_validate(passed | {"checks": [CHECK]} | changes)


@pytest.fixture(scope="session")
def new_bundle(tmp_path_factory: pytest.TempPathFactory) -> NewBundle:
    """Makes a bundle like no other."""
    folder = tmp_path_factory.mktemp("bundles")
    numbers = count()

    def make() -> Bundle:
        number = next(numbers)
        return write_bundle(folder / str(number), mean_auroc=0.7 + number / 1000)

    return make


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), mlflow_tracking_uri=None)


@pytest.fixture(scope="session")
def mlflow_registry(settings: Settings) -> Registry:
    """One registry for all tests, which use models of their own: making its database takes seconds."""
    return Registry(settings)


@pytest.fixture(scope="session")
def package_registry() -> PackageRegistry:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables(Path()).items():
            patch.setenv(name, value)
        settings = load_hosting_settings({"serve_image": image_name("us-east-1", "serve")})
        aws = Aws("us-east-1")
        # Later tests have an environment of their own.
        for service in ("sagemaker", "s3"):
            aws.client(service)
    return PackageRegistry(settings, aws)


@pytest.fixture(params=["mlflow", "sagemaker"])
def registry(request: pytest.FixtureRequest) -> ModelRegistry:
    """Each in turn: what holds for one holds for the other."""
    found: ModelRegistry = request.getfixturevalue(f"{'mlflow' if request.param == 'mlflow' else 'package'}_registry")
    return found


@pytest.fixture
def another(registry: ModelRegistry, settings: Settings) -> ModelRegistry:
    """The same registry as another process has it."""
    if isinstance(registry, PackageRegistry):
        return PackageRegistry(registry._settings, registry._aws)
    return Registry(settings)
