"""A training run of a few milliseconds a step, for tests of the fit loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modalities.vectors.network import MLPConfig, ResidualMLP
from pfgm_science import checkpoint
from pfgm_science.batch import Batch
from pfgm_science.condition import DIMENSION, ConditionSpec
from pfgm_science.config import RunConfig, update
from pfgm_science.denoiser import Preconditioned
from pfgm_science.model import nest

CLASSES = 3
DEFAULTS: dict[str, Any] = {
    "dimension": 32.0,
    "steps": 12,
    "batch_size": 12,
    "warmup": 4,
    "ema_half_life": 60,
    "checkpoint_every": 1000,
    "validate_every": 1000,
    "log_every": 1,
}
TWO_PROCESSES = {"steps": 8, "condition_dropout": 0.3, "validate_every": 4, "dimension_range": (1, 1000)}


def make_config(**settings: Any) -> RunConfig:
    """A RunConfig by bare names, as `fit` takes them."""
    return update(RunConfig(), nest({**DEFAULTS, **settings}))


def make_data(count: int = 40, seed: int = 0) -> Batch:
    """Values [count, 3], each of three classes around a centre of its own."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(CLASSES, (count,), generator=generator)
    values = torch.randn(count, 3, generator=generator) * 0.3 + torch.eye(3)[label]
    return Batch(values, condition={"label": label})


def make_denoiser(config: RunConfig, dropout: float = 0.0, width: int = 8) -> Preconditioned:
    """A small MLP with reproducible initial weights."""
    specs = [ConditionSpec("label", "class", CLASSES, tuple("abc"))]
    if config.dimension_range is not None:
        specs.append(ConditionSpec(DIMENSION, "vector", 2))
    torch.manual_seed(config.seed)
    network = ResidualMLP(3, MLPConfig(width=width, depth=1, dropout=dropout, embedding=8), specs)
    return Preconditioned(network, 0.6, config.training.precision)


def state_of(folder: Path) -> dict[str, Tensor]:
    """All tensors of the state in a run folder: network, average, optimisers."""
    return checkpoint.read(folder / "state.safetensors", "state")[0]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Equal names and equal bits."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
