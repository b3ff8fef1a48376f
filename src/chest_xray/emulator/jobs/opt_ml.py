"""The folder that a training container finds at /opt/ml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chest_xray.emulator.runtime import OPT_ML
from chest_xray.emulator.storage import Storage


def lay_out(root: Path, request: Mapping[str, Any], storage: Storage, host: str, hosts: Sequence[str]) -> None:
    """Write input, configuration and restored checkpoints of one host below `root`.

    Raises:
        MissingDataError: a channel has nothing in S3.
    """
    for name in ("model", "output/data", "input/data", "input/config"):
        (root / name).mkdir(parents=True)
    config = root / "input" / "config"
    _write(config / "hyperparameters.json", request.get("HyperParameters", {}))
    _write(config / "inputdataconfig.json", _input_config(request))
    _write(config / "resourceconfig.json", _resource_config(request, host, hosts))
    for channel in request.get("InputDataConfig", ()):
        folder = root / "input" / "data" / channel["ChannelName"]
        storage.download(
            channel["DataSource"]["S3DataSource"], folder, part=hosts.index(host), parts=len(hosts)
        )  # fmt: skip
    if (checkpoints := request.get("CheckpointConfig")) is not None:
        storage.restore(checkpoints["S3Uri"], checkpoint_folder(root, request))


def checkpoint_folder(root: Path, request: Mapping[str, Any]) -> Path:
    """Where the container keeps what is copied to S3 while it runs."""
    return Path(inside(request["CheckpointConfig"].get("LocalPath", f"{OPT_ML}/checkpoints"), root))


def inside(text: str, root: Path) -> str:
    """A process has no /opt/ml of its own: the path stands for its folder wherever it is written."""
    return text.replace(OPT_ML, str(root))


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _input_config(request: Mapping[str, Any]) -> dict[str, Any]:
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": channel.get("InputMode", mode),
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        for channel in request.get("InputDataConfig", ())
    }


def _resource_config(request: Mapping[str, Any], host: str, hosts: Sequence[str]) -> dict[str, Any]:
    kind = request["ResourceConfig"].get("InstanceType", "local")
    group = {"instance_group_name": "homogeneousCluster", "instance_type": kind, "hosts": list(hosts)}
    return {
        "current_host": host,
        "current_instance_type": kind,
        "current_group_name": "homogeneousCluster",
        "hosts": list(hosts),
        "instance_groups": [group],
        "network_interface_name": "lo",
    }
