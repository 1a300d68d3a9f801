"""What a sample is conditioned on, classes or numbers of any shape: described, encoded, dropped, embedded.

A label of -1 and a value of NaN mean "not given". That is how conditions are dropped in training and left out in
sampling, so that one network serves both sides of classifier-free guidance (Ho and Salimans, arXiv 2207.12598).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pfgm_science.batch import Condition
from pfgm_science.errors import ConfigError, DataError

DIMENSION = "dimension"  # the name under which D itself is given to a network that serves many D
ESTIMATE = "estimate"  # and the one of an estimate of the clean values, for networks that want one (see Remembering)
SEEN = "seen"  # and the one of the log of the noise level that x shows over the one it is told to have
GIVEN = "given"  # and the one of clean values that are no free coordinates: what a sample is filled in around
_KEPT = {
    DIMENSION: "D itself",
    ESTIMATE: "estimates of the sample",
    GIVEN: "what is given of the sample",
    SEEN: "the noise that a sample shows",
}  # never dropped


@dataclass(frozen=True)
class ConditionSpec:
    """One condition: its name, its kind ("class" or "vector") and its size (classes, or entries of the vector)."""

    name: str
    kind: str
    size: int
    classes: tuple[str, ...] = ()


def describe(condition: Mapping[str, Any]) -> tuple[ConditionSpec, ...]:
    """Specs of a data set's conditions: one integer, string or boolean a sample is a class, numbers are a vector.

    A tensor a sample, [n, ...], counts as the vector of its entries in order.
    """
    specs = []
    for name, value in condition.items():
        array = np.asarray(value)
        if name in _KEPT:
            raise DataError(f"condition {name!r}: this name is kept for {_KEPT[name]}, give it another")
        if array.dtype.kind in "iuUSb" and array.ndim == 1:
            classes = tuple(str(c) for c in np.unique(array.astype(str) if array.dtype.kind == "S" else array))
            specs.append(ConditionSpec(name, "class", len(classes), classes))
        elif array.dtype.kind in "iuf" and array.ndim >= 1 and array.size:
            specs.append(ConditionSpec(name, "vector", array[0].size))
        else:
            raise DataError(
                f"condition {name!r} has type {array.dtype} and shape {array.shape}: "
                "give one class per sample (integers or strings), or one number, vector or tensor of numbers per sample"
            )
    return tuple(specs)


def encode(specs: Sequence[ConditionSpec], condition: Mapping[str, Any], count: int) -> dict[str, Tensor]:
    """Tensors for the network: classes as int64 [count], vectors as float32 [count, size].

    A single class or vector is repeated count times; what is not given becomes the "not given" value.
    Raises ConfigError for a name or a class that the specs do not know.
    """
    known = {spec.name: spec for spec in specs}
    for name in condition:
        if name not in known:
            allowed = ", ".join(map(repr, known)) or "none: it was trained without conditions"
            raise ConfigError(f"condition {name!r} is not one of this model's conditions ({allowed})")
    encoded = {}
    for name, spec in known.items():
        value = condition.get(name)
        if spec.kind == "class":
            encoded[name] = _encode_classes(spec, value, count)
        else:
            encoded[name] = _encode_vectors(spec, value, count)
    return encoded


def drop(condition: Condition | None, probability: float, generator: torch.Generator) -> Condition | None:
    """Condition with all entries of a sample made "not given" with the given probability; D and estimates are kept."""
    if not condition or probability == 0:
        return condition
    first = next(iter(condition.values()))
    gone = torch.rand(len(first), generator=generator, device=generator.device).to(first.device) < probability
    return {name: value if name in _KEPT else _blank(value, gone) for name, value in condition.items()}


def without(condition: Condition | None) -> Condition | None:
    """The same condition with every entry "not given" (the unconditional side of guidance), but D and estimates."""
    if condition is None:
        return None

    def blank(value: Tensor) -> Tensor:
        return _blank(value, torch.ones(len(value), dtype=torch.bool, device=value.device))

    return {name: value if name in _KEPT else blank(value) for name, value in condition.items()}


def dimension_feature(D: Tensor, N: Tensor) -> Tensor:
    """What a network conditioned on D sees: [batch, 2], finite for every D in (0, inf] and smooth in log D.

    log1p(N / D) follows how much of the noise level x itself reveals (derived: s^2 in docs/physics.md, section 4), and
    1 / sqrt(1 + D) the spread of the noise level among samples.
    """
    D, N = D.double(), N.double()
    return torch.stack([torch.log1p(N / D) / 4, torch.rsqrt(1 + D)], dim=1).float()


class ConditionEmbedding(nn.Module):
    """Sum of the embeddings of all conditions: mapping of [batch, ...] -> [batch, width].

    What is absent from the mapping counts as "not given" and gets a learned vector of its own.
    """

    def __init__(self, specs: Sequence[ConditionSpec], width: int) -> None:
        super().__init__()
        self.specs = tuple(specs)
        # by position, because a module cannot hold every name ("type", "a.b")
        self.tables = nn.ModuleList(
            nn.Embedding(spec.size + 1, width) if spec.kind == "class" else nn.Linear(2 * spec.size, width)
            for spec in self.specs
        )

    def forward(self, condition: Condition | None, batch: int) -> Tensor:
        device = next(self.parameters()).device
        total: Tensor | None = None
        for spec, table in zip(self.specs, self.tables, strict=True):
            value = (condition or {}).get(spec.name)
            if value is None:
                shape = (batch,) if spec.kind == "class" else (batch, spec.size)
                fill: float = -1 if spec.kind == "class" else math.nan
                dtype = torch.int64 if spec.kind == "class" else torch.float32
                value = torch.full(shape, fill, device=device, dtype=dtype)
            if spec.kind == "class":
                embedded = table(torch.where(value < 0, spec.size, value))
            else:
                absent = torch.isnan(value)
                embedded = table(torch.cat([value.nan_to_num(0.0), absent.to(value.dtype)], dim=1))
            total = embedded if total is None else total + embedded
        assert total is not None, "an embedding without conditions is never called"
        return total


def _blank(value: Tensor, gone: Tensor) -> Tensor:
    fill: float = math.nan if value.is_floating_point() else -1
    return torch.where(gone.reshape(-1, *[1] * (value.ndim - 1)), torch.full_like(value, fill), value)


def _encode_classes(spec: ConditionSpec, value: Any, count: int) -> Tensor:
    if value is None:
        return torch.full((count,), -1)
    names = np.atleast_1d(np.asarray(value)).astype(str)
    if len(names) == 1:
        names = np.repeat(names, count)
    if len(names) != count:
        raise ConfigError(f"condition {spec.name!r} has {len(names)} values for {count} samples: give one, or one each")
    index = {name: i for i, name in enumerate(spec.classes)}
    for name in names.tolist():
        if name not in index:
            near = difflib.get_close_matches(name, spec.classes, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            shown = ", ".join(spec.classes[:20]) + (", ..." if spec.size > 20 else "")
            raise ConfigError(f"{spec.name} {name!r} is not a class of this model ({shown}).{hint}")
    return torch.tensor([index[name] for name in names])


def _encode_vectors(spec: ConditionSpec, value: Any, count: int) -> Tensor:
    if value is None:
        return torch.full((count, spec.size), math.nan)
    try:
        array = torch.as_tensor(np.asarray(value, dtype=np.float32))
    except (TypeError, ValueError):
        raise ConfigError(f"condition {spec.name!r} is {value!r}: it must be numbers, {spec.size} a sample") from None
    if array.numel() == spec.size:
        return array.reshape(1, -1).repeat(count, 1)
    if array.ndim == 0 or len(array) != count or array.numel() != count * spec.size:
        raise ConfigError(
            f"condition {spec.name!r} has shape {tuple(array.shape)}; it must be ({count}, {spec.size}) or one row"
        )
    return array.reshape(count, -1)
