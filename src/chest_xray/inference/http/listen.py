"""The socket that a server answers on."""

from __future__ import annotations

import errno
import socket
from typing import Final

from chest_xray.errors import EndpointError

_BACKLOG: Final = 2048


def listen(address: str, port: int, *, host: str, choose_port: str) -> socket.socket:
    """Listen at an IP address, or at every interface where it is ''; port 0 takes any free one.

    Args:
        address: IPv4 or IPv6; `::` takes both where the system can.
        port: 0 to 65535.
        host: what the address was asked for as, for people.
        choose_port: the option or variable by which another port is chosen.

    Raises:
        EndpointError: the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = address == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise EndpointError(_refusal(host, port, error, choose_port)) from error


def _refusal(host: str, port: int, error: OSError, choose_port: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Stop what runs there or choose another with {choose_port}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine. Choose another with --host."
    return f"Port {port} on {host} cannot be had: {error.strerror}. Choose another with {choose_port}."
