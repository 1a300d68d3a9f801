"""Read and write sequences: FASTA, FASTQ, AIRR tables, Stockholm, dot-bracket, also with .gz, and standard input.

Files are read as streams, record by record. What cannot be used is left out and named in `Dataset.rejected`; what was
made normal (lower case, T for U) is counted in `Dataset.details["changed"]`.
"""

from __future__ import annotations

import gzip
import io
import itertools
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from modalities.sequences.alphabet import GAP, Alphabet, alphabet_named, guessed
from modalities.sequences.files import airr, dotbracket, fasta, pairs, stockholm
from modalities.sequences.files.item import Item
from modalities.sequences.frame import Frame, numbered
from modalities.sequences.numbering import PAIRED, aligned, heavy_columns
from modalities.sequences.objects import text_of, without_gaps
from pfgm_science.data import Dataset, checked_labels, nothing_usable
from pfgm_science.errors import BadRecord, ConfigError, DataError
from pfgm_science.files import reading, replacing

ALIGNED = (".afa", ".aln", ".sto", ".stk", ".stockholm")
_STOCKHOLM = (".sto", ".stk", ".stockholm")
_DOTBRACKET = (".db", ".dbn", ".dot")
_FASTA = (".fasta", ".fa", ".fna", ".faa", ".ffn", ".afa", ".aln")
_FASTQ = (".fastq", ".fq")
_TABLES = (".tsv",)
SUFFIXES = (*_FASTA, *_FASTQ, *_TABLES, *_STOCKHOLM, *_DOTBRACKET)
STANDARD_INPUT = "-"

LIMIT = 200_000  # sequences that are kept; of more, as many drawn at random
LONGEST = 1024  # letters or columns of a sequence
_NAMED = 1000  # bad records that are named one by one
_GUESSED_BY = 1000  # records that say which alphabet it is

Reader = Callable[[TextIO], Iterator[Item]]


@dataclass
class _Kept:
    """A uniform sample of at most `limit` of a stream (reservoir sampling, Vitter 1985), and what was left out."""

    limit: int
    items: list[Item] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    seen: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    rejected: list[BadRecord] = field(default_factory=list)
    more: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def add(self, file: str, item: Item) -> None:
        self.seen += 1
        if len(self.items) < self.limit:
            self.items.append(item)
            self.files.append(file)
        elif (place := int(self._rng.integers(self.seen))) < self.limit:
            self.items[place], self.files[place] = item, file

    def reject(self, file: str, record: str, reason: str) -> None:
        if len(self.rejected) < _NAMED:
            self.rejected.append(BadRecord(file, record, reason))
        else:
            self.more[file, "bad records that are not named one by one"] += 1

    def all_rejected(self) -> list[BadRecord]:
        rest = [BadRecord(file, f"{count} more", reason) for (file, reason), count in self.more.items()]
        if self.seen > self.limit:
            left = self.seen - self.limit
            reason = f"{self.limit} of {self.seen} are kept, drawn at random; --read limit=N for another number"
            rest.append(BadRecord(self.files[0], f"{left} sequences", reason))
        return [*self.rejected, *rest]


def read(
    path: str | os.PathLike[str],
    *,
    alphabet: str | None = None,
    label: str | None = None,
    column: str | None = None,
    limit: int = LIMIT,
    longest: int = LONGEST,
    numbering: str | None = None,
    chain: str | None = None,
) -> Dataset:
    """Sequences at path: a Dataset of Biopython's SeqRecord, with condition {label: ...} if they have labels.

    path is one of
    - .fasta, .fa, .fna, .faa, .ffn: any sequences; with gaps all must have one length, and are aligned
    - .afa, .aln: aligned FASTA
    - .fastq, .fq: as FASTA; qualities are not looked at
    - .tsv: an AIRR table; the letters are in `column`, or in the first of sequence_alignment_aa, sequence_aa,
      sequence_alignment, sequence. label: columns with commas between, each a condition: numbers where all are, else
      classes. v_gene, v_family and so on are found in v_call, d_call, j_call where they are no columns themselves
    - .sto, .stk: Stockholm, with SS_cons as the structure of the columns
    - .db, .dbn: dot-bracket
    - any of these with .gz; "-" for standard input; a folder of such files: the first sub-folder is the label.

    alphabet: protein, dna or rna, guessed otherwise from the first thousand records. limit: of more sequences so many
    are drawn at random. longest: longer ones are left out. numbering: imgt, aho, kabat, chothia or martin, to align
    antibodies; what is around their variable domain is taken away. chain: H or L, that of most if None, or "paired" for
    heavy chains each with its light one: in one record (scFv, "VH:VL", "VH/VL"), in two that follow one another and
    whose names differ in the ending (_H and _L, _VH and _VL, _heavy and _light) or that are of one cell_id, or in the
    columns of a table that end in _heavy and _light.
    Raises PfgmError for a path that cannot be read, DataError when no sequence can be used.
    """
    if limit < 1 or longest < 1:
        raise ConfigError(f"limit is {limit} and longest {longest}: both must be at least 1")
    if chain is not None and numbering is None:
        raise ConfigError(f"chain={chain} is for antibodies that are numbered: give numbering=imgt as well")
    paired = chain == PAIRED
    labels = _names(label)
    kept = _Kept(limit)
    stream = _stream(Path(path), partial(airr.read, column=column, paired=paired))
    if paired:
        stream = pairs.joined(stream)
    head = list(itertools.islice(stream, _GUESSED_BY))
    letters = alphabet_named(alphabet) if alphabet else guessed(item.text for _, item in head)
    for file, item in itertools.chain(head, stream):
        try:
            text = _normal(item, letters, longest, kept.changed, paired)
            # Of a table nothing is kept but the labels: whole rows of many records would not fit into memory.
            kept.add(file, replace(item, text=text, values=_labels(item, labels, paired)))
        except DataError as error:
            kept.reject(file, item.record, str(error))
    frame = None
    if numbering is None:
        items = _of_one_kind(kept)
    else:
        frame, items = _numbered(kept, numbering, chain)
    if not items:
        rejected = kept.all_rejected()
        if not rejected:
            raise DataError(f"there is no sequence in {path}. Files of sequences end in {' '.join(SUFFIXES)}.")
        raise DataError(nothing_usable(path, "sequence", rejected))
    details: dict[str, Any] = {"alphabet": letters.name, "changed": dict(kept.changed)}
    if frame is None and (structure := _shared_structure(items)):
        frame = Frame(numbered(len(structure)).columns, structure=structure, scheme="columns of the file")
    if frame is not None:
        details["frame"] = frame.settings()
    return Dataset(
        [_record(item) for item in items],
        _condition(items, kept.files, labels, path),
        name=Path(path).stem,
        source=str(path),
        rejected=kept.all_rejected(),
        details=details,
    )


def write(
    path: str | os.PathLike[str],
    objects: Sequence[Any],
    labels: Sequence[Any] | None = None,
    *,
    frame: Frame | None = None,
    alphabet: str = "",
) -> None:
    """Sequences to a file, by the ending of its name. Those without a name are numbered.

    FASTA, dot-bracket and tables get the letters alone; aligned FASTA (.afa, .aln) and Stockholm the columns, Stockholm
    with the structure of the frame, a table both. A pair of chains (by the frame) becomes two records, id_H and id_L;
    in aligned formats it stays one row, in a table it has columns of both chains. Where records have
    annotations["airr"], a table of them stands beside the file. labels: one each, in the description or the column
    "label".
    """
    target = Path(path)
    suffix = _suffix(target)
    if suffix not in SUFFIXES or suffix in _FASTQ:
        allowed = " ".join(each for each in SUFFIXES if each not in _FASTQ)
        raise ConfigError(f"sequences cannot be written as {target.name!r}: its name must end in {allowed}")
    items = _items(objects, labels)
    if suffix in ALIGNED and len({len(item.text) for item in items}) > 1:
        raise ConfigError(f"{target.name}: sequences of several lengths are no alignment; write them as .fasta")
    heavy = heavy_columns(frame) if all(len(item.text) == len(frame or ()) for item in items) else 0
    plain = map(_ungapped, pairs.parted(items, heavy) if heavy else items)
    with replacing(target) as temporary, _writing(temporary, target) as handle:
        if suffix in _STOCKHOLM:
            stockholm.write(handle, items, frame.structure if frame is not None else "")
        elif suffix in _DOTBRACKET:
            dotbracket.write(handle, plain)
        elif suffix in _TABLES:
            _write_table(handle, items, alphabet, heavy)
        else:
            fasta.write(handle, items if suffix in ALIGNED else plain)
    if suffix not in _TABLES and any(item.values for item in items):
        table = beside(target)
        with replacing(table) as temporary, _writing(temporary, table) as handle:
            _write_table(handle, items, alphabet, heavy)


def beside(path: str | os.PathLike[str]) -> Path:
    """Where the table goes that stands beside a file of sequences; a table is its own."""
    target = Path(path)
    if _suffix(target) in _TABLES:
        return target
    return target.with_name(target.name.removesuffix(".gz")).with_suffix(".tsv")


def _write_table(handle: TextIO, items: Sequence[Item], alphabet: str, heavy: int) -> None:
    """heavy: columns of the heavy chain where items are pairs, 0 where they are not."""
    plain, gapped = ("sequence_aa", "sequence_alignment_aa") if alphabet == "protein" else airr.COLUMNS[:1:-1]
    spans = {"": slice(None)}
    if heavy:
        spans = dict(zip(airr.SIDES, (slice(heavy), slice(heavy, None)), strict=True))
    columns = [airr.NAME, *(plain + side for side in spans)]
    if any(GAP in item.text for item in items):
        columns += [gapped + side for side in spans]
    if any(item.description for item in items):
        columns.append("label")
    columns += list(dict.fromkeys(name for item in items for name in item.values))
    rows = (
        {airr.NAME: item.name, "label": item.description}
        | {plain + side: without_gaps(item.text[span]) for side, span in spans.items()}
        | {gapped + side: item.text[span] for side, span in spans.items()}
        | dict(item.values)
        for item in items
    )
    airr.write(handle, rows, columns)


def _items(objects: Sequence[Any], labels: Sequence[Any] | None) -> list[Item]:
    digits = len(str(max(len(objects), 1)))
    items = []
    for i, each in enumerate(objects):
        name = getattr(each, "id", "") or f"sequence-{i + 1:0{digits}d}"
        label = str(labels[i]) if labels is not None else ""
        structure = getattr(each, "letter_annotations", {}).get("secondary_structure", "")
        values = getattr(each, "annotations", {}).get("airr", {})
        items.append(Item("", name, label, text_of(each), values=values, structure=structure))
    return items


def _stream(path: Path, table: Reader) -> Iterator[tuple[str, Item]]:
    """File and record of every record; a file that ends too early is named as a record of its own."""
    if str(path) == STANDARD_INPUT:
        yield from _of_file(path, "standard input", table)
        return
    with reading(path):
        if not path.is_dir():
            yield from _of_file(path, path.name, table)
            return
        found = sorted(each for each in path.rglob("*") if each.is_file() and _suffix(each) in SUFFIXES)
    for each in found:
        yield from _of_file(each, str(each.relative_to(path)), table)


def _of_file(path: Path, name: str, table: Reader) -> Iterator[tuple[str, Item]]:
    number = 0
    try:
        with _opened(path) as handle:
            for item in _reader(path, handle, table)(handle):
                number += 1
                yield name, item
    except (DataError, ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        if isinstance(error, UnicodeDecodeError):
            reason = "it is no text"
        elif isinstance(error, (EOFError, zlib.error)):
            reason = "the compressed file ends too early, or is damaged"
        else:
            reason = str(error).splitlines()[0]
        yield name, Item(f"after record {number}" if number else "", reason=reason)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The text of a file or of standard input, unpacked where its first bytes say that it is packed."""
    standard = str(path) == STANDARD_INPUT
    raw: Any = sys.stdin.buffer if standard else path.open("rb")
    try:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        yield io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if packed else raw, encoding="utf-8-sig")
    finally:
        if not standard:
            raw.close()


def _reader(path: Path, handle: TextIO, table: Reader) -> Reader:
    suffix = _suffix(path) if str(path) != STANDARD_INPUT else _sniffed(handle)
    if suffix in _STOCKHOLM:
        return stockholm.read
    if suffix in _DOTBRACKET:
        return dotbracket.read
    if suffix in _TABLES:
        return table
    if suffix in _FASTQ:
        return fasta.read_fastq
    if suffix in _FASTA:
        return fasta.read
    raise DataError(f"its name ends in {suffix or 'nothing'}; files of sequences end in {' '.join(SUFFIXES)}")


def _sniffed(handle: TextIO) -> str:
    """What standard input is, by its first character."""
    first = handle.buffer.peek(1)[:1]  # type: ignore[attr-defined]
    return {b"@": ".fastq", b"#": ".sto"}.get(first, ".fasta" if first == b">" else ".tsv")


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _normal(item: Item, letters: Alphabet, longest: int, changed: Counter[str], paired: bool) -> str:
    """Its text in letters of the alphabet, of a pair each chain; DataError with the reason where it cannot be used."""
    if item.reason:
        raise DataError(item.reason)
    text = _normal_pair(item.text, letters, changed) if paired else letters.normal(item.text, changed)
    if len(text) > longest:
        raise DataError(f"it has {len(text)} letters, more than {longest} (--read longest=N allows more)")
    return text


def _normal_pair(text: str, letters: Alphabet, changed: Counter[str]) -> str:
    counts: Counter[str] = Counter()
    parts = [letters.normal(part, counts) for part in pairs.halves(text)]
    changed.update(counts.keys())
    return pairs.BETWEEN.join(parts)


def _numbered(kept: _Kept, scheme: str, chain: str | None) -> tuple[Frame | None, list[Item]]:
    """The antibodies among the records, in the columns of a scheme; the others are rejected."""
    frame, found = aligned([item.text for item in kept.items], scheme, chain, kept.changed)
    items, files = [], []
    for file, item, text in zip(kept.files, kept.items, found, strict=True):
        if isinstance(text, DataError):
            kept.reject(file, item.record, str(text))
        else:
            items.append(replace(item, text=text, structure=""))
            files.append(file)
    kept.files = files
    return frame, items


def _of_one_kind(kept: _Kept) -> list[Item]:
    """The records that go together: where any has gaps, those of the length that most have."""
    if not any(GAP in item.text for item in kept.items):
        return kept.items
    lengths = Counter(len(item.text) for item in kept.items)
    columns = lengths.most_common(1)[0][0]
    together = [len(item.text) == columns for item in kept.items]
    for file, item, fits in zip(kept.files, kept.items, together, strict=True):
        if not fits:
            kept.reject(file, item.record, f"it has {len(item.text)} columns, the alignment has {columns}")
    kept.files = [file for file, fits in zip(kept.files, together, strict=True) if fits]
    return [item for item, fits in zip(kept.items, together, strict=True) if fits]


def _shared_structure(items: Sequence[Item]) -> str:
    """The structure that all of an alignment have, "" where there is none."""
    structures = {item.structure for item in items}
    lengths = {len(item.text) for item in items}
    (structure,) = structures if len(structures) == 1 else ("",)
    return structure if lengths == {len(structure)} else ""


def _record(item: Item) -> Any:
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    record = SeqRecord(Seq(item.text), id=item.name, name=item.name, description=item.description)
    if item.structure and len(item.structure) == len(item.text):
        record.letter_annotations["secondary_structure"] = item.structure
    return record


def _names(label: str | None) -> list[str]:
    """The columns of a label; ConfigError for one that is named twice, or has no name."""
    names = [] if label is None else [name.strip() for name in str(label).split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"label is {label!r}: give names of columns, each once, with commas between")
    return names


def _labels(item: Item, names: Sequence[str], paired: bool) -> dict[str, str]:
    """What a record says of each of these; DataError where it says nothing, ConfigError where it has no such column.

    Of pairs, a record whose partner is missing lacks the columns of both: that is a DataError too.
    """
    found = {}
    for name in names:
        value = airr.label(item.values, name)
        if value is None:
            columns = ", ".join(item.values) or "none: only tables have columns"
            if paired:
                raise DataError(f"it has no {name!r} to be its label ({columns})")
            raise ConfigError(f"{item.record} has no {name!r} to be its label ({columns})")
        if not value:
            raise DataError(f"its {name} is empty: it has no label")
        found[name] = value
    return found


def _condition(
    items: Sequence[Item], files: Sequence[str], labels: Sequence[str], path: str | os.PathLike[str]
) -> Mapping[str, Any]:
    """Labels by columns of a table, or by the first folder of each file."""
    if labels:
        return {name: _numbers_or_classes([item.values[name] for item in items]) for name in labels}
    folders = [Path(file).parts[0] if len(Path(file).parts) > 1 else "" for file in files]
    if all(folders) and Path(path).is_dir():
        return {"label": checked_labels(folders, len(items), path)}
    return {}


def _numbers_or_classes(values: Sequence[str]) -> np.ndarray[Any, Any]:
    """Float64 [n] where all of them are finite numbers, else their text ("1_2" is a name, whatever Python reads)."""
    try:
        numbers = np.array([float(value.replace("_", "?")) for value in values])
    except ValueError:
        return np.array(values)
    return numbers if np.isfinite(numbers).all() else np.array(values)


def _ungapped(item: Item) -> Item:
    keep = [i for i, letter in enumerate(item.text) if letter != GAP]
    structure = "".join(item.structure[i] for i in keep) if len(item.structure) == len(item.text) else ""
    return replace(item, text=without_gaps(item.text), structure=structure)


@contextmanager
def _writing(temporary: Path, target: Path) -> Iterator[TextIO]:
    if target.name.lower().endswith(".gz"):
        with gzip.open(temporary, "wt", encoding="utf-8") as packed:
            yield packed
    else:
        with temporary.open("w", encoding="utf-8", newline="\n") as handle:
            yield handle
