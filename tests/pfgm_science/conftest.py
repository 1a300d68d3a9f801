"""Fixtures of the tests that use the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from command import Answer, Pfgm

from pfgm_science import cli


@pytest.fixture(scope="module")
def without_tensorboard() -> Iterator[None]:
    """Importing it takes longer than all runs of this file together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch.utils.tensorboard", None)
        yield


@pytest.fixture
def pfgm(capsys: pytest.CaptureFixture[str]) -> Pfgm:
    def call(*words: object) -> Answer:
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Answer(code, captured.out, captured.err)

    return call
