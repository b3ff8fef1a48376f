"""Calls to AWS: what passes is waited out, what does not is one line that says what to do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from chest_xray.backends.sagemaker.refusals import explain
from chest_xray.console import say
from chest_xray.errors import CloudError, SettingsError

PATIENT: Final = 1800.0
_BRIEF: Final = 30.0
_LONGEST_PAUSE: Final = 10.0
_THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"}
    | {"SlowDown", "RequestThrottled", "RequestThrottledException", "ServiceUnavailable", "InternalFailure"}
    | {"InternalServerError", "InternalError", "ServiceUnavailableException"}
)
_EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException"}
)
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError", "403"}
)


class Aws:
    """The clients of one session, renewed when its credentials expire.

    Attributes:
        patience: seconds that a call may be repeated: short before a job exists, long while one is followed.
    """

    def __init__(self, region: str | None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._wanted, self._sleep = region, sleep
        # Of the system: programs that were started together must not ask again together.
        self._random = secrets.SystemRandom()
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self.patience = _BRIEF

    @property
    def region(self) -> str:
        """The region of every call.

        Raises:
            SettingsError: none is set.
        """
        region = self._wanted or self._open().region_name
        if region is None:
            raise SettingsError("No AWS region is set: give --region, CXR_SAGEMAKER_REGION or AWS_DEFAULT_REGION.")
        return str(region)

    @property
    def is_real(self) -> bool:
        """Whether calls go to AWS itself, and not to an emulator on this machine."""
        return urlsplit(self.client("sagemaker").meta.endpoint_url).hostname not in ("127.0.0.1", "localhost")

    def client(self, service: str) -> Any:
        """A client with timeouts: `call` does the waiting."""
        from botocore.config import Config

        if service not in self._clients:
            # A transfer's parts are repeated one by one; everything else is repeated by `call`.
            attempts = 5 if service == "s3" else 1
            config = Config(
                retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=10, read_timeout=60
            )
            self._clients[service] = self._open().client(service, region_name=self.region, config=config)
        return self._clients[service]

    def call(self, service: str, operation: str, **request: Any) -> Any:
        """One request, repeated while AWS throttles, cannot be reached, or the credentials are expired.

        Raises:
            CloudError: AWS refused it, or `patience` ran out.
        """
        return self.patiently(service, lambda client: getattr(client, operation)(**request))

    def patiently(self, service: str, ask: Callable[[Any], Any]) -> Any:
        """The same for anything that is done with a client."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        started, pause, told = time.monotonic(), 1.0, False
        while True:
            try:
                return ask(self.client(service))
            except (Boto3Error, BotoCoreError, ClientError, OSError) as raised:
                # A transfer's error wraps the one that says what happened.
                error = raised.__context__ if isinstance(raised, Boto3Error) else raised
                if not isinstance(error, Exception):
                    error = raised
                if not self._may_pass(error) or time.monotonic() - started > self.patience:
                    raise CloudError(explain(error)) from error
                # Throttling is everyday; a lost connection and expired credentials somebody may want to mend.
                if not told and _code(error) not in _THROTTLED:
                    say(f"{explain(error)} Trying again for {self.patience / 60:.0f} minutes.")
                    told = True
            self._sleep(pause * self._random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _may_pass(self, error: Exception) -> bool:
        from botocore.exceptions import ConnectionError as LostConnection
        from botocore.exceptions import CredentialRetrievalError, HTTPClientError

        code = _code(error)
        if code in _EXPIRED or isinstance(error, CredentialRetrievalError):
            self._renew()
            # Before a job exists nobody waits for a person to log in again.
            return self.patience > _BRIEF
        return code in _THROTTLED or isinstance(error, LostConnection | HTTPClientError)

    def _renew(self) -> None:
        """Read credentials anew: somebody may have logged in again meanwhile."""
        self._session = None
        self._clients.clear()

    def _open(self) -> Any:
        if self._session is None:
            import boto3
            from botocore.exceptions import BotoCoreError

            try:
                self._session = boto3.session.Session()
            except BotoCoreError as error:
                raise SettingsError(explain(error)) from error
        return self._session


def was_denied(error: CloudError) -> bool:
    """Whether the caller lacks the permission for the call."""
    return isinstance(error.__cause__, Exception) and _code(error.__cause__) in _DENIED


def _code(error: Exception) -> str:
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""
