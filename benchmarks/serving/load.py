"""An HTTP client for load: closed loop (a number of clients) and open loop (a rate of arrivals).

It writes and reads bytes of HTTP itself, so that the processors that it shares with the server are spent on the server.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

BROKEN = 0  # status of a request that got no answer


@dataclass(frozen=True)
class Target:
    """Where the films go."""

    host: str
    port: int
    path: str

    def request(self, film: bytes, query: str = "") -> bytes:
        """One POST of a PNG film, whole."""
        head = (
            f"POST {self.path}{query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            f"Content-Length: {len(film)}\r\n\r\n"
        )
        return head.encode() + film


@dataclass
class Outcome:
    """What came back: statuses with their counts, and the seconds of each answered 200."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def add(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self.statuses[status] += 1
        if status == 200:
            self.latencies.append(seconds)

    @property
    def goodput(self) -> float:
        """Films scored a second."""
        return self.statuses[200] / self.seconds


class Connection:
    """One kept-alive connection."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request; returns the status of its answer."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._target.host, self._target.port)
        self._writer.write(request)
        await self._writer.drain()
        head = await self._reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        length = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await self._reader.readexactly(length)
        if b"connection: close" in lowered:
            self.close()
        return int(head[9:12])

    def close(self) -> None:
        """Close; the next `ask` opens anew."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def closed_loop(target: Target, requests: Sequence[bytes], *, clients: int, count: int) -> Outcome:
    """`clients` ask one after the other until `count` requests are answered."""
    outcome = Outcome()
    left = iter(range(count))

    async def client() -> None:
        connection = Connection(target)
        for number in left:
            await _ask(connection, requests[number % len(requests)], outcome)
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def open_loop(target: Target, requests: Sequence[bytes], *, rate: float, seconds: float) -> Outcome:
    """Requests arrive `rate` times a second, whatever becomes of the others; a free connection is used again.

    Goodput counts what was answered within `seconds` only.
    """
    outcome = Outcome(seconds=seconds)
    late = Outcome()
    free: list[Connection] = []
    started = time.perf_counter()

    async def arrive(number: int) -> None:
        connection = free.pop() if free else Connection(target)
        begun = time.perf_counter()
        status = await _status(connection, requests[number % len(requests)])
        ended = time.perf_counter()
        (outcome if ended - started <= seconds else late).add(status, ended - begun)
        free.append(connection)

    tasks = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(arrive(number)))
    await asyncio.gather(*tasks)
    for connection in free:
        connection.close()
    for status, count in late.statuses.items():
        if status != 200:
            outcome.statuses[status] += count
    return outcome


async def _ask(connection: Connection, request: bytes, outcome: Outcome) -> None:
    begun = time.perf_counter()
    outcome.add(await _status(connection, request), time.perf_counter() - begun)


async def _status(connection: Connection, request: bytes) -> int:
    try:
        return await connection.ask(request)
    except (OSError, asyncio.IncompleteReadError):
        connection.close()
        return BROKEN
