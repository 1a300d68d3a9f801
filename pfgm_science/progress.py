"""A bar with the time left, for anything long; plain lines now and then where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

Update = Callable[[int, int], None]
Watch = Callable[[str], AbstractContextManager[Update]]  # `progress`, or `silent`

PLAIN_EVERY = 30.0  # seconds between two plain lines


@contextmanager
def progress(description: str, *, file: TextIO | None = None) -> Iterator[Update]:
    """Yields update(done, total), to be called as often as one likes.

    On a terminal a bar with the time left is drawn on file (standard error); it stays, with the time taken, when the
    block ends. Elsewhere a line is written at most every 30 seconds, and one at the end if there was any work.
    """
    stream = file or sys.stderr
    if stream.isatty():
        with _bar(description, stream) as update:
            yield update
    else:
        with _lines(description, stream) as update:
            yield update


@contextmanager
def silent(description: str) -> Iterator[Update]:
    """The same without a word, for tests and for callers with a display of their own."""
    yield lambda done, total: None


def duration(seconds: float) -> str:
    """A length of time as a person says it: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


@contextmanager
def _bar(description: str, stream: TextIO) -> Iterator[Update]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("left,"),
        TimeElapsedColumn(),
        TextColumn("gone"),
    )
    with Progress(*columns, console=Console(file=stream), speed_estimate_period=60) as display:
        task = display.add_task(description, total=None)
        yield lambda done, total: display.update(task, completed=done, total=total)


@contextmanager
def _lines(description: str, stream: TextIO) -> Iterator[Update]:
    started = spoken = time.monotonic()
    first: int | None = None
    latest = (0, 0)

    def update(done: int, total: int) -> None:
        nonlocal spoken, first, latest
        now = time.monotonic()
        latest = (done, total)
        # A resumed run begins in the middle: only what was done here tells the speed.
        first = done if first is None else first
        if now - spoken >= PLAIN_EVERY and done > first:
            spoken = now
            left = (now - started) / (done - first) * (total - done)
            print(f"{description}: {done} of {total}, {duration(left)} left", file=stream, flush=True)

    yield update
    if latest[1]:
        taken = duration(time.monotonic() - started)
        print(f"{description}: {latest[0]} of {latest[1]}, {taken}", file=stream, flush=True)
