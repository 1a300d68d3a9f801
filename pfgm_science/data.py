"""A data set: the objects of a domain, what they are labelled with, and where they come from."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pfgm_science.errors import BadRecord, ConfigError, DataError, PfgmError


@dataclass(frozen=True)
class Dataset:
    """Objects and their provenance.

    objects: an array or a list of the adapter's own kind, one entry a sample.
    condition: name -> one value a sample: class names or integers ([n]), or vectors ([n, size]).
    rejected: the records a reader left out, each with its reason.
    read: the options that a reader was given, so that the same data can be read from `source` again.
    details: what else the adapter's `fit` should know of the objects, such as the names of columns; JSON values.
    groups: a number a sample; samples of one number are alike, and no split parts them. None: each is by itself.
    """

    objects: Any
    condition: Mapping[str, Any] = field(default_factory=dict)
    name: str = "unnamed"
    licence: str = "unknown"
    source: str = ""
    citation: str = ""
    rejected: Sequence[BadRecord] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Any] | None = None
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.groups is not None and np.shape(self.groups) != (len(self),):
            raise DataError(f"groups have shape {np.shape(self.groups)} for {len(self)} samples: give one number each")
        for name, value in self.condition.items():
            if np.shape(value)[:1] != (len(self),):
                raise DataError(
                    f"condition {name!r} has shape {np.shape(value)} for {len(self)} samples: give one value each"
                )

    def __len__(self) -> int:
        return len(self.objects)

    def take(self, index: np.ndarray) -> Dataset:
        """The samples at index ([k] integers), in that order, with the same provenance."""
        objects = self.objects[index] if isinstance(self.objects, np.ndarray) else [self.objects[i] for i in index]
        condition = {name: np.asarray(value)[index] for name, value in self.condition.items()}
        groups = None if self.groups is None else np.asarray(self.groups)[index]
        return replace(self, objects=objects, condition=condition, groups=groups)

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Two parts at random: the first holds (1 - fraction) of the samples, and at least one.

        Where there are groups, each is on one side whole, and the second part is at most that large.
        """
        first, second = self.split_indices(fraction, seed)
        return self.take(first), self.take(second)

    def split_indices(self, fraction: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The samples that each part of `split` holds, in order."""
        rng = np.random.default_rng(seed)
        wanted = min(round(fraction * len(self)), len(self) - 1)
        if self.groups is not None:
            return self._split_groups(wanted, rng)
        order = rng.permutation(len(self))
        cut = max(len(self) - wanted, 0)
        return np.sort(order[:cut]), np.sort(order[cut:])

    def _split_groups(self, wanted: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Groups in random order go to the second part as long as they have room in it."""
        names, member, sizes = np.unique(np.asarray(self.groups), return_inverse=True, return_counts=True)
        second = np.zeros(len(names), dtype=bool)
        for group in rng.permutation(len(names)):
            if sizes[group] <= wanted:
                second[group] = True
                wanted -= int(sizes[group])
        return np.flatnonzero(~second[member]), np.flatnonzero(second[member])


def nothing_usable(path: str | os.PathLike[str], what: str, rejected: Sequence[BadRecord]) -> str:
    """What a reader says when every record was left out: "no row of a.csv can be used; 3 were left out: ..."."""
    reasons = "".join(f"\n  {record}" for record in rejected[:3])
    more = "\n  ..." if len(rejected) > 3 else ""
    return f"no {what} of {path} can be used; {len(rejected)} were left out:{reasons}{more}"


def checked_labels(labels: Any, count: int, path: str | os.PathLike[str]) -> np.ndarray:
    """Labels as an array [count] of numbers or names, or [count, size] of floats; DataError for anything else."""
    tags = np.asarray(labels)
    if not labels_fit(tags, count):
        raise DataError(
            f"labels of {path} have type {tags.dtype} and shape {list(tags.shape)} for {count} samples: "
            "give one number or name each, or one vector of floating-point numbers each."
        )
    return tags


def labels_fit(labels: np.ndarray, count: int) -> bool:
    """Whether there is one number, name or vector of floats for each of count samples."""
    kind = labels.dtype.kind
    return labels.shape[:1] == (count,) and (
        (labels.ndim == 1 and kind in "biufU") or (labels.ndim == 2 and kind == "f")
    )


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 of shape, type and bytes of arrays: says whether two runs saw the same data."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class DatasetInfo:
    """What a person wants to know of a data set before it is loaded.

    size: shape and classes, in words. how: what must be installed or fetched for it, "" when nothing.
    """

    name: str
    description: str
    licence: str
    source: str
    size: str
    citation: str = ""
    how: str = ""

    @staticmethod
    def find(infos: Sequence[DatasetInfo], name: str) -> DatasetInfo:
        """The entry of that name; raises PfgmError that gives the nearest right name."""
        for info in infos:
            if info.name == name:
                return info
        known = [info.name for info in infos]
        near = difflib.get_close_matches(name.lower(), known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise PfgmError(f"there is no data set {name!r} ({', '.join(known)}).{hint}")


def settings_in(name: str, given: Iterable[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that follow the name of a data set, `planar:nodes=32:count=500`; only those that are given.

    given: "nodes=32", "count=500". defaults: what can be set; values are of the kinds of their defaults, a yes or no, a
    range such as 16-24 (two numbers), a number or text. ConfigError with what is allowed for anything else.
    """
    allowed = ", ".join(f"{key}={_written(value)}" for key, value in defaults.items()) or "none"
    values = {}
    for setting in given:
        key, _, text = setting.partition("=")
        if key not in defaults or key in values:
            raise ConfigError(f"{name!r}: {setting!r} is no setting, or there twice. Settings and defaults: {allowed}.")
        try:
            values[key] = _setting(text, defaults[key])
        except ValueError as error:
            raise ConfigError(f"{name!r}: {setting!r} cannot be read. Settings and defaults: {allowed}.") from error
    return values


def _setting(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text not in ("yes", "no"):
            raise ValueError
        return text == "yes"
    if isinstance(default, tuple):
        least, _, most = text.partition("-")
        return int(least), int(most or least)
    return type(default)(text)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "-".join(map(str, dict.fromkeys(value)))
    return str(value)
