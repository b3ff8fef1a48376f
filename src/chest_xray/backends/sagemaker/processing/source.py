"""A source of films in S3: what is there, the tables read and checked, and the same read here before any job."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from chest_xray.data.nih import TABLE_FILES, Manifest, choose_images, read_nih
from chest_xray.locations import S3Prefix, read_location, require_s3

if TYPE_CHECKING:
    from chest_xray.backends.sagemaker.store import Store


@dataclass(frozen=True, slots=True)
class Source:
    """A source as it lies in S3.

    Attributes:
        place: its prefix.
        tables: keys of its tables below it, in order.
        films: keys of its films, or of its archives.
        sizes: bytes of both, by key.
        digest: SHA-256 of all their names, sizes and ETags: other content has another.
        manifest: the tables, read and checked.
    """

    place: S3Prefix
    tables: list[str]
    films: list[str]
    sizes: dict[str, int]
    digest: str
    manifest: Manifest

    @classmethod
    def read(cls, store: Store, place: S3Prefix, validation_fraction: float) -> Source:
        """List a source, and fetch and check its tables: what contradicts itself costs no job.

        Raises:
            CloudError: it cannot be listed.
            DataError: it is no NIH folder, or contradicts itself.
        """
        listed = store.list(place)
        sizes = {name: item.size for name, item in listed.items()}
        images = choose_images(sizes, str(place))
        films = sorted(
            [path.removeprefix(f"{place}/") for path in images.files.values()]
            or [path.name for path in images.archives]
        )
        tables = [name for name in TABLE_FILES if name in sizes]
        with tempfile.TemporaryDirectory(prefix="cxr-tables-") as folder:
            for name in tables:
                store.download(str(place / name), Path(folder, name))
            manifest = read_nih(Path(folder), validation_fraction=validation_fraction, images=images)
        digest = hashlib.sha256()
        for name in [*tables, *films]:
            digest.update(f"{name} {listed[name].size} {listed[name].etag}\n".encode())
        return cls(place, tables, films, {name: sizes[name] for name in films}, digest.hexdigest(), manifest)

    def listing(self) -> bytes:
        """What the container reads of films that are on other hosts: bytes by name."""
        return json.dumps(self.sizes).encode()

    def manifest_file(self, names: list[str]) -> bytes:
        """S3's ManifestFile of some of its keys."""
        prefix: list[Any] = [{"prefix": f"{self.place}/"}]
        return json.dumps([*prefix, *names]).encode()

    @property
    def name(self) -> str:
        """The last part of its prefix."""
        return PurePosixPath(self.place.key).name or self.place.bucket


def copy_source(store: Store, folder: Path, validation_fraction: float) -> S3Prefix:
    """Copy an NIH folder's tables and films to S3, under what they are made of; what is there already stays.

    Raises:
        DataError: it is no NIH folder, or contradicts itself: nothing was copied.
    """
    manifest = read_nih(folder, validation_fraction=validation_fraction)
    films = [Path(path) for path in manifest.images.files.values()] or list(manifest.images.archives)
    tables = [folder / name for name in TABLE_FILES if (folder / name).is_file()]
    files = {path.relative_to(folder).as_posix(): path for path in (*tables, *films)}
    place = read_location(store.upload(files, "films", manifest.fingerprint[:16], what="films"))
    return require_s3(place, "The bucket")
