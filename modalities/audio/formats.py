"""Read and write sounds: single files, folders, zip archives, and tables that name files.

Objects are lists of `Clip`. What cannot be used is left out and named in `Dataset.rejected`.
"""

from __future__ import annotations

import io
import logging
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from modalities.audio import manifest
from modalities.audio.codec import LONGEST, SUFFIXES, WRITTEN, decoded, encoded, in_a_row
from modalities.audio.manifest import LABEL, Manifest
from modalities.audio.objects import Clip, checked
from modalities.audio.preparation import checked_settings
from pfgm_science.data import Dataset, nothing_usable
from pfgm_science.errors import BadRecord, ConfigError, DataError
from pfgm_science.files import hidden, new_folder, reading, replacing, walk, write_bytes

Array = np.ndarray[Any, Any]
Opener = Callable[[str], BinaryIO]

TABLES = (".csv", ".tsv")
GAP = 0.25  # seconds between clips in one file
_MARGIN = 1.0  # seconds that are read beyond those asked for, so that a clip that is longer is known to be
_TRIMMED = 10.0  # the same where silence at the start is taken away
_HALF_A_STEP = 2**-16  # of 16 bits
_BLOCK = 1 << 16  # bytes that are unpacked of an archive at least
_MAX_BYTES = 1 << 26  # of a table in an archive, which is read whole


@dataclass(frozen=True)
class Record:
    """One clip that can be used, what is known of it by name ("label" and other columns), and where it was."""

    clip: Clip
    values: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    record: str = ""


_Found = Record | BadRecord
_Decode = Callable[[Callable[[], BinaryIO], tuple[str, str], Mapping[str, str]], _Found]


def read(
    path: str | os.PathLike[str],
    *,
    label: str | None = None,
    rate: int | None = None,
    seconds: float | None = None,
    channels: int | None = None,
    loudness: float | None = None,
    trim: float | None = None,
    representation: str | None = None,
) -> Dataset:
    """Sounds at path: a Dataset of clips, with condition {"label": ...} and others where they are known.

    path is one of
    - a sound file: wav, flac, ogg (Vorbis or Opus), mp3, aiff and others that libsndfile reads
    - a folder or a .zip of them, at any depth, of any mixture of formats, rates, mono and stereo. The first sub-folder
      is the label, and a file in none is left out where others have one. With a table manifest.csv, manifest.tsv or
      metadata.csv in it, that says which files there are and what is known of them. Order: sorted by path, or that of
      the table
    - such a table, .csv or .tsv: a column `file` or `path` of names relative to the table's folder, and every other
      column a condition: numbers, or classes by name.

    label: the column that is the condition "label". The others say how clips are made ready for a network (see
    modalities.audio.preparation) and go to details["preparation"]; of these two matter here. rate: clips are resampled
    to so many Hz as they are read. seconds: no more is read than that and some more to tell what is longer (1 s, or
    10 s with trim); without it what lasts longer than 60 s is left out.
    Names of the files, in the order of the clips, are in details["files"]; with seconds, details["begun"] is how many
    seconds were read of each at most.
    Raises PfgmError for a path that cannot be read, DataError when no clip can be used, ConfigError for a setting out
    of range.
    """
    settings = checked_settings(
        rate=rate, seconds=seconds, channels=channels, loudness=loudness, trim=trim, representation=representation
    )
    kept: list[Record] = []
    rejected: list[BadRecord] = []
    for item in stream(path, label=label, rate=rate, seconds=seconds, trim=trim):
        if isinstance(item, Record):
            kept.append(item)
        else:
            rejected.append(item)
    kept = _labelled(kept, rejected)
    if not kept:
        if not rejected:
            raise DataError(f"there is no sound in {path}. Sound files end in {' '.join(SUFFIXES)}.")
        raise DataError(nothing_usable(path, "sound", rejected))
    details: dict[str, Any] = {"files": [_shown(record, Path(path)) for record in kept]}
    if settings:
        details["preparation"] = settings
    if seconds is not None:
        details["begun"] = _most(seconds, trim)
    return Dataset(
        [record.clip for record in kept],
        manifest.condition(list(kept[0].values), [dict(record.values) for record in kept]),
        name=Path(path).stem,
        source=str(path),
        rejected=tuple(rejected),
        details=details,
        read=settings | ({} if label is None else {"label": label}),
    )


def stream(
    path: str | os.PathLike[str],
    *,
    label: str | None = None,
    rate: int | None = None,
    seconds: float | None = None,
    trim: float | None = None,
) -> Iterator[Record | BadRecord]:
    """Sounds at path one by one, the unusable ones as BadRecord; see `read`."""
    most = None if seconds is None else _most(seconds, trim)

    def decode(open_file: Callable[[], BinaryIO], place: tuple[str, str], values: Mapping[str, str]) -> _Found:
        return _decoded(open_file, place, values, rate, most)

    with reading(path) as existing:
        suffix = existing.suffix.lower()
        if existing.is_dir():
            yield from _folder(existing, label, decode)
        elif suffix == ".zip":
            yield from _zip(existing, label, decode)
        elif suffix in TABLES:
            yield from _table(existing, label, decode)
        elif suffix in SUFFIXES:
            _refuse_label(label, str(path))
            yield decode(lambda: existing.open("rb"), (str(existing), ""), {})
        else:
            raise DataError(
                f"{path} is no kind of file that sounds are read from: give a folder, .zip, {' or '.join(TABLES)} with "
                f"a column of files, or a sound ({' '.join(SUFFIXES)})."
            )


def _most(seconds: float, trim: float | None) -> float:
    """Seconds that are read of a sound of which so many are asked for."""
    return seconds + (_MARGIN if trim is None else _TRIMMED)


def write(path: str | os.PathLike[str], clips: Sequence[Clip], *, labels: Any = None, ending: str = ".wav") -> None:
    """Write clips, whole or not at all, in the form that the name of path asks for.

    - no suffix, or an empty folder; .zip: files 000000.wav, ..., or in another format by `ending`. With labels, these
      go before the numbers in the names, and manifest.csv says them: `read` finds it
    - .wav, .flac (both of 16 bits), .ogg, .opus, .mp3: one clip; several one after the other, a quarter of a second of
      silence between, which needs one rate

    What is beyond full scale is clipped, and a warning says in how many clips. Raises DataError for what is no clip,
    for labels that the form cannot hold and rates that the format does not have, ConfigError for another suffix,
    PfgmError when the disk refuses.
    """
    clips = checked(clips)
    if not clips:
        raise DataError("there are no clips to write")
    tags = None if labels is None else manifest.checked_tags(labels, len(clips), str(path))
    suffix = "" if Path(path).is_dir() or str(path).endswith("/") else Path(path).suffix.lower()
    if suffix not in ("", ".zip", *WRITTEN) or ending not in WRITTEN:
        given = ending if ending not in WRITTEN else suffix
        raise ConfigError(
            f"sounds cannot be written as {given}: use {' '.join(WRITTEN)}, .zip or a folder (no suffix)."
        )
    if suffix in WRITTEN and tags is not None:
        raise DataError(f"a {suffix} file cannot hold labels: write {path} as .zip or a folder.")
    if suffix in WRITTEN:
        write_bytes(path, encoded(clips[0] if len(clips) == 1 else in_a_row(clips, GAP), suffix))
    elif suffix == ".zip":
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, data in _files(clips, tags, ending):
                archive.writestr(zipfile.ZipInfo(name), data)
    else:
        with new_folder(path) as root:
            for name, data in _files(clips, tags, ending):
                (root / name).write_bytes(data)
    _say_clipped(clips, path)


def _files(clips: Sequence[Clip], tags: Array | None, ending: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files of a folder, one by one."""
    names = [f"{index:06d}{ending}" for index in range(len(clips))]
    if tags is not None:
        if tags.dtype.kind != "f":
            names = [f"{_plain(tag)}-{name}" for tag, name in zip(tags.tolist(), names, strict=True)]
        yield manifest.NAMES[0], manifest.written(names, tags)
    for name, clip in zip(names, clips, strict=True):
        yield name, encoded(clip, ending)


def _plain(label: Any) -> str:
    """A label as the beginning of a name of a file, on any system."""
    return re.sub(r"[^\w.+]+", "_", str(label)).lstrip(".")[:40] or "_"


def _say_clipped(clips: Sequence[Clip], path: str | os.PathLike[str]) -> None:
    count = sum(float(clip.waveform.abs().max()) > 1 + _HALF_A_STEP for clip in clips)
    if count:
        logging.getLogger(__name__).warning("%d of %d sounds in %s are clipped at full scale", count, len(clips), path)


def _folder(root: Path, label: str | None, decode: _Decode) -> Iterator[_Found]:
    names = sorted(path.relative_to(root).as_posix() for path in walk(root))
    yield from _tree(
        names, lambda name: (root / name).open("rb"), lambda name: (str(root / name), ""), str(root), label, decode
    )


def _zip(path: Path, label: str | None, decode: _Decode) -> Iterator[_Found]:
    try:
        archive = zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # zipfile raises many types on damaged bytes
        raise DataError(f"cannot read {path} as a zip archive ({error}). It is damaged, or not a zip.") from error
    with archive:
        entries = {entry.filename: entry for entry in archive.infolist() if not entry.filename.endswith("/")}

        def load(name: str) -> BinaryIO:
            size = entries[name].file_size
            if name in manifest.NAMES and size > _MAX_BYTES:
                raise DataError(f"{name} unpacks to {size} bytes, more than the {_MAX_BYTES} allowed for a table")
            try:
                return io.BufferedReader(_Member(archive.open(entries[name]), size), _BLOCK)
            except Exception as error:  # encryption, unknown compression, a header that is damaged
                raise _not_unpacked(error) from error

        yield from _tree(sorted(entries), load, lambda name: (str(path), name), str(path), label, decode)


class _Member(io.RawIOBase):
    """A file in an archive, unpacked as it is read and no further: moving about in it unpacks nothing.

    What goes wrong in unpacking reads as the end of the file and is raised by `close`, as DataError: libsndfile, which
    calls for what it reads, passes no errors on.
    """

    def __init__(self, unpacked: IO[bytes], size: int) -> None:
        self._unpacked, self._size = unpacked, size
        self._place = 0
        self._error: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        if self._error is not None or self._place >= self._size:
            return 0
        try:
            self._unpacked.seek(self._place)
            data = self._unpacked.read(len(buffer))
        except Exception as error:  # wrong checksum, zlib's own errors
            self._error = error
            return 0
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        self._unpacked.close()
        if self._error is not None:
            raise _not_unpacked(self._error) from self._error


def _not_unpacked(error: Exception) -> DataError:
    return DataError(f"cannot be unpacked ({str(error) or type(error).__name__})")


def _table(path: Path, label: str | None, decode: _Decode) -> Iterator[_Found]:
    rows = manifest.parsed(path.read_bytes(), str(path), label)
    root = path.parent
    yield from _rows(
        rows, str(path), lambda name: (root / name).open("rb"), lambda name: (str(root / name), ""), decode
    )


def _tree(
    names: Sequence[str],
    load: Opener,
    place: Callable[[str], tuple[str, str]],
    root: str,
    label: str | None,
    decode: _Decode,
) -> Iterator[_Found]:
    """Sounds of a folder or an archive, given the names of its files in order."""
    names = [name for name in names if not hidden(name)]
    others = [name for name in names if not name.lower().endswith(SUFFIXES)]
    sounds = [name for name in names if name.lower().endswith(SUFFIXES)]
    table, rows = _found_table(names, load, root, label)
    if rows is not None:
        there = set(names)
        listed = {_normal(row.file) for row in rows.rows}
        yield from _rows(
            rows, f"{root}/{table}", lambda name: _opened(name, there, load), lambda name: place(_normal(name)), decode
        )
        for name in sounds:
            if name not in listed:
                yield BadRecord(*place(name), f"it is not named in {table}")
    else:
        _refuse_label(label, root)
        for name in sounds:
            first, _, rest = name.partition("/")
            yield decode(partial(load, name), place(name), {LABEL: first} if rest else {})
    yield from _others([name for name in others if name != table], place)


def _found_table(names: Sequence[str], load: Opener, root: str, label: str | None) -> tuple[str, Manifest | None]:
    """The table of a folder and its name; one that names no files is of another kind, and is passed over."""
    for name in manifest.NAMES:
        if name in names:
            with load(name) as file:
                data = file.read()
            try:
                return name, manifest.parsed(data, f"{root}/{name}", label)
            except DataError as error:
                if name == manifest.NAMES[-1]:  # a common name of tables of other kinds
                    break
                raise error
    return "", None


def _rows(
    table: Manifest, name: str, load: Opener, place: Callable[[str], tuple[str, str]], decode: _Decode
) -> Iterator[_Found]:
    for row in table.rows:
        if row.problem:
            yield BadRecord(name, f"line {row.line}", row.problem)
            continue
        found = decode(partial(load, row.file), place(row.file), row.values)
        yield found if isinstance(found, Record) else BadRecord(name, f"line {row.line}, {row.file}", found.reason)


def _normal(name: str) -> str:
    return os.path.normpath(name.replace("\\", "/")).replace(os.sep, "/")


def _opened(name: str, there: set[str], load: Opener) -> BinaryIO:
    if _normal(name) not in there:
        raise DataError("there is no such file")
    return load(_normal(name))


def _others(names: Sequence[str], place: Callable[[str], tuple[str, str]]) -> Iterator[BadRecord]:
    """A record for all files of one ending that are no sounds: notes and transcripts lie beside sounds by thousands."""
    by_ending: dict[str, list[str]] = {}
    for name in names:
        by_ending.setdefault(Path(name).suffix.lower(), []).append(name)
    for ending, files in by_ending.items():
        more = f", nor are {len(files) - 1} more {ending or 'without one'}" if len(files) > 1 else ""
        yield BadRecord(*place(files[0]), f"not a sound, by its suffix{more}")


def _refuse_label(label: str | None, path: str) -> None:
    if label is not None:
        raise ConfigError(
            f"label is {label!r}, a column of a table, and {path} has none: put a manifest.csv there with columns file "
            "and label, or sounds into a sub-folder for each class"
        )


def _decoded(
    open_file: Callable[[], BinaryIO],
    place: tuple[str, str],
    values: Mapping[str, str],
    rate: int | None,
    most: float | None,
) -> _Found:
    try:
        with open_file() as file:
            return Record(decoded(file, rate=rate, most=most), values, *place)
    except OSError as error:
        return BadRecord(*place, f"cannot be read ({error.strerror or error})")
    except DataError as error:
        return BadRecord(*place, str(error))


def _labelled(records: Sequence[Record], rejected: list[BadRecord]) -> list[Record]:
    """The records, without those that lie in no class folder where others do."""
    if len({bool(record.values) for record in records}) < 2:
        return list(records)
    for record in records:
        if not record.values:
            rejected.append(BadRecord(record.file, record.record, "it lies in no class folder, others do"))
    return [record for record in records if record.values]


def _shown(record: Record, root: Path) -> str:
    """The name of a file as short as it is clear."""
    if record.record:
        return record.record
    path = Path(record.file)
    root = root.parent if root.is_file() else root
    return path.relative_to(root).as_posix() if root in path.parents else path.name


__all__ = ["GAP", "LONGEST", "SUFFIXES", "Record", "read", "stream", "write"]
