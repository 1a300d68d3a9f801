"""What users have: Biopython's SeqRecord, its Seq, or plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from modalities.sequences.alphabet import Alphabet, guessed
from pfgm_science.errors import DataError

if TYPE_CHECKING:
    from Bio.SeqRecord import SeqRecord


def text_of(item: Any) -> str:
    """The letters of a SeqRecord, a Seq or a str."""
    return item if isinstance(item, str) else str(getattr(item, "seq", item))


def checked(objects: Sequence[Any], alphabet: Alphabet | None = None) -> tuple[list[str], Alphabet]:
    """The letters of each object in the alphabet, which is guessed where none is given.

    Raises DataError that names the first object that is no sequence, or holds other letters.
    """
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    for i, item in enumerate(objects):
        if not isinstance(item, (str, Seq, SeqRecord)):
            raise DataError(
                f"object {i} is {type(item).__name__}: sequences are SeqRecord or Seq of Biopython, or plain text"
            )
    texts = [text_of(item) for item in objects]
    alphabet = alphabet or guessed(texts)
    normal = []
    for i, (item, text) in enumerate(zip(objects, texts, strict=True)):
        try:
            normal.append(alphabet.normal(text))
        except DataError as error:
            name = getattr(item, "id", None)
            raise DataError(f"sequence {i}{f' ({name})' if name else ''}: {error}") from None
    return normal, alphabet


def is_text(objects: Sequence[Any]) -> bool:
    """Whether objects are plain text, and not records."""
    return len(objects) > 0 and all(isinstance(item, str) for item in objects)


def records(texts: Iterable[str]) -> list[SeqRecord]:
    """Records of these letters, without names: files number those that have none."""
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    return [SeqRecord(Seq(text), id="", name="", description="") for text in texts]


def without_gaps(text: str) -> str:
    return text.replace("-", "")
