"""Lines of a file, never more than one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def lines(path: Path, longest: int) -> Iterator[bytes | None]:
    """Lines without their ends; None in place of one of more than `longest` bytes, which is passed over."""
    with path.open("rb") as file:
        while line := file.readline(longest + 2):
            if line.endswith(b"\n") or len(line) <= longest:
                yield line.rstrip(b"\r\n")
                continue
            while (rest := file.readline(longest)) and not rest.endswith(b"\n"):
                pass
            yield None
