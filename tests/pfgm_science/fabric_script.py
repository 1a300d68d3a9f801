"""One of the processes that torchrun starts; trains in the folder that is its argument and prints what it saw."""

from __future__ import annotations

import itertools
import signal
import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric
from tiny_run import TWO_PROCESSES, make_config, make_data, make_denoiser

from pfgm_science.batch import Batch
from pfgm_science.errors import PfgmError
from pfgm_science.training import Interrupted, train


def main(root: Path) -> None:
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    fabric.launch()
    data = make_data()

    steps = itertools.count(1)

    def signalled(batch: Batch, generator: torch.Generator) -> Batch:
        if next(steps) == 3 and fabric.global_rank == 1:  # one process alone
            signal.raise_signal(signal.SIGTERM)
        return batch

    def run(name: str, data: Batch = data, **options: object) -> None:
        config = make_config(**TWO_PROCESSES)
        denoiser = make_denoiser(config, dropout=0.2)
        train(denoiser, data, config, validation=data[:6], folder=root / name, launcher=fabric, **options)

    run("straight")
    try:
        run("cut", augment=signalled)
    except Interrupted as error:
        say(fabric.global_rank, str(error))
    run("cut")
    broken = data.values.clone()
    broken[5] = torch.nan
    try:
        run("broken", Batch(broken, condition=data.condition))
    except PfgmError as error:
        say(fabric.global_rank, str(error))


def say(rank: int, text: str) -> None:
    print(f"process {rank}: {text}\n", end="", flush=True)  # one write, so that two processes do not mix


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    finally:  # gloo's threads must not outlive the interpreter: with work left to drop, they abort the process
        torch.distributed.destroy_process_group()
