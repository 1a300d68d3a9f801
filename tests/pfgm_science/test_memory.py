"""Freed memory is kept where the C library can be told to, and elsewhere nothing happens."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from pfgm_science.memory import keep_freed

GLIBC = platform.libc_ver()[0] == "glibc"
# Blocks of 16 MiB, which glibc by default maps anew each time until it has seen a larger one freed, and trims.
BLOCKS = """
import resource, sys
from pfgm_science.memory import keep_freed
if sys.argv[1] == "keep":
    keep_freed()
for _ in range(50):
    blocks = [bytearray(2**24) for _ in range(4)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", BLOCKS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not GLIBC, reason="only glibc is told")
def test_pages_are_not_asked_for_again() -> None:
    assert keep_freed()
    assert faults("keep") < faults("default") / 2


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed()
