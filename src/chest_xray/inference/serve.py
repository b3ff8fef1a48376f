"""Run the API in this process until SIGTERM or Ctrl-C, and let requests under way finish."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from chest_xray.errors import SettingsError
from chest_xray.inference.http.access import Access, EitherAccess, KeyAccess, OpenAccess, ProxyAccess
from chest_xray.inference.http.boundary import LOOPBACK_HOSTS
from chest_xray.inference.http.bounds import DEADLINE_SECONDS, QUEUE
from chest_xray.inference.http.keys import KeyFile
from chest_xray.inference.http.listen import listen
from chest_xray.prediction import Predictor
from chest_xray.records.audit import FileAudit
from chest_xray.records.ground_truth import GroundTruthLog
from chest_xray.records.logs import start_log
from chest_xray.settings import DEFAULT_MODEL, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_MAX_DEADLINE: Final = 600.0
_MAX_QUEUE: Final = 10_000


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where to answer and what to bound.

    `port` 0 is any free one. `deadline` is in seconds from a request's last byte; `queue` is how many requests may be
    in progress, waiting ones included.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    deadline: float = DEADLINE_SECONDS
    queue: int = QUEUE
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    def check(self) -> None:
        """Refuse what cannot be served.

        Raises:
            SettingsError: an option out of its range, a host that is no address, or TLS files that cannot be used.
        """
        _ = self.address
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port is {self.port}; expected 0 to 65535.")
        if not 1 <= self.deadline <= _MAX_DEADLINE:
            raise SettingsError(f"deadline is {self.deadline:g}; expected 1 to {_MAX_DEADLINE:g} seconds.")
        if not 1 <= self.queue <= _MAX_QUEUE:
            raise SettingsError(f"queue is {self.queue}; expected 1 to {_MAX_QUEUE} requests.")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("TLS needs both files. Give --tls-certificate and --tls-key.")
        if self.tls is not None:
            _check_tls(*self.tls)

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """The files of the certificate and of its key."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return self.tls_certificate, self.tls_key

    @property
    def address(self) -> str:
        """The host as an IP address.

        Raises:
            SettingsError: it is a name.
        """
        if self.host == "localhost":
            return "127.0.0.1"
        try:
            return str(ipaddress.ip_address(self.host))
        except ValueError as error:
            raise SettingsError(
                f"host is {self.host[:80]!r}; expected localhost or an IP address: 127.0.0.1, or 0.0.0.0 for all."
            ) from error

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.address).is_loopback


def serve(predictor: Predictor, settings: Settings, options: ServeOptions, *, endpoint: str = DEFAULT_MODEL) -> None:
    """Answer until a signal; returns once requests under way are done. Feedback is kept under the name `endpoint`.

    Raises:
        SettingsError: an option that cannot be used, or a host that others reach and nobody guards.
        AccessError: the keys cannot be read.
        AuditError: the audit log cannot be written.
        GroundTruthError: feedback on other findings was kept for the endpoint.
        EndpointError: the port cannot be had.
    """
    from chest_xray.inference.http.server import run_server

    surroundings = _Surroundings.open(settings, options, endpoint)
    app = surroundings.application(predictor)
    with _listen(options) as listener:
        _announce(f"Serving {_title(predictor)} at {_url(options, listener)} until Ctrl-C.", surroundings)
        run_server(app, listener, drain=app.state.admission.drain, tls=options.tls)


def serve_when_deployed(
    find: Callable[[], Predictor], settings: Settings, options: ServeOptions, *, endpoint: str
) -> None:
    """As `serve`, with only the page and the probes until `find`, which is asked once a second, gives a predictor.

    Raises:
        SettingsError: as `serve`.
        AccessError: as `serve`.
        AuditError: as `serve`.
        EndpointError: as `serve`.
    """
    from chest_xray.inference.api.waiting import Waiting
    from chest_xray.inference.http.server import run_server

    surroundings = _Surroundings.open(settings, options, endpoint)

    def look() -> FastAPI:
        predictor = find()
        app = surroundings.application(predictor)
        surroundings.tell(f"Serving {_title(predictor)} from now on.")
        return app

    waiting = Waiting(look, endpoint=endpoint, hosts=surroundings.hosts, access=surroundings.access)
    with _listen(options) as listener:
        place = _url(options, listener)
        _announce(f"Waiting at {place} for a deployment to {endpoint}; Ctrl-C ends it.", surroundings)
        run_server(waiting, listener, drain=waiting.drain, tls=options.tls)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What a server has besides its model: who may call, where it keeps what it must, whom it tells what it does."""

    options: ServeOptions
    access: Access
    audit: FileAudit
    home: Path
    endpoint: str
    tell: Callable[[str], None]

    @classmethod
    def open(cls, settings: Settings, options: ServeOptions, endpoint: str) -> Self:
        options.check()
        access = choose_access(settings, options)
        home = settings.home_dir
        return cls(options, access, FileAudit.open(home), home, endpoint, start_log(settings.log_format))

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names of this server; None for any."""
        # A browser can be made to call an open loopback server by another name; a key or a proxy it cannot bring along.
        return LOOPBACK_HOSTS | {self.options.host} if isinstance(self.access, OpenAccess) else None

    def application(self, predictor: Predictor) -> FastAPI:
        from chest_xray.inference.api.app import create_app
        from chest_xray.inference.http.admission import AdmissionLimits

        ground_truth = GroundTruthLog(self.home, self.endpoint, tuple(predictor.manifest.findings))
        ground_truth.check()
        return create_app(
            predictor,
            hosts=self.hosts,
            access=self.access,
            audit=self.audit,
            ground_truth=ground_truth,
            admission=AdmissionLimits(requests=self.options.queue),
            deadline_seconds=self.options.deadline,
        )


def _announce(first: str, surroundings: _Surroundings) -> None:
    surroundings.tell(first)
    surroundings.tell(f"{_describe(surroundings.access)} Audit log: {surroundings.audit.folder}")
    options = surroundings.options
    if not options.is_loopback and options.tls is None:
        surroundings.tell(
            "Without TLS, keys and films travel in clear text unless a proxy in front ends TLS. "
            "Give --tls-certificate and --tls-key to end it here."
        )


def choose_access(settings: Settings, options: ServeOptions) -> Access:
    """Who may call: users that a trusted proxy names, keys, either, or on loopback without both, everybody.

    Where all keys are revoked nobody may: who revoked the last one did not mean to open the door.

    Raises:
        SettingsError: others reach the host, and there is neither a key in use nor a trusted proxy.
        AccessError: the keys cannot be read.
    """
    file = KeyFile(settings.home_dir)
    keys = file.read()
    in_use = any(key.revoked is None for key in keys)
    networks = settings.trusted_proxies
    if networks is not None:
        proxy = ProxyAccess(networks, settings.proxy_user_header)
        return EitherAccess(proxy, KeyAccess(file)) if keys else proxy
    if in_use or (keys and options.is_loopback):
        return KeyAccess(file)
    if not options.is_loopback:
        raise SettingsError(
            f"host is {options.host}, which others can reach, and there is no API key in use. Make one with "
            "`cxr keys add NAME`, or set CXR_TRUSTED_PROXIES to the network of a proxy that signs users in, "
            "or use 127.0.0.1."
        )
    return OpenAccess()


def _describe(access: Access) -> str:
    match access:
        case EitherAccess():
            return "Callers need an API key, or come through a trusted proxy that names the user."
        case ProxyAccess():
            return "Callers must come through a trusted proxy that names the user."
        case KeyAccess():
            return "Callers need an API key."
    return "Everybody on this machine may call; `cxr keys add NAME` and a restart demand a key."


def _check_tls(certificate: Path, key: Path) -> None:
    try:
        # An encrypted key would make OpenSSL ask for its password on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:
        raise SettingsError(
            f"TLS cannot start with {certificate} and {key} ({error.strerror or error}). "
            "Expected a certificate chain and its unencrypted key, both PEM."
        ) from error


def _listen(options: ServeOptions) -> socket.socket:
    return listen(options.address, options.port, host=options.host, choose_port="--port")


def _title(predictor: Predictor) -> str:
    identity = predictor.identity
    version = "" if identity.version is None else f" version {identity.version}"
    return f"{identity.name}{version} ({identity.digest[:12]})"


def _url(options: ServeOptions, listener: socket.socket) -> str:
    scheme = "http" if options.tls is None else "https"
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
