"""Read and write vectors: CSV and TSV, NumPy arrays, Parquet.

Objects are float64 arrays [n, features]; the names of the columns are in `Dataset.details["columns"]`. What cannot be
used is left out and named in `Dataset.rejected`.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import math
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pfgm_science.data import Dataset, checked_labels, nothing_usable
from pfgm_science.errors import BadRecord, ConfigError, DataError, PfgmError
from pfgm_science.files import read_arrays, reading, replacing

Array = np.ndarray[Any, Any]

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".dat")
_SEPARATORS = (",", "\t", ";", "|", " ")
_NO_LABEL = ("", "nan")
REPLACED = "\N{REPLACEMENT CHARACTER}"
_KINDS = f"{' '.join(TEXT_SUFFIXES)} .npy .npz .parquet"


@dataclass
class _Table:
    """What a reader found: numbers [n, features], labels, names of the columns, and the rows left out."""

    values: Array
    columns: tuple[str, ...]
    labels: Any = None
    rejected: list[BadRecord] = field(default_factory=list)


def read(
    path: str | os.PathLike[str], *, label: str | None = None, header: bool | None = None, encoding: str = "utf-8"
) -> Dataset:
    """Vectors at path as a Dataset of float64 [n, features], with condition {"label": ...} if there are labels.

    path is one of
    - .csv, .tsv, .txt, .dat: a row a line, separated by comma, tab, semicolon, bar or blanks, whichever fits the first
      lines best. The first line is a header when none of its cells is a number or all are quoted, unless header says
      whether it is; without one the columns are x0, x1, ... Empty lines and lines that begin with # are passed over.
      Read line by line: a quoted line break is not allowed. A line that is not text in this encoding is rejected.
    - .npy: numbers [n, features]. .npz: such an array under "values" (or as the only array), if any the names of the
      columns under "columns" and labels under "labels".
    - .parquet: columns of numbers; needs pyarrow.

    label: the column (in .npz also the array) that is the label and not a feature: whole numbers become int64, other
    numbers float64 (a vector of one entry to the model), anything else class names. A row without one is rejected.
    A row with another number of fields, with a cell that is not a number, or with NaN or infinity is rejected as
    "row 17": of text, line 17 of the file, counted from 1; of the others "index 17", counted from 0.

    Raises PfgmError for a path that does not exist or cannot be read, DataError when no row can be used, ConfigError
    for a label that is not a column.
    """
    text = _TextOptions(header, _checked_encoding(encoding))
    with reading(path) as existing:
        table = _load(existing, str(label) if label is not None else None, text)
    if not table.columns:
        raise DataError(f"{path} has no column beside the label: there must be at least one of numbers.")
    if not len(table.values):
        if not table.rejected:
            raise DataError(f"there is no row of numbers in {path}.")
        raise DataError(nothing_usable(path, "row", table.rejected))
    condition = {} if table.labels is None else {"label": table.labels}
    return Dataset(
        table.values,
        condition,
        name=existing.stem,
        source=str(path),
        rejected=tuple(table.rejected),
        details={"columns": _distinct(table.columns)},
    )


def write(
    path: str | os.PathLike[str],
    values: Array,
    columns: Sequence[str] | None = None,
    labels: Sequence[Any] | Array | None = None,
) -> None:
    """Write numbers [n, features], whole or not at all, as .csv, .tsv, .npy, .npz or .parquet.

    columns: names of the features (x0, x1, ... if not given); .npy does not keep them. labels: one per row, the last
    column "label" of a table, the array "labels" of .npz. Numbers in text are the shortest that read back the same.
    Raises DataError for values that are not finite numbers [n, features] and for labels that do not fit, ConfigError
    for names that would not be read back, PfgmError when the disk refuses.
    """
    values = _checked(values)
    names = _checked_columns(columns, values.shape[1])
    tags = None if labels is None else _checked_labels(labels, len(values), path)
    suffix = Path(path).suffix.lower()
    if suffix in (".csv", ".tsv"):
        _write_text(path, values, names, tags, "," if suffix == ".csv" else "\t")
    elif suffix == ".npz":
        with replacing(path) as temporary, temporary.open("wb") as file:
            if tags is None:
                np.savez(file, values=values, columns=np.asarray(names))
            else:
                np.savez(file, values=values, columns=np.asarray(names), labels=tags)
    elif suffix == ".npy":
        if tags is not None:
            raise DataError(f"a .npy file cannot hold labels: write {path} as .npz, .csv or .parquet.")
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, values, allow_pickle=False)
    elif suffix == ".parquet":
        _write_parquet(path, values, names, tags)
    else:
        given = suffix or "a file without suffix"
        raise ConfigError(f"vectors cannot be written as {given}: use .csv .tsv .npy .npz .parquet.")


@dataclass(frozen=True)
class _TextOptions:
    """What a user may have to say of a text table. header: None to find out."""

    header: bool | None = None
    encoding: str = "utf-8-sig"


def _checked_encoding(name: str) -> str:
    try:
        found = codecs.lookup(name).name
    except LookupError:
        raise ConfigError(f"encoding {name!r} is not known: utf-8, latin-1 and utf-16 are common ones.") from None
    return "utf-8-sig" if found == "utf-8" else found  # without the mark that some programs put before the text


def _load(path: Path, label: str | None, text: _TextOptions) -> _Table:
    suffix = path.suffix.lower()
    if path.is_file() and suffix in TEXT_SUFFIXES:
        return _read_text(path, label, text)
    if path.is_file() and suffix in (".npy", ".npz"):
        return _read_arrays(path, label)
    if path.is_file() and suffix == ".parquet":
        return _read_parquet(path, label)
    raise DataError(f"{path} is no kind of file that vectors are read from: give one of {_KINDS}.")


@dataclass(frozen=True)
class _Layout:
    """How a text table is laid out: its separator, the names of its columns, the line of the header (0: none)."""

    separator: str
    names: tuple[str, ...]
    header: int


def _read_text(path: Path, label: str | None, options: _TextOptions) -> _Table:
    layout = _layout(path, options)
    names = list(layout.names)
    chosen = None if label is None else _index(names, label, path)
    numbers, labels, rejected = array("d"), list[str](), list[BadRecord]()
    for line, text in _lines(path, options.encoding):
        if line == layout.header:
            continue
        try:
            _require_text(text, options.encoding)
            cells = _cells(text, layout.separator)
            if len(cells) != len(layout.names):
                raise ValueError(f"{len(cells)} fields, not {len(layout.names)}")
            tag = None if chosen is None else cells.pop(chosen)
            if tag is not None and tag.lower() in _NO_LABEL:
                raise ValueError("it has no label")
            row = [_number(cell) for cell in cells]
        except (ValueError, csv.Error) as error:
            rejected.append(BadRecord(str(path), f"row {line}", str(error)))
            continue
        numbers.extend(row)
        if tag is not None:
            labels.append(tag)
    if chosen is not None:
        del names[chosen]
    values = np.array(numbers).reshape(-1, max(len(names), 1))
    return _Table(values, tuple(names), None if chosen is None else _typed(labels), rejected)


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is neither empty nor a comment."""
    with path.open(encoding=encoding, errors="replace") as file:
        for number, text in enumerate(file, 1):
            text = text.strip("\r\n")
            if text.strip() and not text.startswith("#"):
                yield number, text


def _distinct(names: Sequence[str]) -> list[str]:
    """The names as `write` takes them: a second "a" is "a.1", and so is "label", the name of the labels' own column."""
    result: list[str] = []
    for index, name in enumerate(names):
        name = name.strip().lstrip("#")
        name = unique = name if _is_plain(name) else f"x{index}"
        repeat = 0
        while unique in ("label", *result):
            repeat += 1
            unique = f"{name}.{repeat}"
        result.append(unique)
    return result


def _require_text(line: str, encoding: str) -> None:
    """ValueError for a line with bytes that are no text in this encoding."""
    if REPLACED in line:
        raise ValueError(f"it is not {encoding.removesuffix('-sig')} text: say which it is, such as encoding=latin-1")


def _layout(path: Path, options: _TextOptions) -> _Layout:
    first = list(islice(_lines(path, options.encoding), 20))
    if not first:
        raise DataError(f"{path} is empty: there must be at least one row of numbers.")
    separator = _separator([text for _, text in first], "\t" if path.suffix.lower() == ".tsv" else ",")
    rows = [_cells_or_none(text, separator) for _, text in first]
    head = rows[0]
    named = head is not None and (not any(map(_is_number, head)) or _all_quoted(first[0][1], separator))
    if head is not None and (named if options.header is None else options.header):
        try:
            _require_text(first[0][1], options.encoding)
        except ValueError as error:
            raise DataError(f"the header of {path} cannot be read: {error}.") from None
        return _Layout(separator, tuple(name or f"x{index}" for index, name in enumerate(head)), first[0][0])
    widths = Counter(len(row) for row in rows if row is not None)
    width = widths.most_common(1)[0][0] if widths else 1
    return _Layout(separator, tuple(f"x{index}" for index in range(width)), 0)


def _separator(lines: Sequence[str], default: str) -> str:
    """The separator under which most lines have the same number of cells, and of these the most numbers."""
    best, best_score = default, (0, 0.0)
    for separator in (default, *_SEPARATORS):
        rows = [row for row in (_cells_or_none(line, separator) for line in lines) if row is not None]
        if not rows:
            continue
        width, agreeing = Counter(map(len, rows)).most_common(1)[0]
        cells = [cell for row in rows if len(row) == width for cell in row]
        score = (agreeing, sum(map(_is_number, cells)) / len(cells) if cells else 0.0)
        if width > 1 and 2 * agreeing > len(lines) and score > best_score:
            best, best_score = separator, score
    return best


def _all_quoted(text: str, separator: str) -> bool:
    """Whether all cells of a line are quoted: text then, even where they look like numbers, as years do."""
    return all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in text.strip().split(separator))


def _cells(text: str, separator: str) -> list[str]:
    """Cells of one line, without blanks around them; raises csv.Error for an open quote."""
    if separator == " " and '"' not in text:
        return text.split()
    if '"' in text:
        if text.count('"') % 2:
            raise csv.Error("a quote is not closed on this line")
        row = next(csv.reader([text.strip(" ")], delimiter=separator, skipinitialspace=True))
        return [cell.strip() for cell in row]
    return [cell.strip() for cell in text.split(separator)]


def _cells_or_none(text: str, separator: str) -> list[str] | None:
    try:
        return _cells(text, separator)
    except csv.Error:
        return None


def _number(cell: str) -> float:
    """A finite number; raises ValueError with the reason."""
    if not cell:
        raise ValueError("a cell is empty")
    try:
        value = float(cell)
    except ValueError:
        value = None
    if value is None or "_" in cell:
        raise ValueError(f"{cell[:40]!r} is not a number")
    if not math.isfinite(value):
        raise ValueError(f"{cell[:40]!r} is not finite")
    return value


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _index(names: Sequence[str], label: str, path: Path) -> int:
    if names.count(label) == 1:
        return names.index(label)
    if label in names:
        raise ConfigError(f"{path} has {names.count(label)} columns {label!r}: the label must be one of them.")
    near = difflib.get_close_matches(label, names, 1)
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise ConfigError(f"{path} has no column {label!r} ({shown})." + (f" Did you mean {near[0]!r}?" if near else ""))


def _typed(labels: Sequence[str]) -> Array:
    """Labels as int64 or float64 if all are such numbers, otherwise as text ("007" is text)."""
    if all(len(tag) < 19 and tag.removeprefix("-").isdecimal() and str(int(tag)) == tag for tag in labels):
        return np.array([int(tag) for tag in labels], dtype=np.int64)
    if all(_is_number(tag) and "." in tag for tag in labels):
        return np.array([float(tag) for tag in labels])
    return np.array(labels, dtype=np.str_)


def _read_arrays(path: Path, label: str | None) -> _Table:
    arrays = read_arrays(path)
    names = arrays.pop("columns", None)
    labels = arrays.pop("labels", None)
    if label is not None and label != "labels":
        labels = arrays.pop(label, None)
    if "values" in arrays:
        values = arrays["values"]
    elif len(arrays) == 1:
        values = next(iter(arrays.values()))
    else:
        raise DataError(f'{path} holds the arrays {list(arrays)}: name the one of the vectors "values".')
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise DataError(
            f"the array in {path} has type {values.dtype} and shape {list(values.shape)}: it must be numbers "
            "[n, features]. One number a sample is [n, 1]; other shapes can be flattened with reshape(len(array), -1)."
        )
    if names is None:
        names = np.array([f"x{index}" for index in range(values.shape[1])])
    if names.shape != values.shape[1:]:
        raise DataError(f"{path} names {names.size} columns for {values.shape[1]} features: give one name each.")
    columns = [str(name) for name in names]
    values = values.astype(np.float64)
    if label is not None and labels is None:
        chosen = _index(columns, label, path)
        labels = values[:, chosen]
        values, columns = np.delete(values, chosen, axis=1), columns[:chosen] + columns[chosen + 1 :]
    if labels is not None:
        labels = _checked_labels(labels, len(values), path)
    return _usable(values, tuple(columns), labels, path)


def _usable(values: Array, columns: tuple[str, ...], labels: Array | None, path: Path) -> _Table:
    """The table without the rows that have no label, or values that are NaN, infinite or missing."""
    finite = np.logical_and.reduce(np.isfinite(values), axis=1)
    named = np.full(len(values), True)
    if labels is not None and labels.ndim == 1:
        named = np.array([tag is not None and tag == tag for tag in labels], dtype=bool)
    rejected = [
        BadRecord(
            str(path),
            f"index {index}",
            "it has values that are NaN, infinite or missing" if not finite[index] else "it has no label",
        )
        for index in np.flatnonzero(~(finite & named))
    ]
    kept = finite & named
    return _Table(values[kept], columns, None if labels is None else _plain(labels[kept]), rejected)


def _plain(labels: Array) -> Array:
    """Labels as int64 if all are whole numbers, else as they are, or as text if they are Python objects."""
    if labels.dtype.kind == "f" and labels.ndim == 1 and (labels == np.rint(labels)).all():
        return labels.astype(np.int64)
    if labels.dtype.kind == "O":
        return np.array([str(tag) for tag in labels], dtype=np.str_)
    return labels


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise _no_pyarrow(path) from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield file
    except (pyarrow.ArrowException, ValueError) as error:
        raise DataError(f"cannot read {path} as Parquet ({error}). It is damaged, or not Parquet.") from error


def _parquet_features(schema: Any, path: Path, label: str | None) -> tuple[str, ...]:
    import pyarrow

    names = list(schema.names)
    if label is not None:
        del names[_index(names, label, path)]
    kinds = pyarrow.types
    for name in names:
        kind = schema.field(name).type if names.count(name) == 1 else None
        if kind is None or not (kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)):
            raise DataError(
                f"column {name!r} of {path} is {kind or 'there twice'}, not one column of numbers: leave it out"
                + (f", or give label={name!r} if it is the class." if label is None else ".")
            )
    return tuple(names)


def _read_parquet(path: Path, label: str | None) -> _Table:
    with _parquet(path) as file:
        names = _parquet_features(file.schema_arrow, path, label)
        parts, tags = [np.empty((0, len(names)))], list[Any]()
        for batch in file.iter_batches():
            part = np.empty((len(batch), len(names)))
            for column, name in enumerate(names):
                part[:, column] = batch.column(name).cast("float64", safe=False).to_numpy(zero_copy_only=False)
            parts.append(part)
            if label is not None:
                tags.extend(batch.column(label).to_pylist())
    return _usable(np.concatenate(parts), names, None if label is None else _objects(tags), path)


def _objects(tags: Sequence[Any]) -> Array:
    """Numbers as an array of them (a missing one is NaN), anything else as an array of Python objects."""
    kinds = {type(tag) for tag in tags if tag is not None}
    if kinds == {int} and None not in tags and all(-(2**63) <= tag < 2**63 for tag in tags):
        return np.array(tags, dtype=np.int64)
    if kinds == {float}:
        return np.array([math.nan if tag is None else tag for tag in tags])
    labels = np.empty(len(tags), dtype=object)
    labels[:] = tags
    return labels


def _write_text(
    path: str | os.PathLike[str], values: Array, names: Sequence[str], tags: Array | None, separator: str
) -> None:
    head = [*names, *([] if tags is None else ["label"])]
    for name in head:
        if name.startswith("#"):
            raise ConfigError(
                f"column {name!r} would not be read back as a name from {path}: rename it, or write .npz."
            )
    if tags is not None and any(str(tag).lower() in _NO_LABEL or not _is_plain(str(tag)) for tag in tags):
        raise DataError(f"a label that is empty, NaN or not printable cannot be kept in {path}: write .npz.")
    ends = [[]] * len(values) if tags is None else [[tag] for tag in tags.tolist()]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        if any(map(_is_number, head)):  # quotes, around all of them, tell such names from a row
            quoted = ('"' + name.replace('"', '""') + '"' for name in head)
            file.write(separator.join(quoted) + "\n")
        else:
            writer.writerow(head)
        writer.writerows(row.tolist() + end for row, end in zip(values, ends, strict=True))


def _write_parquet(path: str | os.PathLike[str], values: Array, names: Sequence[str], tags: Array | None) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise _no_pyarrow(path) from error
    table = {name: values[:, index] for index, name in enumerate(names)}
    if tags is not None:
        table["label"] = tags
    with replacing(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.table(table), temporary)


def _no_pyarrow(path: str | os.PathLike[str]) -> PfgmError:
    return PfgmError(f"Parquet files such as {path} need pyarrow: pip install pyarrow")


def _is_plain(text: str) -> bool:
    return bool(text) and text.isprintable() and text == text.strip()


def _checked_columns(columns: Sequence[str] | None, count: int) -> list[str]:
    names = [f"x{index}" for index in range(count)] if columns is None else [str(name) for name in columns]
    if len(names) != count:
        raise ConfigError(f"{len(names)} names of columns were given for {count} features: give one each.")
    if len(set(names)) != count or "label" in names or not all(map(_is_plain, names)):
        raise ConfigError(
            f"the names of the columns {names} must differ, be printable text without blanks at the ends, and none be "
            '"label", which is the name of the labels\' own column.'
        )
    return names


def _checked_labels(labels: Sequence[Any] | Array, count: int, path: str | os.PathLike[str]) -> Array:
    tags = checked_labels(labels, count, path)
    if tags.ndim == 2 and Path(path).suffix.lower() != ".npz":
        raise DataError(f"vectors as labels can be kept in .npz only, not in {path}.")
    return tags


def _checked(values: Array) -> Array:
    values = np.asarray(values)
    if values.ndim != 2 or values.dtype.kind not in "biuf" or 0 in values.shape:
        raise DataError(
            f"vectors have type {values.dtype} and shape {list(values.shape)}: they must be numbers [n, features], "
            "not empty."
        )
    values = values.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise DataError(f"{len(bad)} of {len(values)} vectors are not finite (the first is index {bad[0]}).")
    return values
