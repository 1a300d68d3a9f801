"""Tables of sound files: a row a file, its name in one column, what is known of it in the others."""

from __future__ import annotations

import csv
import difflib
import io
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pfgm_science.data import checked_labels
from pfgm_science.errors import ConfigError, DataError

Array = np.ndarray[Any, Any]

NAMES = ("manifest.csv", "manifest.tsv", "metadata.csv")  # found in a folder without being named
FILE_COLUMNS = ("file", "path", "file_name", "filename")
LABEL = "label"
_FEW = 20  # rows up to which every word may be a class
_WORDS = 0.1  # of the cells of a column of numbers at most; with more, all cells are names of classes
_REPLACED = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Row:
    """A line of a manifest. values: what is known of the file, by column; problem: why the line cannot be used."""

    line: int
    file: str
    values: dict[str, str]
    problem: str = ""


@dataclass(frozen=True)
class Manifest:
    """The rows of a table, and the names of its columns beside that of the files; `label` is among them as "label"."""

    rows: Sequence[Row]
    columns: Sequence[str]


def parsed(data: bytes, name: str, label: str | None) -> Manifest:
    """The manifest in the bytes of a .csv (with commas, semicolons or tabs) or .tsv file.

    label: the column that is the label, "label" if None; where another is named, a column "label" is passed over.
    A column in which at most a tenth of the cells are words is one of numbers: rows without one there have a problem.
    Raises DataError where no column holds files, ConfigError where label is no column.
    """
    lines = _cells(data.decode("utf-8-sig", errors="replace"), name)
    header = [cell.strip() for cell in next(lines, (0, [""]))[1]]
    at = _file_column(header, name)
    columns = {i: _named(column, label) for i, column in enumerate(header) if i != at and _named(column, label)}
    if label is not None and label not in (header[i] for i in columns):
        known = [column for i, column in enumerate(header) if column and i != at]
        near = difflib.get_close_matches(label, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{name} has no column {label!r} to be the label ({', '.join(known) or 'no other'}).{hint}")
    if len(set(columns.values())) < len(columns):
        raise DataError(f"{name} has two columns of one name: {', '.join(header)}")
    rows = [_row(line, cells, header, at, columns) for line, cells in lines]
    filled = [column for column in columns.values() if any(row.values.get(column) for row in rows)]
    rows = [_checked(row, filled) for row in rows]
    for column in filled:
        rows = _numbered(rows, column)
    return Manifest(rows, filled)


def condition(columns: Sequence[str], values: Sequence[dict[str, str]]) -> dict[str, Array]:
    """Column -> one value a file: float64 where all are finite numbers, else class names.

    Whole numbers in the column "label" are classes, int64. Another column with a different word in most of its rows
    says what a file is called, or what is said in it, and is passed over with a warning. `parsed` has named what is no
    number in a column of numbers.
    """
    found = {}
    for column in columns:
        words = [each[column] for each in values]
        numbers = _numbers(words)
        if numbers is not None:
            whole = column == LABEL and bool((numbers == np.rint(numbers)).all())
            found[column] = numbers.astype(np.int64) if whole else numbers
        elif column != LABEL and len(words) > _FEW and 2 * len(set(words)) > len(words):
            some = sum(_number(word) is not None for word in words)
            logging.getLogger(__name__).warning(
                "the column %s is no condition: %d different words in %d rows%s",
                column,
                len(set(words)),
                len(words),
                f", {some} of them numbers: with at most {_WORDS:.0%} of words it would be one" if some else "",
            )
        else:
            found[column] = np.array(words)
    return found


def written(files: Sequence[str], labels: Array) -> bytes:
    """A .csv manifest of files with their labels."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((FILE_COLUMNS[0], LABEL))
    writer.writerows(zip(files, labels.tolist(), strict=True))
    return text.getvalue().encode()


def checked_tags(labels: Any, count: int, path: str) -> Array:
    """Labels [count] that a manifest can hold; DataError for others."""
    tags = checked_labels(labels, count, path)
    if tags.ndim > 1:
        raise DataError("vectors as labels cannot be kept beside sounds: give one number or name each")
    if any(not str(tag).strip() or not str(tag).isprintable() for tag in tags.tolist()):
        raise DataError("a label that is empty or not printable cannot be kept beside sounds")
    return tags


def _cells(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line that is not empty."""
    first = text.partition("\n")[0]
    separator = "\t" if name.lower().endswith(".tsv") else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        yield from ((reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}") from error


def _file_column(header: Sequence[str], name: str) -> int:
    lower = [column.lower() for column in header]
    for column in FILE_COLUMNS:
        if column in lower:
            return lower.index(column)
    raise DataError(
        f"{name} has no column of files: one must be called {' or '.join(FILE_COLUMNS[:2])}, and there are "
        f"{', '.join(header)[:200] or 'none'}"
    )


def _named(column: str, label: str | None) -> str:
    """What a column is called as a condition; "" for one that is none."""
    if label is None or column not in (label, LABEL):
        return column
    return LABEL if column == label else ""


def _row(line: int, cells: Sequence[str], header: Sequence[str], at: int, columns: dict[int, str]) -> Row:
    if len(cells) != len(header):
        return Row(line, "", {}, f"{len(cells)} cells, not {len(header)}")
    problem = ""
    if any(_REPLACED in cell for cell in cells):
        problem = "it is no UTF-8 text: save the table as UTF-8"
    elif not cells[at].strip():
        problem = "it names no file"
    return Row(line, cells[at].strip(), {name: cells[i].strip() for i, name in columns.items()}, problem)


def _checked(row: Row, columns: Sequence[str]) -> Row:
    values = {column: row.values.get(column, "") for column in columns}
    empty = [column for column, value in values.items() if not value]
    return Row(row.line, row.file, values, row.problem or (f"its {empty[0]} is empty" if empty else ""))


def _numbered(rows: Sequence[Row], column: str) -> list[Row]:
    """The rows, those with a problem that have no finite number in a column of numbers."""
    words = [row.values[column] for row in rows if not row.problem]
    count = sum(map(_is_finite, words))
    if not count or not _are_numbers(words, column):
        return list(rows)
    why = f"where {count} of {len(words)} rows have a number: give one, or take the row out"
    return [
        row
        if row.problem or _is_finite(row.values[column])
        else replace(row, problem=f"its {column} is {row.values[column]!r}, {why}")
        for row in rows
    ]


def _are_numbers(words: Sequence[str], column: str) -> bool:
    """Whether cells are numbers but for a few. NaN and infinity, which are numbers that are missing, do not count."""
    numbers = [number for number in map(_number, words) if number is not None]
    strange = len(words) - len(numbers)
    if strange and column == LABEL and all(number.is_integer() for number in numbers if math.isfinite(number)):
        return False  # whole numbers are classes there, and a word is one more
    return strange <= _WORDS * len(words) and not any(map(_is_code, words))


def _numbers(words: Sequence[str]) -> Array | None:
    """Float64 [n] where all are finite numbers, else None."""
    return np.array([float(word) for word in words]) if all(map(_is_finite, words)) else None


def _is_finite(word: str) -> bool:
    number = _number(word)
    return number is not None and math.isfinite(number)


def _number(word: str) -> float | None:
    """None for what is a word."""
    try:
        return None if _is_code(word) else float(word)
    except ValueError:
        return None


def _is_code(word: str) -> bool:
    """Whether it is a name, whatever float() makes of it, and all of its column with it: "1_2" and "007" are."""
    return "_" in word or (len(word) > 1 and word[0] == "0" and word.isdecimal())
