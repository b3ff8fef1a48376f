"""Where the steps run. `get_backend` is the only place that asks which."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chest_xray.backends.base import Backend
    from chest_xray.settings import Settings


def get_backend(settings: Settings) -> Backend:
    """The backend that CXR_BACKEND names."""
    match settings.backend:
        case "local":
            from chest_xray.backends.local.backend import LocalBackend

            return LocalBackend(settings)
