"""What a server holds itself to unless it is told otherwise."""

from typing import Final

DEADLINE_SECONDS: Final = 30.0  # from a request's last byte to its answer
QUEUE: Final = 64  # requests in progress, waiting ones included
