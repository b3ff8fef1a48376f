"""Who is let in, under which name, and how often."""

import asyncio
import hmac
import json
import logging
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from chest_xray.inference.http import access as access_module
from chest_xray.inference.http.access import (
    OPEN_PATHS,
    Access,
    AccessControl,
    EitherAccess,
    KeyAccess,
    OpenAccess,
    ProxyAccess,
)
from chest_xray.inference.http.keys import KeyFile
from chest_xray.inference.http.problems import ApiError

PROXY = "10.0.0.7"
STRANGER = "203.0.113.9"


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Installation:
    """A key file and a server's view of it."""

    def __init__(self, home: Path) -> None:
        self.file = KeyFile(home)
        self.clock = Clock()
        self.access = KeyAccess(self.file, clock=self.clock)

    def ask(self, text: str, scheme: str = "Bearer") -> str:
        return self.access.identify(bearer(text, scheme), STRANGER)

    def refusal(self, text: str) -> str:
        with pytest.raises(ApiError) as caught:
            self.ask(text)
        return caught.value.code


@pytest.fixture
def home(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def bearer(text: str, scheme: str = "Bearer") -> Headers:
    return Headers({"authorization": f"{scheme} {text}"})


def users(*values: bytes, header: str = "x-forwarded-user") -> Headers:
    return Headers(raw=[(header.encode(), value) for value in values])


def proxy(*networks: str) -> ProxyAccess:
    return ProxyAccess([ip_network(network) for network in networks or ("10.0.0.0/24",)], "X-Forwarded-User")


def test_a_key_is_its_callers_name(home: Installation) -> None:
    _, text = home.file.add("ward-3")
    assert home.ask(text) == "key:ward-3"
    assert home.ask(text, "bearer") == "key:ward-3"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Basic d2FyZDpzZWNyZXQ=")],
        [("authorization", "Bearer a"), ("authorization", "Bearer b")],
    ],
)
def test_without_one_key_it_is_401_and_says_how_to_send_one(home: Installation, headers: list[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    with pytest.raises(ApiError, match="Authorization: Bearer") as caught:
        home.access.identify(Headers(raw=raw), STRANGER)
    assert (caught.value.status, caught.value.code) == (401, "key_missing")
    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}


def test_a_wrong_key_is_401_and_is_not_repeated(home: Installation) -> None:
    key, text = home.file.add("ward-3")
    wrong = [
        text[:-1] + ("0" if text[-1] != "0" else "1"),
        f"cxr_{'0' * 8}_{text[-64:]}",
        text.upper(),
        f"{text} x",
        text[:-1],
        f"cxr_{key.id}_{key.secret_sha256}",
        "sk-live",
        "é" * 10,
        "x" * 100_000,
    ]
    for guess in wrong:
        with pytest.raises(ApiError) as caught:
            home.ask(guess)
        assert (caught.value.status, caught.value.code) == (401, "key_unknown")
        assert guess not in str(caught.value)
        assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert home.ask(text) == "key:ward-3"


def test_every_key_is_compared_in_constant_time(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    key, text = home.file.add("ward-3")
    compared = []
    compare = hmac.compare_digest

    def spy(a: str, b: str) -> bool:
        compared.append((len(a), len(b)))
        return compare(a, b)

    monkeypatch.setattr(access_module.hmac, "compare_digest", spy)
    home.ask(text)
    for guess in (f"cxr_{key.id}_{'0' * 64}", f"cxr_{'0' * 8}_{'0' * 64}", "nonsense"):
        assert home.refusal(guess) == "key_unknown"
    assert compared == [(64, 64)] * 4


def test_additions_and_revocations_count_within_a_second_without_a_restart(home: Installation) -> None:
    first, first_text = home.file.add("ward-3")
    assert home.ask(first_text) == "key:ward-3"
    _, second_text = home.file.add("ward-4")
    assert home.refusal(second_text) == "key_unknown"
    home.clock.now += 1
    assert home.ask(second_text) == "key:ward-4"
    home.file.revoke(first.id)
    assert home.ask(first_text) == "key:ward-3"
    home.clock.now += 1
    assert home.refusal(first_text) == "key_unknown"
    assert home.ask(second_text) == "key:ward-4"


def test_the_file_is_looked_at_once_a_second_at_most(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = home.file.add("ward-3")
    home.ask(text)
    monkeypatch.setattr(KeyFile, "read", lambda self: pytest.fail("read again, though nothing changed"))
    for _ in range(20):
        home.clock.now += 0.3
        home.ask(text)


def test_a_file_that_cannot_be_read_lets_nobody_in_and_is_one_line_in_the_log(
    home: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    _, text = home.file.add("ward-3")
    home.ask(text)
    good = home.file.path.read_bytes()
    home.file.path.write_bytes(b"{")
    for _ in range(5):
        home.clock.now += 1
        with pytest.raises(ApiError) as caught:
            home.ask(text)
        assert (caught.value.status, caught.value.code) == (503, "keys_unreadable")
    assert len(caplog.records) == 1
    assert "keys.json: the document: Invalid JSON" in caplog.text
    home.file.path.write_bytes(good)
    home.clock.now += 1
    assert home.ask(text) == "key:ward-3"


def test_a_file_that_was_removed_lets_nobody_in(home: Installation) -> None:
    _, text = home.file.add("ward-3")
    home.ask(text)
    home.file.path.unlink()
    home.clock.now += 1
    assert home.refusal(text) == "key_unknown"


def test_a_key_over_its_rate_is_429_and_is_told_when_to_come_back(home: Installation) -> None:
    _, text = home.file.add("ward-3", 6)
    _, other = home.file.add("ward-4", 6)
    assert [home.ask(text) for _ in range(6)] == ["key:ward-3"] * 6
    with pytest.raises(ApiError, match=r"may send 6 requests a minute\. Try again in 10 s") as caught:
        home.ask(text)
    assert (caught.value.status, caught.value.code) == (429, "rate_limited")
    assert caught.value.headers["Retry-After"] == "10"
    assert home.ask(other) == "key:ward-4"
    home.clock.now += 9.99
    assert home.refusal(text) == "rate_limited"
    home.clock.now += 0.02
    assert home.ask(text) == "key:ward-3"
    assert home.refusal(text) == "rate_limited"


def test_no_more_than_two_minutes_worth_passes_in_any_minute(home: Installation) -> None:
    _, text = home.file.add("ward-3", 30)
    passed = []
    for _ in range(3000):
        home.clock.now += 0.1
        try:
            home.ask(text)
        except ApiError:
            continue
        passed.append(home.clock.now)
    assert max(sum(start <= at < start + 60 for at in passed) for start in passed) <= 60
    assert sum(at > passed[0] + 120 for at in passed) == pytest.approx(90, abs=2)


def test_strangers_leave_no_trace_and_buckets_of_removed_keys_go(home: Installation) -> None:
    keys = [home.file.add(f"ward-{number}") for number in range(5)]
    for _, text in keys:
        home.ask(text)
    for number in range(100):
        home.refusal(f"cxr_{number:08x}_{'0' * 64}")
    assert len(home.access._buckets) == 5
    home.file.path.unlink()
    _, text = home.file.add("new")
    home.clock.now += 1
    home.ask(text)
    assert len(home.access._buckets) == 1


@pytest.mark.parametrize("peer", [PROXY, "::ffff:10.0.0.7"])
def test_a_trusted_proxy_names_the_user(peer: str) -> None:
    assert proxy().identify(users(b"jane@example.org"), peer) == "user:jane@example.org"
    assert proxy().identify(users("José".encode()), peer) == "user:José"


@pytest.mark.parametrize("peer", [STRANGER, "127.0.0.1", "10.0.1.7", "::1", "", "testclient", None])
def test_the_header_from_elsewhere_is_what_anybody_may_write(peer: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        proxy().identify(users(b"jane"), peer)
    assert (caught.value.status, caught.value.code) == (401, "user_missing")


def test_a_proxy_on_ipv6_is_trusted_by_its_network() -> None:
    assert proxy("fd00::/8").identify(users(b"jane"), "fd00::1") == "user:jane"
    with pytest.raises(ApiError):
        proxy("fd00::/8").identify(users(b"jane"), "fe80::1%eth0")


@pytest.mark.parametrize(
    "values", [[b""], [b"  "], [b"a", b"b"], [b"x" * 129], [b"a\x07b"], [b"\xff\xfe"], ["a\u202eb".encode()]]
)
def test_a_value_that_is_no_name_is_refused(values: list[bytes]) -> None:
    with pytest.raises(ApiError) as caught:
        proxy().identify(users(*values), PROXY)
    assert (caught.value.status, caught.value.code) == (401, "user_invalid")


def test_a_proxied_user_comes_before_a_key_and_a_key_is_enough_without_one(home: Installation) -> None:
    _, text = home.file.add("ward-3")
    either = EitherAccess(proxy(), home.access)
    key = ("authorization", f"Bearer {text}")
    token = ("authorization", "Bearer eyJhbGciOi")
    jane = ("x-forwarded-user", "jane")

    def ask(peer: str, *headers: tuple[str, str]) -> str:
        return either.identify(Headers(raw=[(name.encode(), value.encode()) for name, value in headers]), peer)

    assert ask(PROXY, jane, token) == "user:jane"
    assert ask(PROXY, key) == "key:ward-3"
    assert ask(STRANGER, jane, key) == "key:ward-3"
    with pytest.raises(ApiError, match="no API key"):
        ask(STRANGER, jane)


def test_on_loopback_everybody_is_local() -> None:
    assert OpenAccess().identify(Headers({}), "127.0.0.1") == "local"


def through(
    access: Access, path: str, headers: dict[str, str]
) -> tuple[str | None, int, dict[str, str], dict[str, Any]]:
    """One request through the middleware: the caller that the application saw, and the answer."""
    seen: list[str | None] = []
    sent: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["state"].get("caller"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> Any:
        raise AssertionError("a body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "headers": raw, "client": (STRANGER, 1), "state": {"request_id": "r-1"}}
    asyncio.run(AccessControl(application, access)(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return (seen[0] if seen else None), sent[0]["status"], answered, json.loads(sent[1]["body"])


def test_the_caller_is_named_to_the_application(home: Installation) -> None:
    _, text = home.file.add("ward-3")
    caller, status, _, _ = through(home.access, "/v1/predictions", {"Authorization": f"Bearer {text}"})
    assert (caller, status) == ("key:ward-3", 200)


@pytest.mark.parametrize("path", [*sorted(OPEN_PATHS), "/page/app.js", "/page/"])
def test_probes_and_the_page_need_no_key(home: Installation, path: str) -> None:
    assert through(home.access, path, {})[:2] == (None, 200)


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/predictions", "/v1/model", "/v1/films", "/v1/feedback", "/metrics", "/openapi.json"),
        *("/healthz/", "/healthz/../metrics", "/page", "/pages/app.js", "//page/app.js"),
    ],
)
def test_everything_else_is_refused_before_the_body_is_read(home: Installation, path: str) -> None:
    caller, status, headers, problem = through(home.access, path, {})
    assert (caller, status, problem["code"], problem["request_id"]) == (None, 401, "key_missing", "r-1")
    assert headers["content-type"] == "application/problem+json"
    assert headers["www-authenticate"] == "Bearer"


def test_no_key_is_logged(home: Installation, caplog: pytest.LogCaptureFixture) -> None:
    _, text = home.file.add("ward-3")
    with caplog.at_level(logging.DEBUG):
        home.ask(text)
        home.refusal(f"{text[:-1]}x")
    assert text[-64:-1] not in caplog.text
