"""Requests held to AWS's own service model. Client libraries check types, required and unknown members and minima only.

The shapes are botocore's, which this module does not import: whoever has them hands them in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Rule = str
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """One member of a request that breaks a constraint of the service model.

    `path` is as in `Tags[0].Key`; `rule` is `max`, `min`, `pattern` or `enum`; `limit` is the model's value for it.
    """

    path: str
    value: Any
    rule: Rule
    limit: Any

    def __str__(self) -> str:
        """`HyperParameters.epochs has 2501 characters; AWS takes at most 2500.`."""
        match self.rule:
            case "max":
                return f"{self.path} {_size(self.value)}; AWS takes at most {self.limit}."
            case "min":
                return f"{self.path} {_size(self.value)}; AWS takes at least {self.limit}."
            case "pattern":
                return f"{self.path} is {_short(self.value)}; AWS takes what matches {self.limit}"
            case _:
                return f"{self.path} is {_short(self.value)}; AWS takes {_choices(self.limit)}."


def find_faults(shape: Any, value: Any, path: str = "") -> Iterator[Fault]:
    """Every member of `value` that breaks max, min, pattern, enum or a list's or map's length of a botocore shape.

    Members that the shape does not know, or of another type than it says, are left to the client library.
    """
    yield from _constraints(shape, value, path)
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            for name, member in shape.members.items():
                if name in value:
                    yield from find_faults(member, value[name], f"{path}.{name}" if path else name)
        case "list" if isinstance(value, list | tuple):
            for index, item in enumerate(value):
                yield from find_faults(shape.member, item, f"{path}[{index}]")
        case "map" if isinstance(value, dict):
            for key, item in value.items():
                yield from find_faults(shape.key, key, f"{path} key {_short(key)}")
                yield from find_faults(shape.value, item, f"{path}.{key[:_SHOWN]}")


def _constraints(shape: Any, value: Any, path: str) -> Iterator[Fault]:
    rules = shape.metadata
    size = _measure(value)
    if size is not None:
        if "max" in rules and size > rules["max"]:
            yield Fault(path, value, "max", rules["max"])
        if "min" in rules and size < rules["min"]:
            yield Fault(path, value, "min", rules["min"])
    if isinstance(value, str):
        if "pattern" in rules and not _pattern(rules["pattern"]).fullmatch(value):
            yield Fault(path, value, "pattern", rules["pattern"])
        choices = getattr(shape, "enum", None) or rules.get("enum")
        if choices and value not in choices:
            yield Fault(path, value, "enum", choices)


def _measure(value: Any) -> float | None:
    """What min and max are about: a number itself, or the length of anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    return len(value) if isinstance(value, str | bytes | list | tuple | dict) else None


@lru_cache(maxsize=512)
def _pattern(text: str) -> Any:
    import regex  # the standard library knows no \p classes

    return regex.compile(text)


def _size(value: Any) -> str:
    if isinstance(value, str | bytes):
        return f"has {len(value)} characters"
    return f"has {len(value)} entries" if isinstance(value, list | tuple | dict) else f"is {value}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _choices(choices: Any) -> str:
    """All of a few; the first of many, as of the 225 types of instances."""
    names = [str(choice) for choice in choices]
    return " or ".join(names) if len(names) <= 12 else f"one of {len(names)}: {', '.join(names[:6])}, ..."
