"""Who may ask: a key, a user whom a trusted proxy has authenticated, or anybody on this machine.

    Boundary > AccessControl > Admission > the application

The caller's name goes into the audit log as `key:NAME`, `user:NAME` or `local`. Nothing that a caller sends is kept:
there is one token bucket for each key of the file, and none for what is no key.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import math
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from typing import Final, Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from chest_xray.errors import AccessError
from chest_xray.inference.http.keys import KEY, ApiKey, KeyFile, hash_secret
from chest_xray.inference.http.problems import ApiError, problem_response

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/ping", "/"})
OPEN_PREFIX: Final = "/page/"
LOCAL: Final = "local"
RELOAD_SECONDS: Final = 1.0
MAX_USER_CHARACTERS: Final = 128

_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
_NO_SECRET: Final = "0" * 64
_log: Final = logging.getLogger("chest_xray.access")


class Access(Protocol):
    """Decides who a caller is."""

    def identify(self, headers: Headers, client: str | None) -> str:
        """The caller's name. `client` is the address of the TCP peer.

        Raises:
            ApiError: 401 for nobody we know, 429 for a key over its rate, 503 while the keys cannot be read.
        """
        ...


class AccessControl:
    """ASGI middleware: names the caller in `scope["state"]["caller"]`, or answers with the problem."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        path = scope["path"]
        if path not in OPEN_PATHS and not path.startswith(OPEN_PREFIX):
            peer = scope.get("client")
            try:
                state["caller"] = self._access.identify(Headers(scope=scope), peer[0] if peer else None)
            except ApiError as error:
                await problem_response(state["request_id"], error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class OpenAccess:
    """Everybody who reaches a loopback address is `local`."""

    def identify(self, headers: Headers, client: str | None) -> str:
        """`local`, always."""
        del headers, client
        return LOCAL


class KeyAccess:
    """Keys of a `KeyFile`, as `Authorization: Bearer`. Additions and revocations count within a second."""

    def __init__(self, file: KeyFile, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = _LiveKeys(file, clock)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def identify(self, headers: Headers, client: str | None) -> str:
        """`key:NAME`.

        Raises:
            ApiError: no key, an unknown or revoked one, one over its rate, or keys that cannot be read.
        """
        del client
        text = _bearer(headers)
        if text is None:
            raise ApiError(
                HTTPStatus.UNAUTHORIZED,
                "key_missing",
                "The request has no API key. Send `Authorization: Bearer cxr_...`, once; `cxr keys add` makes a key.",
                headers=_CHALLENGE,
            )
        key = self._find(text)
        if key is None:
            raise ApiError(
                HTTPStatus.UNAUTHORIZED,
                "key_unknown",
                "The API key is unknown or revoked. `cxr keys add` on the server makes a new one.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        self._spend(key)
        return f"key:{key.name}"

    def _find(self, text: str) -> ApiKey | None:
        """The key in use that `text` is. Takes the same time for an unknown id, a revoked key and a wrong secret."""
        match = KEY.fullmatch(text)
        key_id, secret = match.groups() if match else ("", "")
        key = self._keys.current().get(key_id)
        same = hmac.compare_digest(hash_secret(secret), _NO_SECRET if key is None else key.secret_sha256)
        return key if same and key is not None and key.revoked is None else None

    def _spend(self, key: ApiKey) -> None:
        now = self._clock()
        bucket = self._buckets.get(key.id)
        if bucket is None or bucket.rate != key.rate:
            known = self._keys.current()
            self._buckets = {key_id: old for key_id, old in self._buckets.items() if key_id in known}
            bucket = self._buckets[key.id] = _Bucket(key.rate, now)
        wait = bucket.take(now)
        if wait > 0:
            seconds = math.ceil(wait)
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "rate_limited",
                f"The key {key.name} may send {key.rate} requests a minute. Try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
            )


class ProxyAccess:
    """The user's name in a header that an authenticating proxy sets (oauth2-proxy, an AWS load balancer).

    The header counts only from a TCP peer in `networks`; elsewhere it is what anybody may write.
    """

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network], header: str) -> None:
        self._networks = tuple(networks)
        self._header = header

    def names_user(self, headers: Headers, client: str | None) -> bool:
        """Whether a trusted proxy has sent the header."""
        return self._trusts(client) and self._header in headers

    def identify(self, headers: Headers, client: str | None) -> str:
        """`user:NAME`.

        Raises:
            ApiError: another peer, no header, or a value that is no name.
        """
        if not self.names_user(headers, client):
            raise ApiError(
                HTTPStatus.UNAUTHORIZED,
                "user_missing",
                "No trusted proxy has named a user. Come through the proxy that signs users in.",
            )
        user = _user_name(headers.getlist(self._header))
        if user is None:
            raise ApiError(
                HTTPStatus.UNAUTHORIZED,
                "user_invalid",
                f"The proxy's {self._header} is no name: expected it once, with 1 to {MAX_USER_CHARACTERS} printable "
                "characters.",
            )
        return f"user:{user}"

    def _trusts(self, client: str | None) -> bool:
        try:
            address = ipaddress.ip_address(client or "")
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class EitherAccess:
    """A user whom the proxy has named, else a key.

    In this order, because a proxy may pass a token of its own on as `Authorization`.
    """

    def __init__(self, proxy: ProxyAccess, keys: KeyAccess) -> None:
        self._proxy = proxy
        self._keys = keys

    def identify(self, headers: Headers, client: str | None) -> str:
        """`user:NAME` or `key:NAME`.

        Raises:
            ApiError: neither, or a key over its rate.
        """
        access: Access = self._proxy if self._proxy.names_user(headers, client) else self._keys
        return access.identify(headers, client)


class _Bucket:
    """A minute's requests at once, and `rate` a minute after that."""

    def __init__(self, rate: int, now: float) -> None:
        self.rate: Final = rate
        self._tokens = float(rate)
        self._at = now

    def take(self, now: float) -> float:
        """Take one token: 0, or the seconds until there is one."""
        per_second = self.rate / 60
        self._tokens = min(self.rate, self._tokens + (now - self._at) * per_second)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / per_second
        self._tokens -= 1
        return 0.0


class _LiveKeys:
    """The file's keys by id, read again when the file has changed; looked at once in `RELOAD_SECONDS` at most."""

    def __init__(self, file: KeyFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock
        self._looked_at = -math.inf
        self._stamp: tuple[int, ...] | None = None
        self._keys: dict[str, ApiKey] | None = {}

    def current(self) -> dict[str, ApiKey]:
        """The keys as of a second ago at most.

        Raises:
            ApiError: 503 while the file cannot be read, because nobody can be told from anybody then.
        """
        now = self._clock()
        if now - self._looked_at >= RELOAD_SECONDS:
            self._looked_at = now
            self._look()
        if self._keys is None:
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "keys_unreadable",
                "The server cannot read its API keys, and answers nobody until it can. Its log has the reason.",
                headers={"Retry-After": "5"},
            )
        return self._keys

    def _look(self) -> None:
        stamp = self._stamp_of_file()
        if stamp == self._stamp and self._keys is not None:
            return
        was_readable = self._keys is not None
        try:
            self._keys = {key.id: key for key in self._file.read()}
            self._stamp = stamp
        except AccessError as error:
            self._keys = None
            if was_readable:
                _log.error("%s", error)

    def _stamp_of_file(self) -> tuple[int, ...] | None:
        try:
            status = self._file.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def _bearer(headers: Headers) -> str | None:
    values = headers.getlist("authorization")
    scheme, _, text = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    return text.strip() if scheme.lower() == "bearer" and text.strip() else None


def _user_name(values: Sequence[str]) -> str | None:
    """The one value as UTF-8 text, if it is a name. Starlette reads headers as Latin-1."""
    try:
        (value,) = values
        user = value.encode("latin-1").decode("utf-8").strip()
    except ValueError:
        return None
    return user if 0 < len(user) <= MAX_USER_CHARACTERS and user.isprintable() else None
