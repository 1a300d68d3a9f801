"""Trains undisturbed in one folder, and in another with 20 kills (signal 9); prints what came of it as JSON.

This process warms up (one short run: torch imports much on first use) and forks a child for each try, so that a restart
costs milliseconds. A kill comes a random number of steps after the child began, and then a random part of the time that
steps and saves take.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from modalities.vectors.adapter import Vectors
from modalities.vectors.datasets import eight_gaussians
from pfgm_science import checkpoint
from pfgm_science.errors import CheckpointError
from pfgm_science.model import fit
from pfgm_science.training import Progress, read_log

KILLS, MOST_STEPS, STEPS = 20, 12, 210


def start(folder: Path) -> tuple[int, int]:
    """A child that trains; returns its id and a pipe that gets one byte a step."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader

    code = 1
    try:
        os.close(reader)
        run(folder, STEPS, lambda progress: os.write(writer, b"."))
        code = 0
    finally:
        os._exit(code)


def run(folder: Path, steps: int, on_step: Callable[[Progress], object]) -> None:
    network = {"width": 8, "depth": 1, "embedding": 8, "dropout": 0.1}
    fit(
        Vectors(), eight_gaussians(60), folder=folder, network=network, steps=steps, batch_size=8, accumulation=2,
        ema_half_life=200, checkpoint_every=3, validate_every=5, log_every=1, on_step=on_step,
    )  # fmt: skip


def follow(reader: int, steps: int, seconds: float) -> None:
    """Returns after so many steps and so many seconds more, or 3 more steps, whatever comes first."""
    for _ in range(steps):
        os.read(reader, 1)
    end = time.monotonic() + seconds
    for _ in range(3):
        if not select.select([reader], [], [], max(end - time.monotonic(), 0))[0]:
            return
        os.read(reader, 1)


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def broken(folder: Path) -> list[str]:
    """Files that are not whole, temporary ones (hidden) apart."""
    found = []
    for name, kind in (("state.safetensors", "state"), ("model.safetensors", "model")):
        try:
            if (folder / name).exists():
                checkpoint.read(folder / name, kind)
        except CheckpointError as error:
            found.append(str(error))
    log = folder / "log.jsonl"
    for line in log.read_text().splitlines(keepends=True) if log.exists() else []:
        try:
            assert line.endswith("\n")
            json.loads(line)
        except (AssertionError, ValueError):
            found.append(f"log line {line!r}")
    return found


def entries(folder: Path) -> list[dict[str, object]]:
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in read_log(folder / "log.jsonl")]


def same(a: Path, b: Path, kind: str) -> bool:
    first, second = (checkpoint.read(folder / f"{kind}.safetensors", kind)[0] for folder in (a, b))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def main(root: Path) -> None:
    torch.set_num_threads(1)
    choose = random.Random(20)
    run(root / "warm-up", 1, lambda progress: None)
    undisturbed, disturbed = root / "undisturbed", root / "disturbed"
    begun = time.monotonic()
    child, _ = start(undisturbed)
    assert wait(child) == 0
    step_time = (time.monotonic() - begun) / STEPS
    steps, found = [], []
    for _ in range(KILLS):
        child, reader = start(disturbed)
        follow(reader, choose.randint(0, MOST_STEPS), choose.uniform(0, 3 * step_time))
        os.kill(child, signal.SIGKILL)
        assert wait(child) == -signal.SIGKILL, "the run ended before all kills: make it longer"
        os.close(reader)
        found += broken(disturbed)
        state = disturbed / "state.safetensors"
        steps.append(checkpoint.read_header(state, "state")["step"] if state.exists() else 0)
    child, _ = start(disturbed)
    assert wait(child) == 0
    report = {
        "kills": len(steps), "steps": steps, "broken": found, "step_time": step_time,
        "same_state": same(undisturbed, disturbed, "state"), "same_model": same(undisturbed, disturbed, "model"),
        "same_log": entries(undisturbed) == entries(disturbed),
        "leftovers": [path.name for path in disturbed.glob(".*")],
    }  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
