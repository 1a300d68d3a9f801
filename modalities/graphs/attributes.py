"""Attributes of nodes and edges as channels: categories one-hot, real numbers standardised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pfgm_science.errors import DataError

MOST_CATEGORIES = 128
ROOT_2 = 2**0.5  # of a one-hot vector, so that categories lie as far apart as an edge and none: 2


@dataclass(frozen=True)
class Attribute:
    """One attribute, of every node or of every edge.

    codes: the categories that occur, as integers; () for real numbers. centre, scale: of each real number. shape: of
    one entry, () or (numbers,). one_hot: entries are one-hot vectors of floating-point numbers.
    """

    name: str
    codes: tuple[int, ...] = ()
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    one_hot: bool = False

    @property
    def channels(self) -> int:
        return len(self.codes) or len(self.centre)

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Attribute:
        """From what `asdict` says of it, through JSON."""
        several = {name: tuple(settings[name]) for name in ("codes", "centre", "scale", "shape")}
        return cls(name=settings["name"], one_hot=settings["one_hot"], **several)

    @classmethod
    def fit(cls, name: str, entries: Sequence[Tensor]) -> Attribute:
        """The attribute whose values in each graph these are; DataError where they differ in kind or shape."""
        kinds = {(entry.is_floating_point(), tuple(entry.shape[1:])) for entry in entries}
        if len(kinds) != 1:
            raise DataError(f"attribute {name!r} has several kinds or shapes among the graphs: {sorted(kinds)}")
        (real, shape), values = kinds.pop(), torch.cat(list(entries))
        if len(shape) > 1:
            raise DataError(f"attribute {name!r} has shape {list(shape)} for each: give a number or a vector")
        if real and not _is_one_hot(values):
            rows = values.double().reshape(len(values), shape[0] if shape else 1).numpy()
            scale = rows.std(0) if len(rows) else np.ones(rows.shape[1])
            return cls(
                name,
                centre=tuple(rows.mean(0).tolist()) if len(rows) else (0.0,) * rows.shape[1],
                scale=tuple(np.where(scale > 0, scale, 1.0).tolist()),
                shape=shape,
            )
        if not real and shape not in ((), (1,)):
            raise DataError(
                f"attribute {name!r} holds {shape[0]} integers each: give one category each, or floating-point numbers"
            )
        codes = tuple(range(shape[0])) if real else tuple(torch.unique(values).tolist())
        if len(codes) > MOST_CATEGORIES:
            raise DataError(
                f"attribute {name!r} has {len(codes)} categories; at most {MOST_CATEGORIES} can be learned. If they "
                "are numbers to be compared, give them as floating point"
            )
        return cls(name, codes=codes, shape=shape, one_hot=real)

    def encode(self, values: Tensor) -> Tensor:
        """[n, *shape] -> [n, channels] float32; DataError for a category that was not among the data."""
        if tuple(values.shape[1:]) != self.shape or values.is_floating_point() != self._real:
            raise DataError(
                f"attribute {self.name!r} has shape {list(values.shape[1:])} and type {values.dtype}; this adapter "
                f"knows {list(self.shape)} of {'floating point' if self._real else 'integers'}"
            )
        if not self.codes:
            rows = values.reshape(len(values), len(self.centre)).double()
            return ((rows - torch.tensor(self.centre)) / torch.tensor(self.scale)).float()
        if self.one_hot:
            hot = values.float()
        else:
            codes = torch.tensor(self.codes)
            hot = (values.reshape(-1, 1) == codes).float()
            if not bool((hot.sum(1) == 1).all()):
                strange = values.reshape(-1)[hot.sum(1) == 0][0].item()
                raise DataError(f"attribute {self.name!r} is {strange}: this adapter knows {list(self.codes)}")
        return ROOT_2 * (hot - 1 / len(self.codes))

    def decode(self, channels: Tensor) -> Tensor:
        """[n, channels] -> [n, *shape]: the nearest category, or the real numbers."""
        if not self.codes:
            rows = channels.double() * torch.tensor(self.scale) + torch.tensor(self.centre)
            return rows.float().reshape(len(channels), *self.shape)
        best = channels.argmax(1)
        if self.one_hot:
            return torch.nn.functional.one_hot(best, len(self.codes)).float()
        return torch.tensor(self.codes)[best].reshape(len(channels), *self.shape)

    @property
    def _real(self) -> bool:
        return self.one_hot or not self.codes


def fit_all(graphs: Sequence[Any], keys: Iterable[str]) -> tuple[Attribute, ...]:
    """The attributes of those names, each of which every graph has."""
    return tuple(Attribute.fit(key, [graph[key] for graph in graphs]) for key in sorted(keys))


def channels(attributes: Sequence[Attribute]) -> int:
    return sum(attribute.channels for attribute in attributes)


def encode_all(attributes: Sequence[Attribute], graph: Any, rows: Tensor | None = None) -> Tensor:
    """The channels of all attributes of a graph, side by side; rows: those wanted, in their order."""
    parts = [attribute.encode(graph[attribute.name]) for attribute in attributes]
    wide = torch.cat(parts, 1)
    return wide if rows is None else wide[rows]


def decode_all(attributes: Sequence[Attribute], wide: Tensor) -> dict[str, Tensor]:
    """The inverse of encode_all: name -> values."""
    parts = torch.split(wide, [attribute.channels for attribute in attributes], 1) if attributes else ()
    return {attribute.name: attribute.decode(part) for attribute, part in zip(attributes, parts, strict=True)}


def _is_one_hot(values: Tensor) -> bool:
    whole = values.ndim == 2 and values.shape[1] > 1 and len(values) > 0
    return whole and bool(((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all())
