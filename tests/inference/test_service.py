"""The core that the API and the container share."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.asgi import Client
from tests.support.bundles import film, png
from tests.support.stubs import PNG, PREDICTIONS, ListAudit, StubPredictor

from chest_xray.errors import AuditError, ImageError, SettingsError, UnlikeTrainingError
from chest_xray.images.limits import Limits
from chest_xray.inference.api.app import create_app
from chest_xray.inference.predictor import OnnxPredictor
from chest_xray.inference.service import DeadlineError, PredictionService
from chest_xray.prediction import GuardVerdict, Prediction, Predictor
from chest_xray.records.metrics import Metrics


def service(predictor: Predictor, **options: Any) -> PredictionService:
    metrics = Metrics(model="tiny", version=1, digest="d")
    return PredictionService(predictor, limits=Limits(), metrics=metrics, **({"audit": None} | options))


async def ask(asked: PredictionService, images: Sequence[bytes], **options: Any) -> list[Prediction | ImageError]:
    order: dict[str, Any] = {
        "explain": (),
        "strict": False,
        "caller": "key:clinic",
        "request_id": "r1",
        "received": time.monotonic(),
    }
    return await asked.score(images, **(order | options))


def scores(result: Prediction | ImageError) -> list[float]:
    assert isinstance(result, Prediction)
    return [score.probability for score in result.findings]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_are_the_predictors_to_the_bit_and_in_the_order_of_the_images(
    tiny_predictor: OnnxPredictor, workers: int
) -> None:
    images = [png(film(seed)) for seed in range(7)]
    found = asyncio.run(ask(service(tiny_predictor, workers=workers), images))
    assert [scores(result) for result in found] == [scores(tiny_predictor.predict(image)) for image in images]


def test_an_unreadable_image_is_its_error_and_holds_nothing_of_the_decoding(tiny_predictor: OnnxPredictor) -> None:
    good, bad = asyncio.run(ask(service(tiny_predictor), [png(film()), png(film())[:200]]))
    assert scores(good) == scores(tiny_predictor.predict(png(film())))
    assert isinstance(bad, ImageError)
    assert (bad.__traceback__, bad.__cause__, bad.__context__) == (None, None, None)


def test_no_images_have_no_results(tiny_predictor: OnnxPredictor) -> None:
    assert asyncio.run(ask(service(tiny_predictor), [])) == []


def test_strict_turns_a_verdict_into_an_error_that_says_how_far_off_the_film_is(tiny_predictor: OnnxPredictor) -> None:
    verdict = GuardVerdict(in_distribution=False, distance=3.25, threshold=2.5, false_refusal_rate=0.01)
    asked = service(StubPredictor(tiny_predictor, guard=verdict))
    (error,) = asyncio.run(ask(asked, [png(film())], strict=True))
    assert isinstance(error, UnlikeTrainingError)
    assert error.code == "out_of_distribution"
    assert "its distance is 3.25; at most 2.5 is accepted" in str(error)


def test_at_most_as_many_images_are_scored_at_once_as_there_are_workers(tiny_predictor: OnnxPredictor) -> None:
    lock, inside, most = threading.Lock(), 0, 0

    def enter() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.005)
        with lock:
            inside -= 1

    async def many() -> None:
        asked = service(StubPredictor(tiny_predictor, enter), workers=2)
        await asyncio.gather(*(ask(asked, [png(film())] * 3) for _ in range(6)))
        assert (asked.scoring, asked.waiting) == (0, 0)

    asyncio.run(many())
    assert most == 2


def test_one_image_is_not_put_behind_all_of_a_large_batch(tiny_predictor: OnnxPredictor) -> None:
    async def race() -> int:
        order: list[str] = []
        asked = service(StubPredictor(tiny_predictor, lambda: time.sleep(0.002)), workers=1)

        async def note(name: str, images: Sequence[bytes]) -> None:
            await ask(asked, images)
            order.append(name)

        batch = asyncio.create_task(note("batch", [png(film())] * 20))
        await asyncio.sleep(0)
        await asyncio.gather(batch, note("one", [png(film())]))
        return order.index("one")

    assert asyncio.run(race()) == 0


def test_past_the_deadline_nothing_is_computed(tiny_predictor: OnnxPredictor) -> None:
    calls: list[int] = []
    asked = service(StubPredictor(tiny_predictor, lambda: calls.append(1)), deadline_seconds=5.0)
    with pytest.raises(DeadlineError, match="not there 5 s after") as caught:
        asyncio.run(ask(asked, [png(film())], received=time.monotonic() - 5.0))
    assert not calls
    assert caught.value.headers == {"Retry-After": "5"}


def test_who_waits_until_the_deadline_leaves_the_queue(tiny_predictor: OnnxPredictor) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go_on.wait(60)

    async def wait() -> list[Prediction | ImageError]:
        asked = service(StubPredictor(tiny_predictor, hold), workers=1, deadline_seconds=0.05)
        first = asyncio.create_task(ask(asked, [png(film())]))
        await asyncio.to_thread(held.wait, 60)
        with pytest.raises(DeadlineError):
            await ask(asked, [png(film())])
        assert (asked.waiting, asked.scoring) == (0, 1)
        go_on.set()
        return await first

    # What a thread had taken up in time is answered, even where it then took long.
    assert scores(asyncio.run(wait())[0]) == scores(tiny_predictor.predict(png(film())))


def test_a_batch_that_meets_the_deadline_takes_up_no_more_images(tiny_predictor: OnnxPredictor) -> None:
    calls: list[int] = []

    def slow() -> None:
        calls.append(1)
        time.sleep(0.03)

    asked = service(StubPredictor(tiny_predictor, slow), workers=1, deadline_seconds=0.05)
    with pytest.raises(DeadlineError):
        asyncio.run(ask(asked, [png(film())] * 30))
    assert len(calls) < 5


def test_an_image_is_let_go_of_once_it_is_scored(tiny_predictor: OnnxPredictor) -> None:
    gone: list[int] = []
    gone_before: list[int] = []

    class Bytes(bytes):
        def __del__(self) -> None:
            gone.append(1)

    asked = service(StubPredictor(tiny_predictor, lambda: gone_before.append(len(gone))), workers=1)
    scoring = asked.score(
        [Bytes(png(film(seed))) for seed in range(4)],
        explain=(),
        strict=False,
        caller="local",
        request_id="r1",
        received=time.monotonic(),
    )
    asyncio.run(scoring)
    assert gone_before == [0, 1, 2, 3]


def test_the_audit_has_a_line_for_each_image_before_the_answer(tiny_predictor: OnnxPredictor) -> None:
    audit = ListAudit()
    before = datetime.now(UTC)
    image = png(film())
    (good, _) = asyncio.run(ask(service(tiny_predictor, audit=audit, workers=1), [image, b"DOE^JANE"]))
    assert isinstance(good, Prediction)
    scored, refused = audit.entries
    assert before <= scored.time <= refused.time <= datetime.now(UTC)
    assert {(e.request_id, e.caller, e.model) for e in audit.entries} == {("r1", "key:clinic", tiny_predictor.identity)}
    assert (scored.image, scored.media_type, scored.outcome, scored.code) == (
        f"{len(image)} bytes",
        "image/png",
        "scored",
        None,
    )
    assert scored.in_distribution is True
    assert scored.flagged == tuple(score.finding for score in good.findings if score.flag) != ()
    assert (refused.image, refused.media_type, refused.outcome, refused.code) == (
        "8 bytes",
        None,
        "refused",
        "image_unreadable",
    )
    assert (refused.in_distribution, refused.flagged) == (None, ())


def test_without_an_audit_line_there_is_no_answer(
    tiny_predictor: OnnxPredictor, caplog: pytest.LogCaptureFixture
) -> None:
    audit = ListAudit(failure=AuditError("The audit log /srv/audit cannot be written."))
    response = Client(create_app(tiny_predictor, audit=audit)).post(PREDICTIONS, content=png(film()), headers=PNG)
    assert (response.status_code, response.json()["code"]) == (503, "audit_unwritable")
    assert response.headers["retry-after"] == "10"
    assert "/srv/audit" not in response.text
    assert "/srv/audit" in caplog.text


def test_the_callers_name_reaches_the_audit(tiny_predictor: OnnxPredictor) -> None:
    audit = ListAudit()

    class Named:
        def identify(self, headers: object, client: str | None) -> str:
            return "key:clinic"

    for access in (None, Named()):
        client = Client(create_app(tiny_predictor, audit=audit, access=access))
        assert client.post(PREDICTIONS, content=png(film()), headers=PNG).status_code == 200
    assert [entry.caller for entry in audit.entries] == ["local", "key:clinic"]


@pytest.mark.parametrize("failure", [RuntimeError, SettingsError, MemoryError])
def test_an_unforeseen_failure_ends_the_request_and_frees_the_worker(
    tiny_predictor: OnnxPredictor, failure: type[Exception]
) -> None:
    def fail() -> None:
        raise failure("DOE")

    asked = service(StubPredictor(tiny_predictor, fail), workers=1)

    async def twice() -> None:
        for images in (1, 4):
            with pytest.raises(failure):
                await ask(asked, [png(film())] * images)
        assert (asked.scoring, asked.waiting) == (0, 0)

    asyncio.run(twice())


def test_other_work_of_the_threads_counts_against_the_same_places(tiny_predictor: OnnxPredictor) -> None:
    async def both() -> list[int]:
        asked = service(tiny_predictor, workers=1)
        order: list[int] = []

        def note(number: int) -> Callable[[], None]:
            return lambda: order.append(number)

        await asyncio.gather(*(asked.run(note(number)) for number in range(5)))
        return order

    assert asyncio.run(both()) == [0, 1, 2, 3, 4]
