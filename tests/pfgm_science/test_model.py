"""Models: fit on what users have, sample, run at other D, condition, save and load."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modalities.images.adapter import Images
from modalities.vectors.adapter import Vectors
from pfgm_science.config import RunConfig, TrainingConfig
from pfgm_science.constraints import Known
from pfgm_science.data import Dataset
from pfgm_science.denoiser import AtDimension, GivenDimension
from pfgm_science.errors import ConfigError, DataError, PfgmError
from pfgm_science.model import Model, configure, fit, load, nest, sample_seeds
from pfgm_science.training import read_log

TINY: dict[str, Any] = {"steps": 3, "batch_size": 8, "network": {"width": 8, "depth": 1, "embedding": 8}}
ROWS = np.random.default_rng(0).standard_normal((30, 3)) * [1, 10, 100] + [0, 5, -50]


def randomised(model: Model) -> Model:
    """The model with noise on its weights: three steps leave a network that is all but zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.denoiser.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(scope="module")
def diffusion() -> Model:
    return randomised(fit(Vectors(), ROWS, dimension=math.inf, **TINY))


@pytest.fixture(scope="module")
def conditional() -> Model:
    condition = {"kind": np.array(["apple", "pear", "plum"] * 10), "size": np.linspace(0, 1, 60).reshape(30, 2)}
    return randomised(fit(Vectors(), ROWS, condition=condition, dimension=16, **TINY))


@pytest.mark.parametrize("dimension", [16, math.inf])
def test_sample_i_depends_on_seed_and_i_alone(dimension: float) -> None:
    model = randomised(fit(Vectors(), ROWS, dimension=dimension, **TINY))
    values = model.draw(11, seed=4, evaluations=9).values
    for batch_size in (1, 4, 100):
        part = model.draw(7, seed=4, evaluations=9, batch_size=batch_size).values
        torch.testing.assert_close(part, values[:7], rtol=1e-5, atol=1e-5)
    assert torch.equal(model.draw(11, seed=4, evaluations=9).values, values)
    other = model.draw(11, seed=5, evaluations=9).values
    assert bool((other != values).all())


def test_seeds_of_samples_do_not_collide() -> None:
    seeds = [s for seed in range(20) for s in sample_seeds(seed, range(200))]
    assert len(set(seeds)) == 4000
    assert all(0 <= s < 2**63 for s in seeds)


def test_labels_of_a_batch_go_with_their_samples(conditional: Model) -> None:
    kinds = ["apple", "pear", "plum", "apple", "plum"]
    values = conditional.draw(5, seed=1, condition={"kind": kinds}, evaluations=9).values
    parts = conditional.draw(5, seed=1, condition={"kind": kinds}, evaluations=9, batch_size=2).values
    torch.testing.assert_close(parts, values, rtol=1e-5, atol=1e-5)
    for i, kind in enumerate(kinds):
        all_of_one = conditional.draw(5, seed=1, condition={"kind": kind}, evaluations=9).values
        torch.testing.assert_close(all_of_one[i], values[i], rtol=1e-5, atol=1e-5)


def test_conditions_are_told_by_name(conditional: Model) -> None:
    def values(condition: Any) -> torch.Tensor:
        return conditional.draw(4, condition=condition, evaluations=9).values

    assert not torch.allclose(values({"kind": "apple"}), values({"kind": "pear"}))
    assert not torch.allclose(values({"kind": "apple"}), values(None))
    assert not torch.allclose(values({"size": [0.0, 3.0]}), values({"size": [3.0, 0.0]}))
    assert torch.equal(values({}), values(None))
    assert torch.equal(values({"size": [[1.0, 2.0]] * 4}), values({"size": [1.0, 2.0]}))


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"kind": "aple"}, r"kind 'aple' is not a class of this model \(apple, pear, plum\).*Did you mean 'apple'\?"),
        ({"knd": "apple"}, r"condition 'knd' is not one of this model's conditions \('kind', 'size'\)"),
        ({"kind": ["apple", "pear"]}, "'kind' has 2 values for 4 samples"),
        ({"size": [1.0, 2.0, 3.0]}, r"'size' has shape \(3,\); it must be \(4, 2\)"),
        ({"size": "large"}, "'size' is 'large': it must be numbers, 2 a sample"),
        ({"dimension": [1.0, 2.0]}, "condition 'dimension' is not one of"),
    ],
)
def test_wrong_conditions_are_refused(conditional: Model, condition: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        conditional.sample(4, condition=condition)


def test_a_model_without_conditions_says_so(diffusion: Model) -> None:
    with pytest.raises(ConfigError, match="it was trained without conditions"):
        diffusion.sample(2, condition={"kind": "apple"})


def test_whole_numbers_are_classes_and_known_by_them() -> None:
    model = fit(Vectors(), ROWS, condition={"label": np.arange(30) % 11}, **TINY)
    assert model.specs[0].classes == tuple(map(str, range(11)))
    assert len(model.sample(2, condition={"label": 10}, evaluations=3)) == 2
    assert len(model.sample(2, condition={"label": [0, "3"]}, evaluations=3)) == 2


@pytest.mark.parametrize("name", ["type", "values", "a.b", "weight"])
def test_conditions_may_have_any_name(name: str, tmp_path: Path) -> None:
    model = fit(Vectors(), ROWS, condition={name: ["x", "y"] * 15}, folder=tmp_path, **TINY)
    expected = model.sample(2, condition={name: "x"}, evaluations=3)
    np.testing.assert_array_equal(load(tmp_path).sample(2, condition={name: "x"}, evaluations=3), expected)


def test_at_follows_the_rules_of_the_training(diffusion: Model) -> None:
    assert diffusion.at() is diffusion.denoiser
    assert diffusion.at(math.inf) is diffusion.denoiser
    assert isinstance(diffusion.at(8), AtDimension)
    assert diffusion.sample(3, dimension=8, evaluations=5).shape == (3, 3)
    single = fit(Vectors(), ROWS, dimension=16, **TINY)
    assert single.at() is single.at(16) is single.denoiser
    for other in (8, math.inf):
        with pytest.raises(ConfigError, match=r"trained at D = 16 and cannot run at D = .*--dimension-range"):
            single.sample(2, dimension=other)
    many = randomised(fit(Vectors(), ROWS, dimension_range=(1, 100), **TINY))
    for D in (None, 2, math.inf, 100.0):
        assert isinstance(many.at(D), GivenDimension)
        assert np.isfinite(many.sample(3, dimension=D, evaluations=5)).all()
    assert not np.allclose(many.sample(3, dimension=2), many.sample(3, dimension=math.inf))
    np.testing.assert_array_equal(many.sample(3), many.sample(3, dimension=100.0))  # 128, brought into the range
    for outside in (0.5, 128.0):
        with pytest.raises(ConfigError, match=r"trained for D from 1 to 100 and for inf: it knows nothing of D = "):
            many.sample(3, dimension=outside)


@pytest.mark.parametrize("D", [0, -1, math.nan])
def test_dimension_must_be_positive(diffusion: Model, D: float) -> None:
    with pytest.raises(ConfigError, match=r"D must be > 0|must be > 0"):
        diffusion.sample(2, dimension=D)
    with pytest.raises(ConfigError, match="dimension is"):
        fit(Vectors(), ROWS, dimension=D)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count is 0: at least 1"),
        ({"count": -3}, "count is -3: at least 1"),
        ({"count": 1, "batch_size": 0}, "batch_size is 0"),
        ({"count": 1, "evaluations": 0}, "0 evaluations: at least 1"),
        ({"count": 1, "solver": "hoyn"}, "solver 'hoyn' is not known; there are euler, heun"),
    ],
)
def test_wrong_requests_are_refused(diffusion: Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        diffusion.sample(**options)


@pytest.mark.parametrize("solver", ["euler", "heun", "dpm2m"])
@pytest.mark.parametrize("evaluations", [1, 2, 9])
def test_every_solver_keeps_within_the_evaluations(diffusion: Model, solver: str, evaluations: int) -> None:
    batch = diffusion.draw(2, solver=solver, evaluations=evaluations)
    states = list(diffusion.trajectory(batch, range(2), solver=solver, evaluations=evaluations))
    assert states[-1].sigma == 0 and states[-1].evaluations <= evaluations
    assert states[0].x.dtype == torch.float64
    torch.testing.assert_close(states[-1].x.float(), batch.values)


def test_low_precision_is_of_the_network_alone(diffusion: Model) -> None:
    low = diffusion.at_precision("bfloat16")
    batch = diffusion.draw(4, evaluations=9)
    states = list(low.trajectory(batch, range(4), evaluations=9))
    assert all(state.x.dtype == torch.float64 for state in states)
    values = low.draw(4, evaluations=9).values
    assert not torch.equal(values, batch.values)
    torch.testing.assert_close(values, batch.values, rtol=0.05, atol=0.05)
    assert torch.equal(diffusion.draw(4, evaluations=9).values, batch.values), "the model itself is as it was"


@pytest.mark.skipif(not shutil.which("g++") and not shutil.which("clang++"), reason="compiling needs a C++ compiler")
def test_a_compiled_network_draws_the_same(diffusion: Model, tmp_path: Path) -> None:
    compiled = diffusion.compiled()
    expected = diffusion.draw(4, evaluations=5).values
    torch.testing.assert_close(compiled.draw(4, evaluations=5).values, expected, rtol=1e-4, atol=1e-4)
    compiled.save(tmp_path / "model.safetensors")
    assert torch.equal(load(tmp_path / "model.safetensors").draw(4, evaluations=5).values, expected)


def test_a_model_keeps_where_its_trajectories_bend(diffusion: Model, tmp_path: Path) -> None:
    model = fit(Vectors(), ROWS, dimension=8, **TINY)
    assert model.bends is not None
    model.save(tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").bends == model.bends
    older = replace(diffusion, bends=None)
    older.save(tmp_path / "older.safetensors")
    again = load(tmp_path / "older.safetensors")
    assert again.bends is None
    torch.testing.assert_close(
        again.grid("euler", 6, "fitted"), older.with_bends().grid("euler", 6, "fitted"), rtol=1e-9, atol=0
    )


def test_the_default_is_what_was_measured_to_be_best(diffusion: Model) -> None:
    """And the tables that say so are those of docs/benchmarks.md."""
    for how, same in (
        ({}, {"solver": "trig2m", "grid": "fitted"}),
        ({"solver": "unipc"}, {"solver": "unipc", "grid": "karras"}),
        ({"grid": "karras"}, {"solver": "trig2m", "grid": "karras"}),
    ):
        first, second = (diffusion.draw(2, evaluations=8, **options).values for options in (how, same))
        assert torch.equal(first, second)
    older = replace(diffusion, bends=None)
    first, second = older.draw(2, evaluations=8), older.draw(2, evaluations=8, solver="trig2m", grid="karras")
    assert torch.equal(first.values, second.values)
    known = Known(ROWS[:1], [True, False, False])
    first, second = (diffusion.draw(2, evaluations=12, keep=known, **h) for h in ({}, {"solver": "heun"}))
    assert torch.equal(first.values, second.values)


def test_progress_runs_to_the_end(diffusion: Model) -> None:
    seen: list[tuple[int, int]] = []
    diffusion.sample(
        5, evaluations=9, solver="heun", batch_size=2, on_state=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (25, 25)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_samples_that_are_not_finite_are_not_handed_out() -> None:
    model = fit(Vectors(), ROWS, **TINY)
    with torch.no_grad():
        next(model.denoiser.parameters()).fill_(math.nan)
    with pytest.raises(PfgmError, match=r"3 of 3 samples are not finite \(the first is 0\)"):
        model.sample(3, evaluations=3)


def test_fit_takes_what_users_have() -> None:
    expected = fit(Vectors(), ROWS, **TINY).sample(2, evaluations=3)
    for data in (ROWS.tolist(), list(ROWS), torch.from_numpy(ROWS), Dataset(ROWS, name="mine")):
        np.testing.assert_array_equal(fit(Vectors(), data, **TINY).sample(2, evaluations=3), expected)
    assert fit(Vectors(), ROWS[:, 0], **TINY).sample(4, evaluations=3).shape == (4, 1)
    assert fit(Vectors(), ROWS[:1], **TINY).sample(4, evaluations=3).shape == (4, 3)
    assert fit(Vectors(), ROWS[:3], validation=0.9, **TINY).history["data"]["held_out"] == 2


def test_images_with_labels(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    model = fit(
        Images(), Dataset(images, {"label": np.arange(20) % 2}, "noise", "CC0-1.0"), folder=tmp_path,
        steps=2, batch_size=4, network={"channels": 8, "multipliers": [1], "embedding": 8},
    )  # fmt: skip
    samples = model.sample(3, condition={"label": [0, 1, 0]}, evaluations=3)
    assert samples.dtype == np.uint8 and samples.shape == (3, 8, 8, 1)
    assert fit(
        Images(), images[..., 0], steps=1, batch_size=4, network={"channels": 8, "multipliers": [1], "embedding": 8}
    ).sample(1, evaluations=1).shape == (1, 8, 8, 1)  # fmt: skip


def test_same_settings_give_the_same_model_and_other_seeds_another() -> None:
    a, b, c = (fit(Vectors(), ROWS, **{**TINY, "seed": seed}) for seed in (0, 0, 1))
    assert all(torch.equal(p, q) for p, q in zip(a.denoiser.parameters(), b.denoiser.parameters(), strict=True))
    assert any(not torch.equal(p, q) for p, q in zip(a.denoiser.parameters(), c.denoiser.parameters(), strict=True))


def test_save_and_load_give_an_equal_model(conditional: Model, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    conditional.save(path)
    again = load(path)
    assert again.config == conditional.config
    assert again.specs == conditional.specs
    assert again.adapter == conditional.adapter
    assert dict(again.history) == dict(conditional.history)
    assert again.denoiser.sigma_data == conditional.denoiser.sigma_data
    assert not again.denoiser.training
    for name, tensor in conditional.denoiser.state_dict().items():
        assert torch.equal(again.denoiser.state_dict()[name], tensor)
    np.testing.assert_array_equal(again.sample(4, seed=2), conditional.sample(4, seed=2))


def test_a_run_folder_holds_state_log_and_model(tmp_path: Path) -> None:
    model = fit(Vectors(), ROWS, folder=tmp_path / "deep" / "run", **TINY)
    assert {p.name for p in (tmp_path / "deep" / "run").iterdir()} >= {
        "state.safetensors",
        "log.jsonl",
        "model.safetensors",
    }
    np.testing.assert_array_equal(load(tmp_path / "deep" / "run").sample(2), model.sample(2))
    assert {entry["event"] for entry in read_log(tmp_path / "deep" / "run" / "log.jsonl")} == {"train", "validation"}


@pytest.mark.parametrize(
    ("data", "condition", "message"),
    [
        ([], None, "no data"),
        (np.zeros((0, 3)), None, "no data"),
        (ROWS, {"kind": ["a"] * 29}, r"'kind' has shape \(29,\) for 30 samples"),
        (ROWS, {"kind": ["a"] * 31}, r"'kind' has shape \(31,\) for 30 samples"),
        (ROWS, {"kind": "a"}, r"'kind' has shape \(\) for 30 samples"),
        (ROWS, {"dimension": np.zeros(30)}, "'dimension': this name is kept for D itself"),
    ],
)
def test_data_that_cannot_be_used(data: Any, condition: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(Vectors(), data, condition=condition, **TINY)


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="stps is not a setting"):
        fit(Vectors(), ROWS, stps=3)
    with pytest.raises(ConfigError, match="has its own"):
        fit(Vectors(), Dataset(ROWS), condition={"kind": ["a"] * 30})
    with pytest.raises(ConfigError, match=r"network\.wdth is not a setting.*Did you mean network\.width"):
        fit(Vectors(), ROWS, network={"wdth": 3})


def test_data_that_do_not_vary_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"sigma_data is 0\.0: the data must vary"):
        fit(Images(), np.full((5, 8, 8, 1), 7, np.uint8), steps=1)


def test_a_whole_config_goes_before_the_recipe() -> None:
    config = RunConfig(
        dimension=5.0, network=TINY["network"], validation=0.0, training=TrainingConfig(steps=2, batch_size=4)
    )
    model = fit(Vectors(), ROWS, config=config)
    assert model.config == config
    assert model.history["data"]["held_out"] == 0
    assert fit(Vectors(), ROWS, config=config, steps=1).config.training.steps == 1


def test_bare_names_find_their_table() -> None:
    assert nest({"steps": 5, "rho": 6.0, "seed": 1, "network": {"width": 3}, "training": {"warmup": 2}}) == {
        "training": {"steps": 5, "warmup": 2}, "levels": {"rho": 6.0}, "seed": 1, "network": {"width": 3},
    }  # fmt: skip


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused_rather_than_folded(diffusion: Model, seed: int) -> None:
    with pytest.raises(ConfigError, match=r"it must lie in \[0, 2\^32\)"):
        diffusion.sample(1, seed=seed)


def test_a_network_of_small_dimension_is_told_what_x_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {D: configure(Vectors(), 30, {"dimension": D}).preconditioning for D in (1.0, 4.0, 4.5, 128.0, math.inf)}
    assert chosen == {1.0: "seen", 4.0: "seen", 4.5: "edm", 128.0: "edm", math.inf: "edm"}
    assert configure(Vectors(), 30, {"dimension": 2.0, "preconditioning": "edm"}).preconditioning == "edm"
    assert configure(Vectors(), 30, {"dimension": 2.0, "dimension_range": (1, 8)}).preconditioning == "edm"
    assert RunConfig(dimension=2.0).preconditioning == "edm"  # as models of before say it of themselves
    chosen_by_recipe = Vectors()
    recipe = {**chosen_by_recipe.recipe(30), "dimension": 2.0, "preconditioning": "edm"}
    monkeypatch.setattr(Vectors, "recipe", lambda self, count: recipe)
    assert configure(chosen_by_recipe, 30, {}).preconditioning == "edm"
    monkeypatch.undo()
    small = fit(Vectors(), ROWS, dimension=2.0, **TINY)
    assert small.config.preconditioning == "seen" and np.isfinite(small.sample(3, evaluations=3)).all()
    assert fit(Vectors(), ROWS, dimension=64.0, start=small, **TINY).config.preconditioning == "seen"


def test_training_starts_from_the_weights_and_the_network_of_another_model(tmp_path: Path) -> None:
    first = randomised(fit(Vectors(), ROWS, dimension=math.inf, **TINY))
    still = {"batch_size": 8, "steps": 1, "warmup": 1000, "learning_rate": 1e-12, "ema_half_life": 0}
    other = fit(Vectors(), ROWS[:20] * 3, start=first, folder=tmp_path / "run", **still)
    assert other.config.network == first.config.network
    for name, tensor in first.denoiser.network.state_dict().items():
        torch.testing.assert_close(other.denoiser.network.state_dict()[name], tensor, rtol=0, atol=1e-6)
    assert other.history["start"]["data"] == first.history["data"]
    fit(Vectors(), ROWS[:20] * 3, start=first, folder=tmp_path / "run", **still)  # goes on
    with pytest.raises(PfgmError, match="start"):
        fit(Vectors(), ROWS[:20] * 3, start=randomised(first), folder=tmp_path / "run", **still)


def test_a_start_of_another_kind_or_shape_is_refused() -> None:
    first = fit(Vectors(), ROWS, **TINY)
    with pytest.raises(ConfigError, match="model of vectors, and these are images"):
        fit(Images(), np.zeros((4, 8, 8), np.uint8), start=first, steps=1)
    with pytest.raises(ConfigError, match="has shape"):
        fit(Vectors(), ROWS, start=first, steps=1, network={"width": 16, "depth": 1, "embedding": 8})
    with pytest.raises(ConfigError, match="another network"):
        fit(Vectors(), ROWS, condition={"kind": ["a", "b", "c"] * 10}, start=first, steps=1)
