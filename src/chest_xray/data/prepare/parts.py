"""A source that several machines prepare: each decodes its own films into parts, and one puts the shards together.

A part is a file of rows with what became of each image beside it (`NAME.json`). The shards, the index and
`dataset.json` are the same bytes as those of `prepare_data` over the whole source, however the films were dealt out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from chest_xray.data.nih import ImageFiles, Manifest
from chest_xray.data.prepare.pack_source import (
    Advance,
    PackedSource,
    PackSettings,
    Rows,
    open_rows,
    pack_unpacked,
    put_together,
    rows_path,
    stream_archives,
)
from chest_xray.data.prepare.prepare import CLAIM_FILE, PrepareReport, encode_claim, make_claim, report_on
from chest_xray.data.prepare.shard_files import PROGRESS_FOLDER, read_record, record_path
from chest_xray.data.prepare.write_dataset import write_dataset
from chest_xray.errors import DataError
from chest_xray.files import sha256_of, write_atomically

_RECORD: Final = ".json"


def write_parts(images: ImageFiles, wanted: frozenset[str], settings: PackSettings, name: str, advance: Advance) -> int:
    """Decode one machine's films into parts in `settings.output`; returns how many films.

    Args:
        images: what this machine has.
        wanted: images that have a row in the CSV.
        settings: `output` is a new folder.
        name: of the machine, with which its parts' names begin.
        advance: told of films, or of archives.
    """
    into = settings.output
    work = into / f".{name}"
    work.mkdir(parents=True)
    (work / PROGRESS_FOLDER).mkdir()
    inside = replace(settings, output=work)
    if images.archives:
        _, decoded = stream_archives(images, wanted, inside, advance)
        made = [(archive.name, rows_path(inside, archive)) for archive in images.archives]
    else:
        packed = pack_unpacked(images, wanted, inside, advance)
        decoded = packed.decoded
        made = [(plan.file, work / plan.file) for plan, _ in packed.shards]
    for file, rows in made:
        part = into / f"{name}-{rows.name}"
        rows.replace(part)
        record_path(work, file).replace(part.with_name(part.name + _RECORD))
    shutil.rmtree(work)
    return decoded


def assemble(manifest: Manifest, parts: Path, settings: PackSettings, validation_fraction: float) -> PrepareReport:
    """Put the shards of a source together from all machines' parts.

    Raises:
        DataError: a part is damaged, or an image is in two of them.
    """
    output = settings.output
    (output / PROGRESS_FOLDER).mkdir(parents=True, exist_ok=True)
    rows = list(_open_parts(parts, settings.image_size))
    listed = {entry.image for entry in manifest.entries}
    unlisted = len(manifest.images.files.keys() - listed) + sum(part.finished.unlisted for part in rows)
    packed = PackedSource(put_together(rows, settings), 0, unlisted)
    claim = make_claim(manifest, settings, validation_fraction)
    write_atomically(output / CLAIM_FILE, encode_claim(claim))
    write_dataset(manifest, packed, settings, validation_fraction)
    shutil.rmtree(output / PROGRESS_FOLDER)
    return report_on(output, 0.0)


def _open_parts(folder: Path, image_size: int) -> Iterator[Rows]:
    for record in sorted(folder.glob(f"*{_RECORD}")):
        path = record.with_name(record.name.removesuffix(_RECORD))
        finished = read_record(record)
        if not path.is_file() or sha256_of(path) != finished.sha256:
            raise DataError(f"{path} is not what was written: prepare the source again.")
        yield Rows(path.name, open_rows(path, image_size), finished)
