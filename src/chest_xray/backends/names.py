"""Names of models and endpoints. The rule is SageMaker's, so that a name that works here works there."""

from __future__ import annotations

import re
from typing import Final

from chest_xray.errors import SettingsError

_NAME: Final = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can name a model or an endpoint (`kind` says which).

    Raises:
        SettingsError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{kind} {name[:80]!r} is no name: use 1 to 63 letters, digits and hyphens, with a letter or digit "
            "first and last, for example chest-xray-v1."
        )
    return name
