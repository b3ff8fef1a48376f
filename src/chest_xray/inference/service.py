"""The core that the API and the SageMaker container share: images in, audited predictions out.

Each image is scored in a worker thread. One film keeps all processors busy in the network; as many films at once as
there are processors hide the decoding. What waits, waits on the event loop and costs no thread. A thread cannot be
stopped: when its caller has gone, it keeps its place among the threads until it is done.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from chest_xray.cpus import available_cpus
from chest_xray.errors import ImageError
from chest_xray.images.film import FullFilm
from chest_xray.images.limits import Limits
from chest_xray.inference.http.bounds import DEADLINE_SECONDS
from chest_xray.inference.http.problems import ApiError, image_code
from chest_xray.inference.scoring import Order, flagged, score_film, show_film
from chest_xray.prediction import ModelIdentity, Prediction, Predictor
from chest_xray.records.audit import Audit
from chest_xray.records.metrics import Metrics

_T = TypeVar("_T")
_RETRY_SECONDS: Final = 5


class DeadlineError(ApiError):
    """The answer would have come too late to be of use."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "deadline_exceeded",
            f"The answer was not there {seconds:g} s after the request's last byte. Ask later, or of fewer images.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )


@dataclass(frozen=True, slots=True)
class _Request:
    """What one request asks of each of its images. `until` and `received` are times of `time.monotonic`."""

    order: Order
    received: float
    until: float


class PredictionService:
    """Scores images for callers, a bounded number at a time. Belongs to one event loop."""

    def __init__(
        self,
        predictor: Predictor,
        *,
        limits: Limits,
        audit: Audit | None,
        metrics: Metrics,
        deadline_seconds: float = DEADLINE_SECONDS,
        workers: int | None = None,
    ) -> None:
        self.predictor: Final = predictor
        self.limits: Final = limits
        self.metrics: Final = metrics
        self._audit = audit
        self._deadline = deadline_seconds
        self._workers = workers or available_cpus()
        self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="score")
        self._places = asyncio.Semaphore(self._workers)
        self.scoring = 0
        self.waiting = 0
        metrics.add_gauge("cxr_images_scoring", "Images in a worker thread.", lambda: self.scoring)
        metrics.add_gauge("cxr_images_waiting", "Images waiting for a worker thread.", lambda: self.waiting)

    @property
    def identity(self) -> ModelIdentity:
        """The model that answers."""
        return self.predictor.identity

    async def score(
        self,
        images: Sequence[bytes],
        *,
        explain: Collection[str],
        strict: bool,
        caller: str,
        request_id: str,
        received: float,
    ) -> list[Prediction | ImageError]:
        """Score the bytes of image files; the results are in their order.

        An image that cannot be read has its ImageError in the list; with `strict`, so has a film that the guard or a
        quality check does not accept. Each image is let go of once it is scored, if the caller does not keep it.
        `received` is the `time.monotonic` of the request's last byte: the deadline is measured from it. An image that
        no thread took up before the deadline has no line in the audit log, as nothing of it was read.

        Raises:
            DeadlineError: not every image was taken up in time. There is no partial answer.
            AuditError: the audit log cannot be written.
            SettingsError: `explain` has a name that is no finding.
        """
        order = Order(caller, request_id, explain, strict)
        asked = _Request(order, received, received + self._deadline)
        pending = deque(enumerate(images))
        results: list[Prediction | ImageError | None] = [None] * len(pending)
        del images

        async def work() -> None:
            while pending:
                index, image = pending.popleft()
                results[index] = await self._score_one(image, asked)

        try:
            # No more at once than there are threads: whoever comes with one image is not put behind sixty-four.
            await _all_of(work, min(self._workers, len(pending)))
        except DeadlineError:
            self.metrics.count_refusal("deadline_exceeded")
            raise
        finally:
            pending.clear()
        return [result for result in results if result is not None]

    async def view(self, image: bytes, *, caller: str, request_id: str, received: float) -> FullFilm:
        """Decode the bytes of an image file for a viewer; recorded as `viewed`, as a film that was looked at.

        Raises:
            ImageError: the bytes are not an image that can be read.
            DeadlineError: no thread took it up in time.
            AuditError: the audit log cannot be written.
        """
        order = Order(caller, request_id)
        work = partial(show_film, self.identity, self._audit, image, order, self.limits)
        del image
        running = self.run(work, until=received + self._deadline)
        del work
        try:
            result = await running
        except DeadlineError:
            self.metrics.count_refusal("deadline_exceeded")
            raise
        if isinstance(result, ImageError):
            self.metrics.count_refused_image(image_code(result))
            raise result
        self.metrics.count_viewed()
        return result

    async def run(self, work: Callable[[], _T], *, until: float = math.inf) -> _T:
        """The result of `work`, done by a worker thread that takes it up before `until`.

        Raises:
            DeadlineError: no thread was free in time.
        """
        await self._enter(until)
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        del work
        running.add_done_callback(self._leave)
        return await asyncio.shield(running)

    async def _enter(self, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise DeadlineError(self._deadline)
        self.waiting += 1
        try:
            async with asyncio.timeout(left if math.isfinite(left) else None):
                await self._places.acquire()
        except TimeoutError as error:
            raise DeadlineError(self._deadline) from error
        finally:
            self.waiting -= 1
        self.scoring += 1

    def _leave(self, _: object) -> None:
        self.scoring -= 1
        self._places.release()

    async def _score_one(self, image: bytes, asked: _Request) -> Prediction | ImageError:
        work = partial(self._in_thread, image, asked, time.monotonic())
        del image
        running = self.run(work, until=asked.until)
        del work
        result = await running
        self._count(result)
        return result

    def _in_thread(self, image: bytes, asked: _Request, waiting_since: float) -> Prediction | ImageError:
        queued = time.monotonic() - waiting_since
        result = score_film(self.predictor, self._audit, image, asked.order)
        if isinstance(result, ImageError):
            return result
        stages = {
            **result.timings_ms,
            "queue": queued * 1e3,
            "total": (time.monotonic() - asked.received) * 1e3,
        }
        return replace(result, timings_ms=stages)

    def _count(self, result: Prediction | ImageError) -> None:
        if isinstance(result, ImageError):
            self.metrics.count_refused_image(image_code(result))
            return
        self.metrics.count_scored(
            in_distribution=result.guard.in_distribution,
            warnings=[warning.check for warning in result.quality],
            flagged=flagged(result),
        )
        for stage, milliseconds in result.timings_ms.items():
            self.metrics.observe_stage(stage, milliseconds)


async def _all_of(work: Callable[[], Coroutine[None, None, None]], times: int) -> None:
    if times == 1:
        await work()
    else:
        await asyncio.gather(*(work() for _ in range(times)))
