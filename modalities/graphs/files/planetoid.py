"""Read Planetoid's `ind.*.graph`: a pickle, of which only dictionaries, lists and integers are understood.

Nothing is unpickled. The instructions of the pickle are listed by `pickletools`, and those that build such values are
followed here; any other, among them all that could call something, is refused.
"""

from __future__ import annotations

import os
import pickletools
from typing import Any

from pfgm_science.errors import DataError
from pfgm_science.files import reading

_MOST_BYTES = 1 << 26  # ind.citeseer.graph has 85 kB
_DEFAULTDICT, _LIST = "collections defaultdict", "list"
_KNOWN = {_DEFAULTDICT: _DEFAULTDICT, "__builtin__ list": _LIST, "builtins list": _LIST}
_MARK = object()


def citations(path: str | os.PathLike[str]) -> dict[int, list[int]]:
    """Node -> neighbours of a file `ind.*.graph` of Planetoid. Raises DataError for any other content."""
    with reading(path) as existing:
        if not existing.is_file() or existing.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} is no file of at most {_MOST_BYTES >> 20} MiB: it is not ind.citeseer.graph.")
        data = existing.read_bytes()
    try:
        built = _built(data)
    except Exception as error:  # damaged instructions raise a dozen types
        raise DataError(
            f"cannot read {path} as a pickle of a dictionary of lists of integers ({error or type(error).__name__})."
        ) from error
    if not _lists_of_integers(built):
        raise DataError(f"{path} does not hold a dictionary of lists of integers.")
    return dict(built)


def _built(data: bytes) -> Any:
    """The value that the instructions build on their stack."""
    stack: list[Any] = []
    memory: dict[int, Any] = {}

    def above_mark() -> list[Any]:
        place = max(i for i, item in enumerate(stack) if item is _MARK)
        items = stack[place + 1 :]
        del stack[place:]
        return items

    for instruction, argument, _ in pickletools.genops(data):
        name = instruction.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name == "MARK":
            stack.append(_MARK)
        elif name in ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "SHORT_BINUNICODE", "BINUNICODE"):
            stack.append(argument)
        elif name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE"):
            stack.append({"EMPTY_LIST": [], "EMPTY_DICT": {}, "EMPTY_TUPLE": ()}[name])
        elif name in ("LIST", "TUPLE"):
            stack.append(above_mark() if name == "LIST" else tuple(above_mark()))
        elif name in ("DICT", "SETITEMS"):
            items = above_mark()
            if name == "DICT":
                stack.append({})
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            stack[-1][key] = value
        elif name == "TUPLE1":
            stack.append((stack.pop(),))
        elif name == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif name == "APPENDS":
            items = above_mark()
            stack[-1].extend(items)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memory[len(memory) if name == "MEMOIZE" else int(argument or 0)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memory[int(argument or 0)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            wanted = str(argument) if name == "GLOBAL" else " ".join(reversed((stack.pop(), stack.pop())))
            if wanted not in _KNOWN:
                raise DataError(f"it asks for {wanted.replace(' ', '.')}, which could run a program, and is refused")
            stack.append(_KNOWN[wanted])
        elif name == "REDUCE":
            given, called = stack.pop(), stack.pop()
            if called != _DEFAULTDICT or given not in ((), (_LIST,)):
                raise DataError("it asks for a call, which could run a program, and is refused")
            stack.append({})
        else:
            raise DataError(f"the instruction {name} builds no dictionary of lists of integers")
    raise DataError("it has no end")


def _lists_of_integers(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(
        type(node) is int and type(near) is list and all(type(other) is int for other in near)
        for node, near in value.items()
    )
