"""What a graph in a bundle may hold: its own weights, and ONNX's own operators.

A graph that keeps weights in other files is not what its SHA-256 stands for, and an operator of a foreign domain is
code that the graph did not bring along. The serving install has no onnx, so the messages are walked here in protobuf's
wire format, by the numbers of onnx.proto; only their lengths and the fields in question are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from chest_xray.errors import BundleError

_Kind = Literal["model", "graph", "node", "attribute", "tensor", "sparse", "function", "training", "opset"]
_DOMAINS: Final = frozenset((b"", b"ai.onnx"))
# Messages inside of others that can lead to a tensor or a node.
_INSIDE: Final[dict[_Kind, dict[int, _Kind]]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "opset": {},
}
_DOMAIN: Final[dict[_Kind, int]] = {"node": 7, "function": 10, "opset": 1}
# Of a tensor: external_data, and data_location where it is not DEFAULT.
_ELSEWHERE: Final = frozenset((13, 14))
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_LONGEST_VARINT: Final = 10


def check_graph(graph: bytes, path: Path) -> None:
    """Refuse an ONNX file with external data or operators of a foreign domain; `path` names it in the message.

    Raises:
        BundleError: it has one of them, or is no ONNX file.
    """
    try:
        found = _foreign(graph)
    except (ValueError, IndexError) as error:
        raise BundleError(f"{path} cannot be loaded: it is no ONNX file. Export the bundle again.") from error
    if found is not None:
        raise BundleError(f"{path} has {found}; a bundle's graph holds its own weights and ONNX's own operators.")


def _foreign(graph: bytes) -> str | None:
    """What a model has, in itself or in any message inside of it, that a bundle's graph must not have."""
    waiting: list[tuple[_Kind, int, int]] = [("model", 0, len(graph))]
    while waiting:
        kind, start, end = waiting.pop()
        inside, domain = _INSIDE[kind], _DOMAIN.get(kind)
        for number, wire, first, last in _fields(graph, start, end):
            if number in inside and wire == _BYTES:
                waiting.append((inside[number], first, last))
            elif number == domain and (wire != _BYTES or graph[first:last] not in _DOMAINS):
                return "operators of a foreign domain"
            elif kind == "tensor" and number in _ELSEWHERE and graph[first:last] != b"\0":
                return "weights in other files (external data)"
    return None


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of the message in `data[start:end]`: number, wire type, and where the value begins and ends.

    Raises:
        ValueError: a field goes on past the end, or is of a type that protobuf gave up.
        IndexError: the file ends within a number.
    """
    position = start
    while position < end:
        key, position = _varint(data, position)
        wire = key & 7
        first = position
        if wire == _VARINT:
            _, position = _varint(data, position)
        elif wire == _BYTES:
            length, first = _varint(data, position)
            position = first + length
        elif wire in (_FIXED_32, _FIXED_64):
            position += 4 if wire == _FIXED_32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if position > end:
            raise ValueError("a field goes on past the end")
        yield key >> 3, wire, first, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of protobuf's variable length, and where it ends."""
    value = data[position]
    if value < 0x80:
        return value, position + 1
    value &= 0x7F
    for place in range(1, _LONGEST_VARINT):
        byte = data[position + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, position + place + 1
    raise ValueError("a number is too long")
