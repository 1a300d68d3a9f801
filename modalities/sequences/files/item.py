"""One record of a file of sequences, as it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Item:
    """record: where it is in its file, in words. name, description: its own. text: its letters. reason: why it cannot
    be read, "" where it can. values: further columns by name. structure: dot-bracket of the letters, "" for none.
    """

    record: str
    name: str = ""
    description: str = ""
    text: str = ""
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    structure: str = ""
