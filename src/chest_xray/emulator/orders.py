"""Orders to a running emulator, from another process."""

from __future__ import annotations

import configparser
import json
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from chest_xray.errors import EmulatorError
from chest_xray.settings import EmulatorSettings

_TIMEOUT = 10.0
_HOW = 'run eval "$(cxr emulator --background)" first, or its export lines in this shell'


def order(settings: EmulatorSettings, name: str, argument: str = "") -> None:
    """Tell the emulator to `reclaim` a job's instances, or to `stop`.

    Raises:
        EmulatorError: there is none at AWS_ENDPOINT_URL, or it refused.
    """
    url, key = settings.endpoint_url, _access_key(settings)
    if url is None or urlsplit(url).hostname != "127.0.0.1":
        raise EmulatorError(f"AWS_ENDPOINT_URL is {url or 'unset'}, which is no emulator: {_HOW}.")
    request = Request(  # noqa: S310 (http on loopback, by the check above)
        f"{url}/_emulator/{name}/{quote(argument, safe='')}", method="POST", headers={"X-Emulator-Key": key}
    )
    try:
        with urlopen(request, timeout=_TIMEOUT):  # noqa: S310
            return
    except HTTPError as error:
        raise EmulatorError(_reason(error)) from error
    except URLError as error:
        raise EmulatorError(f"No emulator answers at {url}: {_HOW}.") from error


def _access_key(settings: EmulatorSettings) -> str:
    path = settings.shared_credentials_file
    parser = configparser.RawConfigParser()
    if path is None or not parser.read(path):
        raise EmulatorError(f"AWS_SHARED_CREDENTIALS_FILE is {path or 'unset'}, where no file is: {_HOW}.")
    return parser.get("default", "aws_access_key_id", fallback="")


def _reason(error: HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError):
        return f"What answers at AWS_ENDPOINT_URL is no emulator ({error}): {_HOW}."
