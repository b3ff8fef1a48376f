"""Score a folder: films are read and scored by threads, their rows kept in parts as they come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chest_xray.batch.films import FilmFile, find_films
from chest_xray.batch.scores import Row, ScoresFolder, row_of
from chest_xray.console import progress, say
from chest_xray.cpus import available_cpus
from chest_xray.errors import DataError, ImageError
from chest_xray.inference.scoring import Order, score_film
from chest_xray.lock import only_one
from chest_xray.prediction import Prediction, Predictor

if TYPE_CHECKING:
    import pyarrow as pa

    from chest_xray.records.audit import Audit

# What a kill may cost.
PART_ROWS: Final = 1000
PART_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a folder's films.

    `refused` counts films by the code of their refusal; `flagged` are scored films with a flagged finding and
    `withheld` those whose scores are not to be read. `now` films were scored or refused by this run, in `seconds`.
    """

    scores: Path
    films: int
    scored: int
    refused: dict[str, int]
    flagged: int
    withheld: int
    now: int
    seconds: float


def score_folder(
    predictor: Predictor, source: Path, output: Path, order: Order, *, audit: Audit | None, threads: int | None = None
) -> Summary:
    """Score every film below `source` that `output` has no row of yet.

    Ctrl-C and a kill keep what was scored; the same call goes on. A film that changed since is scored again, and the
    row of one that is gone leaves.

    Raises:
        DataError: no films, the scores of another model, or another process at work in `output`.
        AuditError: the audit log cannot be written. What was scored before is kept.
    """
    films, others = find_films(source)
    if others:
        say(f"{others} files of {source} are no films by their names: passed over.")
    folder = ScoresFolder(output, predictor.identity, list(predictor.manifest.findings))
    busy = DataError(f"Another process scores into {output}: wait for it, or use another --output.")
    with only_one(output / ".lock", busy, wait_seconds=0):
        done = folder.done()
        left = [film for film in films if (film.key, film.bytes, film.modified_ns) not in done]
        if len(left) < len(films):
            say(f"{len(films) - len(left)} of {len(films)} films are scored already.")
        started = time.monotonic()
        with progress("Scoring", len(left), unit="films") as advance:
            _score(predictor, left, _Keep(folder, advance), order, audit, threads or available_cpus())
        table = folder.finish(film.key for film in films)
        return _summary(folder, table, now=len(left), seconds=time.monotonic() - started)


def _score(
    predictor: Predictor, films: Sequence[FilmFile], keep: _Keep, order: Order, audit: Audit | None, threads: int
) -> None:
    """Two films a thread are under way, so that reading one never keeps a processor waiting."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    waiting = iter(films)
    running: set[Future[Row]] = set()

    def fill() -> None:
        while len(running) < 2 * threads and (film := next(waiting, None)) is not None:
            running.add(pool.submit(_row, predictor, film, order, audit))

    try:
        fill()
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                keep(future.result())
                running.remove(future)
            fill()
    finally:
        pool.shutdown(cancel_futures=True)
        # Whatever ended the loop: films that the audit log knows have their rows.
        for future in running:
            if not future.cancelled() and future.exception() is None:
                keep(future.result())
        keep.flush()


class _Keep:
    """Collects rows, and writes them as a part when a kill would cost too much."""

    def __init__(self, folder: ScoresFolder, advance: Callable[[int], None]) -> None:
        self._folder, self._advance = folder, advance
        self._rows: list[Row] = []
        self._written = time.monotonic()

    def __call__(self, row: Row) -> None:
        self._rows.append(row)
        self._advance(1)
        if len(self._rows) >= PART_ROWS or time.monotonic() - self._written >= PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._folder.add(self._rows)
        self._rows.clear()
        self._written = time.monotonic()


def _row(predictor: Predictor, film: FilmFile, order: Order, audit: Audit | None) -> Row:
    result: Prediction | ImageError
    try:
        image = film.path.read_bytes()
    except OSError as error:
        result = ImageError(f"The file cannot be read: {error.strerror}.")
    else:
        result = score_film(predictor, audit, image, order)
    return row_of(film, result)


def _summary(folder: ScoresFolder, table: pa.Table, *, now: int, seconds: float) -> Summary:
    scored = [outcome == "scored" for outcome in table["outcome"].to_pylist()]
    codes = Counter(code for code in table["code"].to_pylist() if code is not None)
    flags = [table[name].to_pylist() for name in table.column_names if name.endswith(".flag")]
    return Summary(
        scores=folder.file,
        films=table.num_rows,
        scored=sum(scored),
        refused=dict(sorted(codes.items())),
        flagged=sum(any(of_film) for of_film in zip(*flags, strict=True)) if flags else 0,
        withheld=table.num_rows - table["withheld"].null_count,
        now=now,
        seconds=round(seconds, 3),
    )
