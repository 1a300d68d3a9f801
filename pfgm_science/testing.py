"""What every adapter must do, as tests: inherit from AdapterContract in a test file, name the adapter, give examples.

Needs pytest. See docs/new-modality.md; tests/contract/test_contract.py holds the adapters of this distribution to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pfgm_science import adapters
from pfgm_science.adapters import Adapter
from pfgm_science.batch import Batch
from pfgm_science.cells import Cells
from pfgm_science.condition import ConditionSpec
from pfgm_science.config import RunConfig
from pfgm_science.constraints import Known
from pfgm_science.data import Dataset
from pfgm_science.dimension import sweep
from pfgm_science.distance import Distance
from pfgm_science.editing import interpolate, vary
from pfgm_science.errors import BadRecord, ConfigError, DataError, PfgmError
from pfgm_science.likelihood import log_likelihood
from pfgm_science.model import GRIDS, Guidance, Model, configure, encoded, fit, load, nest
from pfgm_science.noise_error import noise_errors
from pfgm_science.robustness import TROUBLES, measure
from pfgm_science.solvers import SOLVERS, is_fixed

SPECS = (ConditionSpec("kind", "class", 2, ("a", "b")), ConditionSpec("size", "vector", 3))


class AdapterContract:
    """Tests that a subclass inherits. What it must give, and may change:

    make: returns an unfitted adapter. name: under which it is found.
    objects(count): examples, the same on every call, of the kind that users have, in all their variety of sizes.
    bad(): objects that `fit` must refuse, each with words that the message must hold.
    network: settings that make the network tiny; misspelt: one that does not exist, and the right one.
    files: names of files that `write` and `read` know. dataset: the name of a set that loads fast.
    damaged(folder): writes a file with one bad record among good ones; returns its path, the number of good records and
    words that the reason must hold.
    same(a, b): raises AssertionError unless two collections of objects are equal up to rounding.
    symmetries(batch): functions of values under which the network must be equivariant, such as a permutation of nodes.
    """

    make: ClassVar[Callable[[], Adapter]]
    name: ClassVar[str]
    network: ClassVar[Mapping[str, Any]] = {}
    misspelt: ClassVar[tuple[str, str]]
    files: ClassVar[Sequence[str]] = ()
    dataset: ClassVar[str]

    def objects(self, count: int) -> Any:
        raise NotImplementedError

    def bad(self) -> list[tuple[Any, str]]:
        raise NotImplementedError

    def damaged(self, folder: Path) -> tuple[Path, int, str]:
        raise NotImplementedError

    def same(self, a: Any, b: Any) -> None:
        assert type(a) is type(b)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)

    def symmetries(self, batch: Batch) -> Iterator[Callable[[Tensor], Tensor]]:
        yield from ()

    @pytest.fixture(scope="class")
    def fitted(self) -> Adapter:
        return type(self).make().fit(Dataset(self.objects(12)))

    @pytest.fixture(scope="class")
    def trained(self, tmp_path_factory: pytest.TempPathFactory) -> Model:
        """Three steps, with one condition of each kind."""
        objects = self.objects(12)
        condition = {"kind": ["a", "b"] * 6, "size": np.linspace(0, 1, 36).reshape(12, 3)}
        return fit(
            type(self).make(), objects, condition=condition, steps=3, batch_size=4, dimension=64,
            network=self.network, folder=tmp_path_factory.mktemp("trained"),
        )  # fmt: skip

    def test_is_found_by_name(self, fitted: Adapter) -> None:
        assert self.name in adapters.names()
        assert adapters.find(self.name) is type(fitted)
        assert fitted.name == self.name
        assert isinstance(fitted, Adapter)

    def test_decode_undoes_encode(self, fitted: Adapter) -> None:
        objects = self.objects(12)
        decoded = fitted.decode(fitted.encode(objects))
        assert len(decoded) == 12
        self.same(decoded, objects)

    def test_encode_is_deterministic_and_leaves_objects_alone(self, fitted: Adapter) -> None:
        objects = self.objects(12)
        first, second = fitted.encode(objects), fitted.encode(objects)
        assert torch.equal(first.values, second.values)
        self.same(objects, self.objects(12))

    def test_values_are_finite_float32_of_about_unit_size(self, fitted: Adapter) -> None:
        batch = fitted.encode(self.objects(12))
        assert batch.values.dtype == torch.float32
        assert batch.values.device.type == "cpu"
        assert batch.values.ndim >= 2 and len(batch) == 12
        assert bool(batch.values.isfinite().all())
        free = batch.values if batch.mask is None else batch.values[batch.mask > 0]
        assert 0.05 < float(free.square().mean().sqrt()) < 20

    def test_mask_is_of_zeros_and_ones_and_padding_is_zero(self, fitted: Adapter) -> None:
        for batch in (fitted.encode(self.objects(12)), fitted.template(5, seed=0)):
            if batch.mask is None:
                continue
            assert batch.mask.is_floating_point()
            assert set(batch.mask.flatten().tolist()) <= {0.0, 1.0}
            assert bool((batch.mask.flatten(1).sum(1) > 0).all())
            assert bool((batch.values[batch.mask == 0] == 0).all())

    @pytest.mark.parametrize("count", [0, 1])
    def test_no_object_and_one_object(self, fitted: Adapter, count: int) -> None:
        batch = fitted.encode(self.objects(12)[:count])
        assert len(batch) == count
        assert batch.values.shape[1:] == fitted.encode(self.objects(12)).values.shape[1:]
        decoded = fitted.decode(batch)
        assert len(decoded) == count
        if count:
            self.same(decoded, self.objects(12)[:1])

    def test_one_object_is_enough_to_fit(self) -> None:
        objects = self.objects(12)[:1]
        adapter = type(self).make().fit(Dataset(objects))
        self.same(adapter.decode(adapter.encode(objects)), objects)

    def test_bad_objects_are_refused_with_the_reason(self) -> None:
        cases = [(self.objects(12)[:0], ""), *self.bad()]
        for objects, words in cases:
            with pytest.raises(DataError) as error:
                type(self).make().fit(Dataset(objects))
            assert words in str(error.value)
            assert len(str(error.value)) > 15

    def test_fit_returns_a_new_adapter(self) -> None:
        adapter = type(self).make()
        before = json.dumps(adapter.settings())
        adapter.fit(Dataset(self.objects(12)))
        assert json.dumps(adapter.settings()) == before

    def test_settings_survive_json(self, fitted: Adapter) -> None:
        settings = json.loads(json.dumps(fitted.settings(), allow_nan=False))
        restored = type(fitted).restore(settings)
        assert json.loads(json.dumps(restored.settings())) == settings
        objects = self.objects(12)
        batch = fitted.encode(objects)
        assert torch.equal(restored.encode(objects).values, batch.values)
        self.same(restored.decode(batch), fitted.decode(batch))

    def test_template_is_like_the_data_and_does_not_depend_on_the_count(self, fitted: Adapter) -> None:
        example, five, three = fitted.encode(self.objects(12)), fitted.template(5, seed=1), fitted.template(3, seed=1)
        assert len(five) == 5
        assert five.values.shape[1:] == example.values.shape[1:]
        assert bool((five.values == 0).all())
        assert (five.mask is None) == (example.mask is None)
        if five.mask is not None and three.mask is not None:
            assert torch.equal(five.mask[:3], three.mask)
            again = fitted.template(5, seed=1).mask
            assert again is not None and torch.equal(five.mask, again)

    @pytest.mark.parametrize("count", [1, 4])
    def test_network_answers_in_the_shape_of_its_input(self, fitted: Adapter, count: int) -> None:
        batch = fitted.encode(self.objects(12))[:count]
        noise_level = torch.linspace(-1.5, 1.2, count)
        condition = {"kind": torch.tensor([0, 1, -1, 0][:count]), "size": torch.full((count, 3), math.nan)}
        for network in (self.fresh(fitted), randomised(self.fresh(fitted))):
            for given in (condition, {}, None):
                answer = network(batch.values, noise_level, given, batch.mask)
                assert answer.shape == batch.values.shape
                assert answer.dtype == torch.float32
                assert bool(answer.isfinite().all())
        loss = answer.square().mean()
        torch.autograd.backward(loss)
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert gradients and all(bool(g.isfinite().all()) for g in gradients)

    def test_network_stays_finite_far_out_in_the_tail(self, fitted: Adapter) -> None:
        """A heavy tail (small D) reaches the network as inputs of 1e4 and more."""
        batch = fitted.encode(self.objects(12))[:4]
        answer = randomised(self.fresh(fitted))(batch.values * 1e4, torch.full((4,), 1.2), None, batch.mask)
        assert bool(answer.isfinite().all())

    def test_network_heeds_noise_level_and_condition(self, fitted: Adapter) -> None:
        batch = fitted.encode(self.objects(12))[:2]
        network = randomised(self.fresh(fitted))

        def answer(level: float, kind: int) -> Tensor:
            condition = {"kind": torch.full((2,), kind)}
            result: Tensor = network(batch.values, torch.full((2,), level), condition, batch.mask)
            return result

        assert not torch.allclose(answer(0.0, 0), answer(0.5, 0))
        assert not torch.allclose(answer(0.0, 0), answer(0.0, 1))
        assert not torch.allclose(answer(0.0, 0), answer(0.0, -1))

    def test_samples_of_a_batch_do_not_mix(self, fitted: Adapter) -> None:
        batch = fitted.encode(self.objects(12))[:4]
        network = randomised(self.fresh(fitted)).eval()
        noise_level = torch.linspace(-1, 1, 4)
        with torch.no_grad():
            together = network(batch.values, noise_level, None, batch.mask)
            alone = [
                network(batch.values[i : i + 1], noise_level[i : i + 1], None, batch[i : i + 1].mask) for i in range(4)
            ]
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)

    def test_network_does_not_look_at_padding(self, fitted: Adapter) -> None:
        """Also where the data need no mask: a mask of ones changes nothing."""
        batch = fitted.encode(self.objects(12))[:4]
        network = randomised(self.fresh(fitted)).eval()
        noise_level = torch.linspace(-1, 1, 4)
        mask = torch.ones_like(batch.values) if batch.mask is None else batch.mask
        with torch.no_grad():
            answer = network(batch.values, noise_level, None, mask)
            noisy = network(batch.values + 7 * (1 - mask), noise_level, None, mask)
            torch.testing.assert_close(answer, noisy, rtol=1e-5, atol=1e-5)
            assert bool((answer[mask == 0] == 0).all())
            if batch.mask is None:
                unmasked = network(batch.values, noise_level, None, None)
                torch.testing.assert_close(answer, unmasked, rtol=1e-5, atol=1e-5)

    def test_network_has_the_symmetries_of_the_domain(self, fitted: Adapter) -> None:
        batch = fitted.encode(self.objects(12))[:4]
        network = randomised(self.fresh(fitted)).eval()
        noise_level = torch.linspace(-1, 1, 4)
        with torch.no_grad():
            answer = network(batch.values, noise_level, None, batch.mask)
            for move in self.symmetries(batch):
                mask = None if batch.mask is None else move(batch.mask)
                moved = network(move(batch.values), noise_level, None, mask)
                torch.testing.assert_close(moved, move(answer), rtol=1e-4, atol=1e-4)

    def test_unknown_network_setting_is_refused_with_the_nearest_name(self, fitted: Adapter) -> None:
        wrong, right = self.misspelt
        with pytest.raises(ConfigError, match=rf"network\.{wrong} is not a setting.*Did you mean network\.{right}\?"):
            fitted.network({**self.network, wrong: 1}, ())

    def test_recipe_is_a_config_that_the_user_can_override(self, fitted: Adapter) -> None:
        config = configure(fitted, 1000, {})
        assert isinstance(config, RunConfig)
        assert config.adapter == self.name
        json.dumps(fitted.recipe(1000))
        assert configure(fitted, 1000, {"steps": 7, "dimension": 3}) != config
        assert configure(fitted, 1000, {"steps": 7}).training.steps == 7
        assert isinstance(fitted.network(config.network, ()), nn.Module)
        assert nest(nest({"steps": 7})) == nest({"steps": 7})

    def test_datasets_are_listed_with_licence_source_and_size(self) -> None:
        infos = type(self).make().datasets()
        assert infos and len({info.name for info in infos}) == len(infos)
        for info in infos:
            assert all((info.name, info.description, info.licence, info.source, info.size)), info
            assert info.licence != "unknown"
        assert self.dataset in [info.name for info in infos]

    def test_dataset_loads_by_name(self) -> None:
        adapter = type(self).make()
        data = adapter.dataset(self.dataset)
        info = next(info for info in adapter.datasets() if info.name == self.dataset)
        assert (data.name, data.licence) == (info.name, info.licence)
        assert len(data) > 20 and not data.rejected
        fitted = adapter.fit(data)
        assert len(fitted.encode(data.take(np.arange(3)).objects)) == 3
        with pytest.raises(PfgmError, match=rf"no data set '{self.dataset}x'.*Did you mean '{self.dataset}'"):
            adapter.dataset(self.dataset + "x")

    def test_features_are_finite_rows(self, fitted: Adapter) -> None:
        features = fitted.features(self.objects(12))
        assert features.dtype == np.float64
        assert features.ndim == 2 and len(features) == 12
        assert bool(np.isfinite(features).all())
        np.testing.assert_array_equal(features[:5], fitted.features(self.objects(12)[:5]))

    def test_files_are_read_as_they_were_written(self, fitted: Adapter, tmp_path: Path) -> None:
        assert self.files
        for name in self.files:
            path = str(tmp_path / name)
            fitted.write(path, self.objects(12))
            data = fitted.read(path)
            self.same(data.objects, self.objects(12))
            assert not data.rejected
            assert len(data) == 12

    def test_files_that_cannot_be_read_are_named(self, fitted: Adapter, tmp_path: Path) -> None:
        with pytest.raises(PfgmError, match=r"absent"):
            fitted.read(str(tmp_path / "absent.npy"))
        for name in self.files:
            if not Path(name).suffix:
                continue  # a folder
            path = tmp_path / f"random{Path(name).suffix}"
            path.write_bytes(np.random.default_rng(0).bytes(2000))
            with pytest.raises(PfgmError, match="random"):
                fitted.read(str(path))
        with pytest.raises(PfgmError):
            fitted.write(str(tmp_path / "no such folder" / "a.npy"), self.objects(3))

    def test_a_bad_record_is_named_and_the_rest_is_kept(self, fitted: Adapter, tmp_path: Path) -> None:
        path, good, words = self.damaged(tmp_path)
        data = fitted.read(str(path))
        assert len(data) == good
        (record,) = data.rejected
        assert isinstance(record, BadRecord)
        assert path.name in str(record) and words in record.reason

    def test_picture_is_a_figure(self, fitted: Adapter) -> None:
        from matplotlib.figure import Figure

        for count in (1, 12):
            figure = fitted.picture(self.objects(12)[:count], title="a title")
            assert isinstance(figure, Figure)
            figure.canvas.draw()
        assert isinstance(fitted.picture(self.objects(12)), Figure)

    def test_trained_model_samples_the_same_after_saving(self, trained: Model, tmp_path: Path) -> None:
        condition = {"kind": ["a", "b", "a"], "size": [0.1, 0.2, 0.3]}
        samples = trained.sample(3, seed=5, evaluations=5, condition=condition)
        assert len(samples) == 3
        assert type(samples) is type(self.objects(12))
        path = tmp_path / "model.safetensors"
        trained.save(path)
        again = load(path)
        assert type(again.adapter) is type(trained.adapter)
        assert again.config == trained.config
        self.same(again.sample(3, seed=5, evaluations=5, condition=condition), samples)
        before, after = (m.draw(3, seed=5, evaluations=5).values for m in (trained, again))
        assert torch.equal(before, after)

    def test_samples_can_be_written_encoded_and_looked_at(self, trained: Model, tmp_path: Path) -> None:
        samples = trained.sample(2, evaluations=5)
        adapter = trained.adapter
        assert len(adapter.encode(samples)) == 2
        assert bool(np.isfinite(adapter.features(samples)).all())
        adapter.picture(samples)
        for name in self.files:
            adapter.write(str(tmp_path / name), samples)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_every_solver_draws_samples(self, trained: Model, solver: str) -> None:
        evaluations = 6 if is_fixed(SOLVERS[solver]) else None
        samples = trained.sample(2, solver=solver, evaluations=evaluations, condition={"kind": "a"})
        assert len(samples) == 2
        assert bool(trained.adapter.encode(samples).values.isfinite().all())

    @pytest.mark.parametrize("grid", GRIDS)
    def test_every_grid_spans_the_noise_levels(self, trained: Model, grid: str) -> None:
        levels = trained.grid("euler", 7, grid)
        assert len(levels) == 8 and bool((levels.diff() < 0).all())
        assert float(levels[-1]) == 0
        assert math.isclose(float(levels[0]), trained.levels.sigma_max, rel_tol=1e-9)
        assert math.isclose(float(levels[-2]), trained.levels.sigma_min, rel_tol=1e-9)
        assert len(trained.sample(2, grid=grid, evaluations=5)) == 2

    def test_guidance_steers_samples(self, trained: Model) -> None:
        how: dict[str, Any] = {"evaluations": 5, "condition": {"kind": "a"}}
        plain, same = (trained.draw(2, guidance=weight, **how).values for weight in (None, 1.0))
        torch.testing.assert_close(plain, same, rtol=1e-4, atol=1e-4)
        for guidance in (3.0, Guidance(3.0, 0.1, 5.0), Guidance(2.0, by=trained)):
            assert bool(trained.draw(2, guidance=guidance, **how).values.isfinite().all())

    def test_variations_stay_near_for_little_noise(self, trained: Model) -> None:
        objects = self.objects(12)[:2]
        little = max(0.01, 1.1 * trained.config.levels.sigma_min)  # no trajectory can start below the last level
        varied = vary(trained, objects, little, each=2, evaluations=3)
        assert len(varied) == 4 and type(varied) is type(objects)
        held, near = trained.adapter.encode(objects), trained.adapter.encode(varied)
        far = trained.adapter.encode(vary(trained, objects, 20.0, each=2, evaluations=3))
        there = held.values.repeat_interleave(2, 0)
        assert float((near.values - there).square().mean()) < float((far.values - there).square().mean())

    def test_interpolation_starts_and_ends_at_the_objects(self, trained: Model) -> None:
        one = self.objects(12)[:1]
        between = interpolate(trained, one, one, 3, steps=16, solver="heun", evaluations=79)
        assert len(between) == 3 and type(between) is type(one)
        held, drawn = (trained.adapter.encode(objects).values for objects in (one, between))
        assert float((drawn[0] - held[0]).abs().max()) < 0.1 * trained.denoiser.sigma_data

    def test_what_is_kept_is_kept(self, trained: Model) -> None:
        """The first half of an object, where objects are arrays or lists of them."""
        objects = self.objects(12)[3:4]
        mask = np.arange(len(objects[0])) < len(objects[0]) // 2 + 1
        mask = np.broadcast_to(mask.reshape(-1, *[1] * (np.ndim(objects[0]) - 1)), np.shape(objects[0]))
        masks = mask if isinstance(objects, np.ndarray) else [mask]
        samples = trained.sample(2, keep=Known(objects, masks, 2), evaluations=8)
        for sample in samples:
            np.testing.assert_allclose(sample[mask], objects[0][mask], rtol=1e-5, atol=1e-4)
        assert not np.allclose(samples[0], samples[1])

    def test_likelihoods_are_finite(self, trained: Model) -> None:
        found = log_likelihood(trained, self.objects(12)[:3], steps=4, probes=2)
        assert found.value.shape == (3,) and bool(np.isfinite(found.value).all())

    def test_distances_to_data_are_measured_at_several_dimensions(self, trained: Model, tmp_path: Path) -> None:
        """What `pfgm find-d` and `pfgm robustness` measure, of a network that has not learned its D."""
        data = Dataset(self.objects(20), {"kind": ["a", "b"] * 10, "size": np.linspace(0, 1, 60).reshape(20, 3)})
        diffusion = replace(trained, config=replace(trained.config, dimension=math.inf))
        distance = Distance(data)
        few: dict[str, Any] = {"seeds": (0,), "count": 4, "evaluations": 2}
        curve = sweep(diffusion, distance, Cells(tmp_path / "find-d.json"), dimensions=(64, math.inf), **few)
        assert set(curve.values) == {64, math.inf}
        batch = encoded(diffusion.adapter, data.take(np.arange(8)), diffusion.specs)
        assert math.isfinite(noise_errors(diffusion, batch, evaluations=2).second_moment)
        troubles = [replace(trouble, strengths=trouble.strengths[-1:]) for trouble in TROUBLES.values()]
        cells = Cells(tmp_path / "robustness.json")
        measure({math.inf: diffusion}, distance, cells, troubles=troubles, **few)
        assert {cell["key"]["trouble"] for cell in cells.cells} == {"none", *TROUBLES}

    def fresh(self, adapter: Adapter) -> nn.Module:
        """The tiny network with reproducible weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return adapter.network(self.network, SPECS)


def randomised(network: nn.Module) -> nn.Module:
    """The network with noise on all weights, because one that is zero before training would pass every test."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return network
