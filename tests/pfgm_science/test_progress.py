"""Progress: a bar for those who watch, a line now and then for those who do not."""

from __future__ import annotations

import io

import pytest

from pfgm_science import progress as module
from pfgm_science.progress import duration, progress, silent


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


def test_lines_are_rare_and_tell_the_time_left(monkeypatch):
    clock, file = Clock(monkeypatch), io.StringIO()
    with progress("work", file=file) as update:
        for done in range(1, 101):
            clock.now += 1.0
            update(done, 100)
    assert file.getvalue().splitlines() == [
        "work: 30 of 100, 1 min 12 s left",
        "work: 60 of 100, 41 s left",
        "work: 90 of 100, 10 s left",
        "work: 100 of 100, 1 min 40 s",
    ]


def test_a_resumed_run_counts_only_what_it_does_itself(monkeypatch):
    clock, file = Clock(monkeypatch), io.StringIO()
    with progress("work", file=file) as update:
        update(1000, 1100)
        clock.now = 50.0
        update(1050, 1100)
    assert "1050 of 1100, 50 s left" in file.getvalue()


def test_nothing_is_said_where_nothing_was_done():
    file = io.StringIO()
    with progress("work", file=file):
        pass
    assert file.getvalue() == ""


def test_an_exception_passes_and_no_end_is_claimed():
    file = io.StringIO()
    with pytest.raises(KeyError), progress("work", file=file) as update:
        update(1, 2)
        raise KeyError
    assert file.getvalue() == ""


def test_a_terminal_gets_a_bar():
    file = Terminal()
    with progress("training", file=file) as update:
        update(3, 3)
    assert "training" in file.getvalue()
    assert "3/3" in file.getvalue()


def test_silent_says_nothing(capsys):
    with silent("work") as update:
        update(1, 1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (125, "2 min 5 s"),
     (3600, "1 h"), (7800, "2 h 10 min")],
)  # fmt: skip
def test_duration(seconds, text):
    assert duration(seconds) == text
