"""The command line as the tests call it: in this process, with its exit code and what it prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


Pfgm = Callable[..., Answer]
