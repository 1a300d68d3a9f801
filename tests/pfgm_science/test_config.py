"""Settings: from TOML and mappings to frozen dataclasses and back, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfgm_science.config import LevelsConfig, RunConfig, TrainingConfig, build, parse_value, read_toml, to_json, update
from pfgm_science.errors import ConfigError


@pytest.mark.parametrize(
    ("given_settings", "named", "hint"),
    [
        ({"dimesion": 3}, "dimesion is not a setting", "Did you mean dimension?"),
        ({"training": {"learning_rte": 1e-3}}, "training.learning_rte is not", "Did you mean training.learning_rate?"),
        ({"training": {"step": 3}}, "training.step is not a setting", "Did you mean training.steps?"),
        ({"step": 3}, "step is not a setting", "Did you mean training.steps?"),
        ({"sigma_mx": 3}, "sigma_mx is not a setting", "Did you mean levels.sigma_max?"),
        ({"levels": {"sigma_mx": 3}}, "levels.sigma_mx is not a setting", "Did you mean levels.sigma_max?"),
        ({"zzz": 3}, "zzz is not a setting; there are adapter, dimension, ", ""),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest_right_one(given_settings: Any, named: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        build(RunConfig, given_settings)
    assert named in str(error.value)
    assert hint in str(error.value)
    assert bool(hint) == ("Did you mean" in str(error.value))


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"dimension": "many"}, "dimension is 'many': it must be a number"),
        ({"dimension": True}, "dimension is True: it must be a number"),
        ({"dimension": math.nan}, "dimension is nan: it must be a number"),
        ({"dimension": None}, "dimension is None: it must be a number"),
        ({"dimension": 10**400}, "dimension is 1000.*: it must be a number"),
        ({"seed": 1.5}, "seed is 1.5: it must be a whole number"),
        ({"seed": math.inf}, "seed is inf: it must be a whole number"),
        ({"seed": "3"}, "seed is '3': it must be a whole number"),
        ({"training": {"steps": math.inf}}, "training.steps is inf: it must be a whole number"),
        ({"training": {"steps": math.nan}}, "training.steps is nan: it must be a whole number"),
        ({"training": {"optimizer": 3}}, "training.optimizer is 3: it must be a str"),
        ({"training": 5}, "training is 5: it must be a table of settings"),
        ({"network": 5}, "network is 5: it must be a table of settings"),
        ({"dimension_range": 5}, "dimension_range is 5: it must be a list of 2 values"),
        ({"dimension_range": [1, 2, 3]}, "it must be a list of 2 values"),
        ({"dimension_range": [1, "x"]}, "dimension_range is 'x': it must be a number"),
    ],
)
def test_wrong_types_are_refused(given_settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(RunConfig, given_settings)


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"dimension": 0}, r"dimension is 0.0: D must be > 0 \(1 is PFGM, inf is diffusion\)"),
        ({"dimension": -2}, "D must be > 0"),
        ({"dimension": "-inf"}, "D must be > 0"),
        ({"dimension_range": [0, 5]}, "need 0 < low < high < inf"),
        ({"dimension_range": [5, 5]}, "need 0 < low < high < inf"),
        ({"dimension_range": [5, 6], "preconditioning": "seen"}, "needs one D"),
        ({"dimension_range": [5, "inf"]}, "need 0 < low < high < inf"),
        ({"validation": 1}, r"must lie in \[0, 1\)"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"sigma_data": 0}, "sigma_data is 0.0: it must be > 0"),
        ({"sigma_data": "inf"}, "sigma_data is inf"),
        ({"training": {"steps": 0}}, "training.steps is 0: it must be at least 1"),
        ({"training": {"batch_size": -3}}, "training.batch_size is -3"),
        ({"training": {"batch_size": 10, "accumulation": 3}}, "batch_size 10 is not a multiple of .*accumulation 3"),
        ({"training": {"optimizer": "adam"}}, "'adam': it must be one of adamw, muon"),
        ({"training": {"decay": "linear"}}, "'linear': it must be one of cosine, constant"),
        ({"training": {"precision": "float16"}}, "'float16': it must be one of float32, bfloat16"),
        ({"training": {"learning_rate": 0}}, "training.learning_rate is 0.0"),
        ({"training": {"learning_rate": "inf"}}, "training.learning_rate is inf"),
        ({"training": {"clip": -1}}, "training.clip is -1.0: it must be at least 0"),
        ({"training": {"ema_half_life": -1}}, "training.ema_half_life is -1"),
        ({"training": {"weight_decay": -1}}, "training.weight_decay is -1.0"),
        ({"training": {"warmup": -1}}, "training.warmup is -1"),
        ({"training": {"condition_dropout": 1.5}}, r"must lie in \[0, 1\]"),
    ],
)
def test_values_out_of_range_are_refused(given_settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(RunConfig, given_settings)


def test_infinity_is_a_word() -> None:
    assert build(RunConfig, {"dimension": "inf"}).dimension == math.inf
    assert build(RunConfig, {"dimension": math.inf}).dimension == math.inf
    assert to_json(RunConfig(dimension=math.inf))["dimension"] == "inf"
    json.dumps(to_json(RunConfig(dimension=math.inf)), allow_nan=False)


def test_numbers_of_numpy_and_whole_floats_are_taken() -> None:
    config = build(RunConfig, {"seed": np.int64(3), "dimension": np.float32(0.5), "training": {"steps": 2e3}})
    assert (config.seed, config.dimension, config.training.steps) == (3, 0.5, 2000)
    assert [type(v) for v in (config.seed, config.dimension, config.training.steps)] == [int, float, int]


def test_update_changes_only_what_is_named() -> None:
    base = RunConfig(network={"width": 8, "depth": 1}, training=TrainingConfig(steps=5))
    changed = update(base, {"training": {"warmup": 3}, "network": {"depth": 2}})
    assert changed.training == TrainingConfig(steps=5, warmup=3)
    assert changed.network == {"width": 8, "depth": 2}
    assert base == RunConfig(network={"width": 8, "depth": 1}, training=TrainingConfig(steps=5))
    with pytest.raises(FrozenInstanceError):
        base.seed = 3  # type: ignore[misc]


def test_lists_become_tuples_of_the_right_kind() -> None:
    @dataclass(frozen=True)
    class Sizes:
        sides: tuple[int, ...] = (1, 2)
        name: str | None = None

    assert update(Sizes(), {"sides": [3, 4.0, 5]}).sides == (3, 4, 5)
    assert update(Sizes("x"), {"name": None}).name is None  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"network.sides is 2.5: it must be a whole number"):
        update(Sizes(), {"sides": [2.5]}, "network.")


def test_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'dimension = inf\nseed = 7\n[training]\nsteps = 1_000\nlearning_rate = 3e-4\n[network]\nkind = "dit"\n'
    )
    config = build(RunConfig, read_toml(path))
    assert (config.dimension, config.seed, config.training.steps) == (math.inf, 7, 1000)
    assert config.network == {"kind": "dit"}


def test_mistakes_in_a_toml_file_are_told_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("seed = 3\n[training\nsteps = 1\n")
    with pytest.raises(ConfigError, match=r"run\.toml: not valid TOML: .*line 2"):
        read_toml(path)
    path.write_bytes(b"seed = \xff\n")
    with pytest.raises(ConfigError, match=r"run\.toml: cannot be read as text"):
        read_toml(path)
    with pytest.raises(ConfigError, match="there is no such file"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("inf", math.inf),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("adamw", "adamw"),
        ("a b", "a b"),
    ],
)
def test_values_of_the_command_line(text: str, value: Any) -> None:
    assert parse_value(text) == value


positive = st.floats(1e-300, math.inf, exclude_max=False)
trainings = st.builds(
    TrainingConfig,
    steps=st.integers(1, 10**9),
    batch_size=st.integers(1, 100).map(lambda k: 6 * k),
    accumulation=st.sampled_from([1, 2, 3, 6]),
    optimizer=st.sampled_from(["adamw", "muon"]),
    learning_rate=st.floats(1e-12, 10),
    weight_decay=st.floats(0, 1),
    decay=st.sampled_from(["cosine", "constant"]),
    clip=st.floats(0, math.inf),
    condition_dropout=st.floats(0, 1),
    precision=st.sampled_from(["float32", "bfloat16"]),
)
ranges = st.tuples(st.floats(1e-3, 1), st.floats(2, 1e9))
network = st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers()), max_size=3)
configs = st.builds(
    RunConfig,
    adapter=st.text(),
    dimension=positive,
    dimension_range=st.none() | ranges,
    seed=st.integers(0, 2**32 - 1),
    validation=st.floats(0, 1, exclude_max=True),
    sigma_data=st.none() | st.floats(1e-300, 1e300),
    network=network,
    levels=st.builds(LevelsConfig, mean=st.floats(-9, 9), sigma_max=st.floats(1, 1e6)),
    training=trainings,
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(configs)
def test_a_config_survives_json(config: RunConfig) -> None:
    text = json.dumps(to_json(config), allow_nan=False)
    assert build(RunConfig, json.loads(text)) == config


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(sorted(to_json(RunConfig()))) | st.text(max_size=5)
nested = st.dictionaries(st.sampled_from(sorted(to_json(TrainingConfig()))), anything, max_size=3)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.dictionaries(names, anything | nested, max_size=3))
def test_any_settings_give_a_config_or_a_config_error(given_settings: dict[str, Any]) -> None:
    try:
        config = build(RunConfig, given_settings)
    except ConfigError as error:
        assert len(str(error)) > 10
    else:
        assert build(RunConfig, to_json(config)) == config
