"""Errors for the person who caused them: what was given, what is allowed, what to do."""

from __future__ import annotations

from dataclasses import dataclass


class PfgmError(Exception):
    """A mistake that the user can mend. The command line prints its message alone and exits with 2."""


class DataError(PfgmError):
    """Data that cannot be used: empty, not finite, of mixed or wrong shape."""


class CheckpointError(PfgmError):
    """A checkpoint that is damaged, of another kind, or written by something unknown."""


class ConfigError(PfgmError):
    """A setting that does not exist or is out of range."""


@dataclass(frozen=True)
class BadRecord:
    """One record that a reader left out: which file, which record in it, and why."""

    file: str
    record: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}, {self.record}" if self.record else self.file
        return f"{place}: {self.reason}"


class NotFinite(PfgmError):
    """A loss or samples that are not finite: of a network that has not learned its D or its noise levels."""
