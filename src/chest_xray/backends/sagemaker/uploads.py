"""What a training job reads: shards, configuration, and weights to start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chest_xray.backends.sagemaker.training_request import Places
from chest_xray.data.index import INDEX_FILE
from chest_xray.data.shards import DATASET_FILE, Shards, read_dataset
from chest_xray.errors import SettingsError
from chest_xray.files import sha256_of
from chest_xray.training.container import CONFIG_FILE, INIT_CHANNEL

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.store import Store
    from chest_xray.settings import Settings
    from chest_xray.training.config import TrainConfig

_PLANNED = "0" * 16


@dataclass(frozen=True, slots=True)
class Inputs:
    """Files of this machine, by the name that the container finds; `config` is as the container reads it."""

    shards: dict[str, Path]
    data_hash: str
    config: TrainConfig
    init: Path | None
    imagenet: Path | None

    @classmethod
    def read(cls, data: Path, config: TrainConfig, settings: Settings) -> Inputs:
        """Look at the files, and refuse what training would refuse.

        Raises:
            DataError: `data` is no finished shard folder.
            SettingsError: the weights to start from are not there.
        """
        data_hash = Shards.open(data).data_hash
        names = [*(shard["file"] for shard in read_dataset(data)["shards"]), INDEX_FILE, DATASET_FILE]
        init = None if config.init in ("none", "imagenet") else Path(config.init)
        imagenet = settings.imagenet_weights if config.init == "imagenet" else None
        for path in (init, imagenet):
            if path is not None and not path.is_file():
                raise SettingsError(f"There are no weights at {path} to start from.")
        if init is not None:
            config = config.model_copy(update={"init": f"input/data/{INIT_CHANNEL}/{init.name}"})
        return cls({name: data / name for name in names}, data_hash, config, init, imagenet)

    def planned(self, store: Store, job: str) -> Places:
        """Places of the same form as `upload` gives, before anything is there."""
        return self._places(store, job, store.uri("config", _PLANNED))

    def upload(self, store: Store, job: str) -> Places:
        """Copy what S3 does not have yet."""
        store.upload(self.shards, "data", self.data_hash, what="shards")
        for path in (self.init, self.imagenet):
            if path is not None:
                store.upload({path.name: path}, "weights", sha256_of(path)[:16], what=path.name)
        config = store.put(self.config.model_dump_json(indent=2).encode(), "config", CONFIG_FILE)
        return self._places(store, job, config)

    def _places(self, store: Store, job: str, config: str) -> Places:
        return Places(
            data=store.uri("data", self.data_hash),
            config=config,
            init=_weights(store, self.init),
            imagenet=_weights(store, self.imagenet),
            checkpoints=store.uri("checkpoints", job),
            output=store.uri("jobs"),
        )


def _weights(store: Store, path: Path | None) -> str | None:
    return None if path is None else store.uri("weights", sha256_of(path)[:16], path.name)
