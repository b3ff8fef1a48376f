"""Orders to a running emulator, from another process."""

from __future__ import annotations

import configparser
import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final
from urllib.parse import quote, urlsplit

from chest_xray.errors import EmulatorError
from chest_xray.settings import EmulatorSettings

_HOST: Final = "127.0.0.1"
_TIMEOUT: Final = 10.0
_HOW = 'run eval "$(cxr emulator --background)" first, or its export lines in this shell'


def order(settings: EmulatorSettings, name: str, argument: str = "") -> None:
    """Tell the emulator to `reclaim` a job's instances, or to `stop`.

    Raises:
        EmulatorError: there is none at AWS_ENDPOINT_URL, or it refused.
    """
    url, key = settings.endpoint_url, _access_key(settings)
    place = urlsplit(url or "")
    if place.scheme != "http" or place.hostname != _HOST:
        raise EmulatorError(f"AWS_ENDPOINT_URL is {url or 'unset'}, which is no emulator: {_HOW}.")
    # Straight to the port, whatever proxy the environment names for other hosts.
    connection = HTTPConnection(_HOST, place.port, timeout=_TIMEOUT)
    try:
        connection.request("POST", f"/_emulator/{name}/{quote(argument, safe='')}", headers={"X-Emulator-Key": key})
        answer = connection.getresponse()
        wrong = None if answer.status == HTTPStatus.OK else _reason(answer)
    except (OSError, HTTPException) as error:
        raise EmulatorError(f"No emulator answers at {url}: {_HOW}.") from error
    finally:
        connection.close()
    if wrong is not None:
        raise EmulatorError(wrong)


def _access_key(settings: EmulatorSettings) -> str:
    path = settings.shared_credentials_file
    parser = configparser.RawConfigParser()
    if path is None or not parser.read(path):
        raise EmulatorError(f"AWS_SHARED_CREDENTIALS_FILE is {path or 'unset'}, where no file is: {_HOW}.")
    return parser.get("default", "aws_access_key_id", fallback="")


def _reason(answer: HTTPResponse) -> str:
    try:
        return str(json.loads(answer.read())["error"])
    except (ValueError, KeyError):
        return f"What answers at AWS_ENDPOINT_URL is no emulator (HTTP {answer.status}): {_HOW}."
