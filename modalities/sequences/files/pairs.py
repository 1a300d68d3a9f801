"""Pairs of chains in files: two records that belong together become one, and one sample becomes two records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from modalities.sequences.files.item import Item

BETWEEN = ":"  # stands between the chains of a pair, as does "/"
CELL = "cell_id"  # what AIRR tables call the cell that two chains come from
_NAME = re.compile(r"(.+)_(?:(h|vh|heavy)|l|vl|light)", re.IGNORECASE)


def halves(text: str) -> list[str]:
    """The chains of a pair that is written with a sign between them; of any other text the text."""
    return re.split("[:/]", text)


def joined(stream: Iterable[tuple[str, Item]]) -> Iterator[tuple[str, Item]]:
    """Records with their files, where two that follow one another and are a pair have become one.

    They are a pair where their names differ in the ending alone, _H and _L, _VH and _VL or _heavy and _light, or where
    a table has them from one cell. Columns become "locus_heavy" and "locus_light"; what both have keeps its name too.
    """
    waiting: tuple[str, Item] | None = None
    for file, item in stream:
        if waiting is not None and waiting[0] == file and _belong(waiting[1], item):
            yield file, _pair(waiting[1], item)
            waiting = None
            continue
        if waiting is not None:
            yield waiting
        waiting = file, item
    if waiting is not None:
        yield waiting


def parted(items: Iterable[Item], heavy: int) -> Iterator[Item]:
    """Two records of each sample, id_H and id_L. heavy: how many columns are the heavy chain's, the first ones."""
    for item in items:
        yield replace(item, name=f"{item.name}_H", text=item.text[:heavy])
        yield replace(item, name=f"{item.name}_L", text=item.text[heavy:])


def _belong(first: Item, second: Item) -> bool:
    (stem, heavy), (other, other_heavy) = _named(first.name), _named(second.name)
    if stem and stem == other and heavy != other_heavy:
        return True
    cell = first.values.get(CELL)
    return bool(cell) and cell == second.values.get(CELL)


def _named(name: str) -> tuple[str, bool]:
    """What a name says before its ending, and whether that is one of heavy chains; "" without such an ending."""
    found = _NAME.fullmatch(name)
    return (found[1], bool(found[2])) if found else ("", False)


def _pair(first: Item, second: Item) -> Item:
    light_first = _named(second.name)[1] or any("IGH" in str(second.values.get(name)) for name in ("locus", "v_call"))
    heavy, light = (second, first) if light_first else (first, second)
    values = {name: value for name, value in heavy.values.items() if light.values.get(name) == value}
    for side, item in (("heavy", heavy), ("light", light)):
        values |= {f"{name}_{side}": value for name, value in item.values.items()}
    reason = first.reason or second.reason
    return Item(
        f"{first.record} and {second.record}",
        _named(heavy.name)[0] or str(heavy.values.get(CELL) or heavy.name),
        heavy.description,
        f"{heavy.text}{BETWEEN}{light.text}",
        reason and f"one of its chains: {reason}",
        values,
    )
