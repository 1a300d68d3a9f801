"""Dot-bracket: a line ">name", one of letters and one of brackets, with an energy behind it or not (ViennaRNA)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from modalities.sequences.files.item import Item
from modalities.sequences.frame import pairs_of
from pfgm_science.errors import ConfigError


def read(handle: TextIO) -> Iterator[Item]:
    lines: list[str] = []
    number = 0
    for line in handle:
        line = line.strip()
        if line.startswith(">") and lines:
            number += 1
            yield _item(number, lines)
            lines = []
        if line:
            lines.append(line)
    if lines:
        yield _item(number + 1, lines)


def write(handle: TextIO, items: Iterable[Item]) -> None:
    for item in items:
        handle.write(f">{item.name}\n{item.text}\n{item.structure or '.' * len(item.text)}\n")


def _item(number: int, lines: list[str]) -> Item:
    name = lines[0].removeprefix(">").split(" ")[0]
    place = f"record {number} ({name})"
    if not lines[0].startswith(">"):
        return Item(f"record {number}", reason="it does not begin with a line '>name'")
    body = lines[1:]
    if len(body) != 2:
        return Item(place, name, reason=f"it has {len(body)} lines below its name: one of letters, one of brackets")
    text, structure = body[0], body[1].split(" ")[0]
    if len(text) != len(structure):
        return Item(place, name, reason=f"it has {len(text)} letters and {len(structure)} brackets")
    try:
        pairs_of(structure)
    except ConfigError as error:
        return Item(place, name, reason=str(error))
    return Item(place, name, text=text, structure=structure)
