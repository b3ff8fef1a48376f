"""API keys, kept hashed in CXR_HOME/keys.json: `cxr keys add | list | revoke`.

A key is `cxr_<id>_<secret>`: 8 hexadecimal digits that name it and 64 that are 256 random bits. Only the SHA-256 of the
secret is kept. A slow hash protects passwords because people choose guessable ones; 256 random bits cannot be guessed,
and a slow hash would let strangers keep the server busy.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from chest_xray.errors import AccessError, SettingsError
from chest_xray.files import write_atomically
from chest_xray.lock import only_one

DEFAULT_RATE: Final = 600
MAX_RATE: Final = 1_000_000
KEY: Final = re.compile(r"cxr_([0-9a-f]{8})_([0-9a-f]{64})")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApiKey(_Frozen):
    """One key, without its secret. `rate` is requests a minute."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    name: Annotated[str, Field(pattern=rf"^{_NAME.pattern}$")]
    rate: Annotated[int, Field(ge=1, le=MAX_RATE)]
    created: AwareDatetime
    revoked: AwareDatetime | None = None
    secret_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Keys(_Frozen):
    format: Literal["cxr-keys/1"] = "cxr-keys/1"
    keys: tuple[ApiKey, ...] = ()


class KeyFile:
    """The keys of one installation. `cxr keys` writes it, the server only reads it."""

    def __init__(self, home: Path) -> None:
        self.path: Final = home / "keys.json"
        self._lock: Final = home / "keys.lock"

    def read(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first, revoked ones too; none where there is no file.

        Raises:
            AccessError: the file cannot be read, or is none of ours.
        """
        try:
            return _Keys.model_validate_json(self.path.read_bytes()).keys
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise AccessError(
                f"{self.path} cannot be read ({error.strerror}). Make it readable for the user of the server."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            raise AccessError(
                f"{self.path}: {where}: {first['msg']}. Put back a backup, or remove it and add keys anew."
            ) from error

    def add(self, name: str, rate: int = DEFAULT_RATE) -> tuple[ApiKey, str]:
        """Make a key; returns it and its text, which is kept nowhere.

        Raises:
            SettingsError: a name or rate that cannot be used, or the name of a key that is in use.
            AccessError: the file cannot be read.
        """
        _check(name, rate)
        with self._one_writer():
            keys = self.read()
            if any(key.name == name and key.revoked is None for key in keys):
                raise SettingsError(f"There is a key named {name} already. Choose another name, or revoke that key.")
            secret = secrets.token_hex(32)
            key = ApiKey(
                id=_unused_id(keys),
                name=name,
                rate=rate,
                created=datetime.now(UTC),
                secret_sha256=hash_secret(secret),
            )
            self._write((*keys, key))
        return key, f"cxr_{key.id}_{secret}"

    def revoke(self, key_id: str) -> ApiKey:
        """Refuse a key from now on; returns it.

        Raises:
            AccessError: no such key, revoked before, or the file cannot be read.
        """
        with self._one_writer():
            keys = self.read()
            key = next((key for key in keys if key.id == key_id), None)
            if key is None:
                raise AccessError(f"No key has the id {key_id[:40]!r}. `cxr keys list` shows the ids.")
            if key.revoked is not None:
                raise AccessError(f"The key {key.id} ({key.name}) was revoked at {key.revoked:%Y-%m-%d %H:%M} UTC.")
            revoked = key.model_copy(update={"revoked": datetime.now(UTC)})
            self._write([revoked if other is key else other for other in keys])
        return revoked

    def _write(self, keys: Sequence[ApiKey]) -> None:
        content = _Keys(keys=tuple(keys)).model_dump_json(indent=2) + "\n"
        write_atomically(self.path, content.encode(), mode=0o600)

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        busy = AccessError(f"Another `cxr keys` holds {self._lock}. Run the command again when it is done.")
        with only_one(self._lock, busy, wait_seconds=10):
            yield


def hash_secret(secret: str) -> str:
    """What is kept of a secret: its SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def key_row(key: ApiKey) -> dict[str, object]:
    """What a list shows of a key; times in ISO 8601."""
    row: dict[str, object] = json.loads(key.model_dump_json(exclude={"secret_sha256"}))
    return row


def _check(name: str, rate: int) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"The name is {name[:80]!r}; expected 1 to 64 letters, digits, and . _ @ -, the first a letter or digit. "
            "It stands in the audit log: name the system that will use the key."
        )
    if not 1 <= rate <= MAX_RATE:
        raise SettingsError(f"rate is {rate}; expected 1 to {MAX_RATE} requests a minute.")


def _unused_id(keys: Sequence[ApiKey]) -> str:
    taken = {key.id for key in keys}
    while (key_id := secrets.token_hex(4)) in taken:
        pass
    return key_id
