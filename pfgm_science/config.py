"""Settings of a run: frozen dataclasses, read from TOML; what is unknown is refused with the nearest right name."""

from __future__ import annotations

import difflib
import math
import reprlib
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pfgm_science.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is fitted. Lengths are in optimiser steps, except where samples are named.

    batch_size: samples a step over all devices. accumulation: parts in which a device takes its share.
    decay: "cosine" to zero over the run, or "constant". ema_half_life: of the weights that are kept, in samples.
    clip: largest gradient norm, 0 for none. condition_dropout: share of samples trained without their condition.
    precision: of the network, "float32" or "bfloat16".
    """

    steps: int = 10_000
    batch_size: int = 128
    accumulation: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: int = 200
    decay: str = "cosine"
    ema_half_life: int = 50_000
    clip: float = 1.0
    condition_dropout: float = 0.1
    precision: str = "float32"
    checkpoint_every: int = 1_000
    validate_every: int = 1_000
    log_every: int = 50

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation", "checkpoint_every", "validate_every", "log_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name} is {getattr(self, name)}: it must be at least 1")
        if self.batch_size % self.accumulation:
            raise ConfigError(
                f"training.batch_size {self.batch_size} is not a multiple of training.accumulation {self.accumulation}"
            )
        for name, allowed in (
            ("optimizer", ("adamw", "muon")),
            ("decay", ("cosine", "constant")),
            ("precision", ("float32", "bfloat16")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"training.{name} is {getattr(self, name)!r}: it must be one of {', '.join(allowed)}")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"training.learning_rate is {self.learning_rate}: it must be > 0 and finite")
        for name in ("weight_decay", "warmup", "ema_half_life", "clip"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"training.{name} is {getattr(self, name)}: it must be at least 0")
        if not 0 <= self.condition_dropout <= 1:
            raise ConfigError(f"training.condition_dropout is {self.condition_dropout}: it must lie in [0, 1]")


@dataclass(frozen=True)
class LevelsConfig:
    """Noise levels for data of sigma_data = 0.5; the run scales them to its own data (see schedule.Levels)."""

    mean: float = -1.2
    std: float = 1.2
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run, beside the data.

    dimension: D, > 0, inf for diffusion. dimension_range: (low, high) to train one network for every D between and
    for inf; `dimension` is then what samples are drawn at when nothing is asked. validation: share of the data held
    out. sigma_data: size of the encoded data, measured from them when not given. network: settings of the network.
    preconditioning: "edm", "matched" or "seen" (see denoiser.Preconditioned); a range of D has "edm" alone. A new run
    of which it is not said has the usual one of its D (denoiser.usual_preconditioning).
    """

    adapter: str = ""
    dimension: float = 128.0
    dimension_range: tuple[float, float] | None = None
    seed: int = 0
    validation: float = 0.1
    sigma_data: float | None = None
    preconditioning: str = "edm"
    network: dict[str, Any] = field(default_factory=dict)
    levels: LevelsConfig = LevelsConfig()
    training: TrainingConfig = TrainingConfig()

    def __post_init__(self) -> None:
        if not self.dimension > 0:
            raise ConfigError(f"dimension is {self.dimension}: D must be > 0 (1 is PFGM, inf is diffusion)")
        if self.dimension_range is not None:
            low, high = self.dimension_range
            if not 0 < low < high < math.inf:
                raise ConfigError(f"dimension_range is {self.dimension_range}: need 0 < low < high < inf")
            if self.preconditioning != "edm":
                raise ConfigError(f"preconditioning {self.preconditioning!r} needs one D: leave dimension_range out")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed is {self.seed}: it must lie in [0, 2^32)")
        if self.sigma_data is not None and not 0 < self.sigma_data < math.inf:
            raise ConfigError(f"sigma_data is {self.sigma_data}: it must be > 0 and finite, or left out to be measured")
        if not 0 <= self.validation < 1:
            raise ConfigError(f"validation is {self.validation}: the share held out must lie in [0, 1)")


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file; ConfigError names the file and the line of a mistake in it."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def build(kind: type[T], settings: Mapping[str, Any], where: str = "") -> T:
    """A dataclass from nested mappings; unknown keys and wrong types raise ConfigError with the nearest right one."""
    return update(kind(), settings, where)


def known_names(config: Any, where: str = "") -> list[str]:
    """Every setting of a dataclass by its full name: ["dimension", "training.steps", ...]."""
    names = []
    for each in fields(config):
        value = getattr(config, each.name)
        names += known_names(value, f"{where}{each.name}.") if is_dataclass(value) else [f"{where}{each.name}"]
    return names


def update(config: T, settings: Mapping[str, Any], where: str = "") -> T:
    """A copy of a dataclass with some fields replaced, nested mappings entry by entry."""
    assert is_dataclass(config)
    hints = get_type_hints(type(config))
    names = [f.name for f in fields(config)]
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        place = f"{where}{key}"
        if key not in names:
            # by the last word, so that `step` finds training.steps
            full = {name.rpartition(".")[2]: where + name for name in reversed(known_names(config))}
            near = difflib.get_close_matches(key, [*names, *full], 1)
            hint = f" Did you mean {full.get(near[0], where + near[0])}?" if near else ""
            raise ConfigError(f"{place} is not a setting; there are {', '.join(where + n for n in names)}.{hint}")
        current = getattr(config, key)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{place} is {value!r}: it must be a table of settings")
            changes[key] = update(current, value, f"{place}.")
        elif isinstance(current, dict):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{place} is {value!r}: it must be a table of settings")
            changes[key] = {**current, **value}
        else:
            changes[key] = _coerce(value, hints[key], place)
    return replace(config, **changes)  # type: ignore[type-var]


def parse_value(text: str) -> Any:
    """A value given on the command line, as TOML would read it; bare words are strings."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def to_json(config: Any) -> Any:
    """Nested dataclasses as JSON values; infinity becomes the string "inf"."""
    if is_dataclass(config) and not isinstance(config, type):
        return {f.name: to_json(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, Mapping):
        return {str(k): to_json(v) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return [to_json(v) for v in config]
    if isinstance(config, float) and math.isinf(config):
        return "inf" if config > 0 else "-inf"
    return config


def _coerce(value: Any, hint: Any, place: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(a for a in get_args(hint) if a is not type(None))
        origin = get_origin(hint)
    if origin is tuple:
        parts = get_args(hint)
        if not isinstance(value, (list, tuple)) or (Ellipsis not in parts and len(value) != len(parts)):
            wanted = "values" if Ellipsis in parts else f"{len(parts)} values"
            raise ConfigError(f"{place} is {value!r}: it must be a list of {wanted}, such as [1, 2]")
        return tuple(_coerce(v, parts[0], place) for v in value)
    if hint is float:
        if value in ("inf", "-inf"):
            return float(value)
        number = _number(value)
        if not math.isnan(number):
            return number
        raise ConfigError(f"{place} is {value!r}: it must be a number")
    if hint is int:
        if not _number(value).is_integer():  # neither is NaN, nor infinity
            raise ConfigError(f"{place} is {value!r}: it must be a whole number")
        return int(value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise ConfigError(f"{place} is {value!r}: it must be a {hint.__name__}")
    return value


def _number(value: Any) -> float:
    """Numbers of Python and NumPy as a float; NaN for what is none (True and False among it) or too large for one."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def first_difference(saved: Any, wanted: Any, where: str = "") -> str:
    """Where saved and wanted settings differ first, as "training.steps (400, not 200)"; "" when they agree."""
    if isinstance(saved, dict) and isinstance(wanted, dict):
        for key in {**saved, **wanted}:
            if found := first_difference(saved.get(key), wanted.get(key), f"{where}.{key}" if where else key):
                return found
        return ""
    return "" if saved == wanted else f"{where} ({reprlib.repr(saved)}, not {reprlib.repr(wanted)})"
