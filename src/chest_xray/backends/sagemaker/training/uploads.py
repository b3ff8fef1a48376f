"""What a training job reads: shards, configuration, and weights to start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chest_xray.backends.sagemaker.datasets import read_remote
from chest_xray.backends.sagemaker.training.request import Places
from chest_xray.data.index import INDEX_FILE
from chest_xray.data.shards import DATASET_FILE, Shards, read_dataset
from chest_xray.errors import SettingsError
from chest_xray.files import sha256_of
from chest_xray.locations import Location, S3Prefix
from chest_xray.training.container import CONFIG_FILE, INIT_CHANNEL

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.store import Store
    from chest_xray.settings import Settings
    from chest_xray.training.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the container finds, by its names: files of this machine, or shards that lie in S3 already.

    `config` is as the container reads it.
    """

    shards: dict[str, Path] | S3Prefix
    data_hash: str
    config: TrainConfig
    init: Path | None
    imagenet: Path | None

    @classmethod
    def read(cls, data: Location, config: TrainConfig, settings: Settings, store: Store) -> Inputs:
        """Look at the files, and refuse what training would refuse.

        Raises:
            DataError: `data` is no finished shard folder, or prefix.
            SettingsError: the weights to start from are not there.
            CloudError: a prefix cannot be read.
        """
        shards, data_hash = _shards(data, store)
        init = None if config.init in ("none", "imagenet") else Path(config.init)
        imagenet = settings.imagenet_weights if config.init == "imagenet" else None
        for path in (init, imagenet):
            if path is not None and not path.is_file():
                raise SettingsError(f"There are no weights at {path} to start from.")
        if init is not None:
            config = config.model_copy(update={"init": f"input/data/{INIT_CHANNEL}/{init.name}"})
        return cls(shards, data_hash, config, init, imagenet)

    def places(self, store: Store, job: str) -> Places:
        """Where all of it lies, or will lie after `upload`."""
        return Places(
            data=store.uri("data", self.data_hash) if isinstance(self.shards, dict) else str(self.shards),
            config=store.place(self._config_file(), "config"),
            init=_weights(store, self.init),
            imagenet=_weights(store, self.imagenet),
            checkpoints=store.uri("checkpoints", job),
            output=store.uri("jobs"),
        )

    def upload(self, store: Store) -> None:
        """Copy what S3 does not have yet."""
        for folders, files in self._files().items():
            store.upload(files, *folders, what="shards" if folders[0] == "data" else next(iter(files)))
        store.put(self._config_file(), "config", CONFIG_FILE)

    def plan(self, store: Store) -> list[dict[str, Any]]:
        """The requests that `upload` makes where S3 has nothing yet; `bytes` is the object's size."""
        sizes = {
            f"{store.uri(*folders)}/{name}": path.stat().st_size
            for folders, files in self._files().items()
            for name, path in files.items()
        }
        config = self._config_file()
        sizes[f"{store.place(config, 'config')}/{CONFIG_FILE}"] = len(config)
        return [{"service": "s3", "operation": "PutObject", "to": to, "bytes": size} for to, size in sizes.items()]

    def _files(self) -> dict[tuple[str, ...], dict[str, Path]]:
        """What is uploaded, by the folders of its place and then by its name there."""
        files: dict[tuple[str, ...], dict[str, Path]] = {}
        if isinstance(self.shards, dict):
            files["data", self.data_hash] = self.shards
        for path in (self.init, self.imagenet):
            if path is not None:
                files["weights", sha256_of(path)[:16]] = {path.name: path}
        return files

    def _config_file(self) -> bytes:
        return self.config.model_dump_json(indent=2).encode()


def _shards(data: Location, store: Store) -> tuple[dict[str, Path] | S3Prefix, str]:
    if isinstance(data, S3Prefix):
        return data, str(read_remote(store, data)["data_hash"])
    names = [*(shard["file"] for shard in read_dataset(data)["shards"]), INDEX_FILE, DATASET_FILE]
    return {name: data / name for name in names}, Shards.open(data).data_hash


def _weights(store: Store, path: Path | None) -> str | None:
    return None if path is None else store.uri("weights", sha256_of(path)[:16], path.name)
