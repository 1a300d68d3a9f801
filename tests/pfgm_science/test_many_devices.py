"""The same loop on one process and, under torchrun, on two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_run import TWO_PROCESSES, make_config, make_data, make_denoiser, same, state_of

from pfgm_science.errors import ConfigError
from pfgm_science.training import read_log, train


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which two processes trained, and what they said."""
    root = tmp_path_factory.mktemp("two")
    script = Path(__file__).with_name("fabric_script.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", script, root]
    quiet = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return root, done.stdout


def test_two_processes_equal_one_that_accumulates(two: tuple[Path, str], tmp_path: Path) -> None:
    config, data = make_config(**TWO_PROCESSES, accumulation=2), make_data()
    train(make_denoiser(config, dropout=0.2), data, config, validation=data[:6], folder=tmp_path)
    one, both = state_of(tmp_path), state_of(two[0] / "straight")
    assert one.keys() == both.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(both[name], tensor, rtol=0, atol=1e-6)
    for a, b in zip(read_log(tmp_path / "log.jsonl"), read_log(two[0] / "straight" / "log.jsonl"), strict=True):
        assert (a["event"], a["step"]) == (b["event"], b["step"])
        assert a.get("levels", a.get("loss")) == pytest.approx(b.get("levels", b.get("loss")), rel=1e-5)


def test_a_signal_to_one_process_stops_both_and_the_resume_is_exact(two: tuple[Path, str]) -> None:
    root, said = two
    for rank in (0, 1):
        assert f"process {rank}: stopped by SIGTERM after step 3 of 8" in said
    assert same(state_of(root / "straight"), state_of(root / "cut"))


def test_a_loss_that_is_not_finite_stops_both(two: tuple[Path, str]) -> None:
    for rank in (0, 1):
        assert f"process {rank}: the loss became nan at step 4 (samples" in two[1]
    assert two[1].count("their largest value is nan") == 2  # the culprit is among them on both


def test_batch_that_does_not_divide_is_refused() -> None:
    class Three:
        global_rank, world_size, device = 0, 3, torch.device("cpu")

    config = make_config(batch_size=8, accumulation=2)
    with pytest.raises(ConfigError, match=r"batch_size 8 is not a multiple of 3 processes x training.accumulation 2"):
        train(make_denoiser(config), make_data(), config, launcher=Three())  # type: ignore[arg-type]
