"""What the sets by name have in common: clips out of the files of a package, each sound once, and their provenance."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from modalities.audio.codec import decoded
from modalities.audio.levels import SILENT, level_db
from modalities.audio.objects import Clip
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import BadRecord, DataError

DEBIAN = "fetched with apt-get download where there is Debian; elsewhere bring the .deb"

About = TypeVar("About")


@dataclass
class Found(Generic[About]):
    """Clips with their files and what is known about each, in one order; rejected: those that cannot be used."""

    clips: list[Clip] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    about: list[About] = field(default_factory=list)
    rejected: list[BadRecord] = field(default_factory=list)

    def dataset(
        self,
        info: DatasetInfo,
        *,
        labels: Sequence[str],
        preparation: Mapping[str, Any],
        groups: Sequence[str] | None = None,
        licence: str = "",
        **details: Any,
    ) -> Dataset:
        """The clips with a label each and the provenance of their set. groups: a name each; alike ones are one group.

        licence: of these clips, where it is not that of the whole set. details: more of them.
        """
        return Dataset(
            self.clips,
            {"label": np.array(labels)},
            name=info.name,
            licence=licence or info.licence,
            source=info.source,
            citation=info.citation,
            rejected=tuple(self.rejected),
            details={"preparation": dict(preparation), "files": list(self.files), **details},
            groups=None if groups is None else np.unique(groups, return_inverse=True)[1],
        )


def clip_of(content: bytes) -> Clip:
    """The clip in a sound file; DataError with the reason where it cannot be used."""
    return decoded(io.BytesIO(content))


def found(
    source: str,
    files: Iterable[tuple[str, bytes]],
    about: Callable[[str], About | None],
    clip: Callable[[bytes], Clip | None] = clip_of,
) -> Found[About]:
    """The clips of files (name, content) that something is known about by their name; of equal files the first.

    source: the package, as `rejected` names it. clip: decodes; None for a clip that is not wanted.
    """
    result: Found[About] = Found()
    seen = set()
    for name, content in files:
        if (known := about(name)) is None or (digest := hashlib.sha256(content).digest()) in seen:
            continue
        seen.add(digest)
        try:
            sound = clip(content)
            if sound is None:
                continue
            if level_db(sound.waveform) < SILENT:
                raise DataError("it is silent")
        except DataError as error:
            result.rejected.append(BadRecord(source, name, str(error)))
            continue
        result.clips.append(sound)
        result.files.append(name)
        result.about.append(known)
    return result
