"""What one run of the fit loop does: loss, rates, clip, average, conditions, log, and the errors it stops with."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import make_config, make_data, make_denoiser
from torch import Tensor, nn

from modalities.vectors.adapter import Vectors
from pfgm_science.batch import Batch
from pfgm_science.condition import ESTIMATE, drop, without
from pfgm_science.config import TrainingConfig
from pfgm_science.denoiser import Preconditioned
from pfgm_science.errors import ConfigError, PfgmError
from pfgm_science.model import fit
from pfgm_science.objective import denoising_loss
from pfgm_science.training import LOG_FILE, Progress, Run, draw_dimensions, make_optimizers, read_log, train


class Recorder(nn.Module):
    """A network with one weight that keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))
        self.conditions: list[dict[str, Tensor]] = []
        self.inputs: list[Tensor] = []

    def forward(self, x: Tensor, noise_level: Tensor, condition: Any = None, mask: Any = None) -> Tensor:
        self.conditions.append(dict(condition or {}))
        self.inputs.append(x.detach())
        return self.weight * x


def weighted(slope: float):
    """An objective whose gradient on Recorder's one weight is the given number, whatever the data."""

    def objective(denoiser: Any, batch: Batch, x: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
        module = getattr(denoiser, "network", denoiser)
        return module.weight * slope * torch.ones(len(batch))

    return objective


def run_of(config: Any, data: Batch | None = None, **options: Any) -> Run:
    """The moving parts of a run, to look at them step by step."""
    parts = {"objective": weighted(1.0), "augment": None, "launcher": None, **options}
    return Run(Preconditioned(Recorder(), 0.6), data or make_data(), config, **parts)


def test_loss_falls_and_the_moments_of_the_samples_are_right() -> None:
    """4000 samples: 5 standard errors are 0.08 of the mean's unit and 5.6% of the standard deviation, the rest is the
    network's. A network that has learned nothing draws uncorrelated coordinates."""
    generator = np.random.default_rng(1)
    z = generator.standard_normal((4000, 2))
    mean, std = np.array([3.0, -200.0]), np.array([0.5, 40.0])
    rows = mean + std * np.stack([z[:, 0], 0.95 * z[:, 0] + math.sqrt(1 - 0.95**2) * z[:, 1]], axis=1)
    losses: list[float] = []
    model = fit(
        Vectors(),
        rows,
        network={"width": 32, "depth": 1, "embedding": 16},
        steps=300,
        batch_size=64,
        learning_rate=5e-3,
        ema_half_life=3000,
        warmup=20,
        on_step=lambda progress: losses.append(progress.loss),
    )
    assert np.mean(losses[-100:]) < 0.9 * np.mean(losses[:10])
    samples = model.sample(4000, seed=3)  # Heun at 35 evaluations adds 3% to the standard deviation
    np.testing.assert_allclose((samples.mean(0) - mean) / std, 0, atol=0.15)
    np.testing.assert_allclose(samples.std(0) / std, 1, atol=0.12)
    assert np.corrcoef(samples.T)[0, 1] == pytest.approx(0.95, abs=0.03)


def test_warm_up_and_cosine() -> None:
    rate = run_of(make_config(learning_rate=0.2, warmup=4, steps=10)).learning_rate
    cosine = [0.2 * 0.5 * (1 + math.cos(math.pi * step / 10)) for step in range(11)]
    assert [rate(step) for step in range(4)] == pytest.approx([cosine[k] * (k + 1) / 4 for k in range(4)])
    assert [rate(step) for step in range(4, 11)] == pytest.approx(cosine[4:])
    assert rate(10) == pytest.approx(0, abs=1e-12)
    constant = run_of(make_config(learning_rate=0.2, warmup=0, steps=10, decay="constant")).learning_rate
    assert [constant(step) for step in (0, 5, 10)] == [0.2, 0.2, 0.2]


def test_the_log_tells_the_rate_that_each_step_had(tmp_path: Path) -> None:
    config = make_config(steps=5, warmup=2, learning_rate=0.01)
    train(make_denoiser(config), make_data(), config, folder=tmp_path)
    logged = [entry["learning_rate"] for entry in read_log(tmp_path / LOG_FILE)]
    assert logged == pytest.approx([run_of(config).learning_rate(step) for step in range(5)])


@pytest.mark.parametrize(("clip", "gradient", "expected"), [(0.5, 30.0, 0.5), (50.0, 30.0, 30.0), (0.0, 30.0, 30.0)])
def test_clip_bounds_the_gradient(clip: float, gradient: float, expected: float) -> None:
    run = run_of(make_config(clip=clip), objective=weighted(gradient))
    run.advance()
    (parameter,) = run.denoiser.parameters()
    assert parameter.grad is not None
    assert float(parameter.grad) == pytest.approx(expected, rel=1e-5)


def test_average_has_the_half_life_that_was_asked_for() -> None:
    """By hand: each step halves the distance batch / h times, h = min(half-life, 5% of the samples seen)."""
    run = run_of(make_config(batch_size=10, ema_half_life=4, steps=100, decay="constant", warmup=0, learning_rate=0.1))
    (parameter,) = run.denoiser.parameters()
    expected = parameter.item()
    for step in range(1, 21):
        run.advance()
        half_life = min(4, 0.05 * 10 * step)
        expected = parameter.item() + (expected - parameter.item()) * 0.5 ** (10 / half_life)
        assert float(run.average[0]) == pytest.approx(expected, rel=1e-5)
    assert float(run.average[0]) != pytest.approx(parameter.item(), rel=1e-3)
    assert next(run.averaged().parameters()).item() == run.average[0].item()


def test_no_half_life_keeps_the_last_weights() -> None:
    config = make_config(ema_half_life=0, steps=4)
    run = run_of(config)
    run.advance()
    assert torch.equal(run.average[0], next(run.denoiser.parameters()))


def test_every_sample_is_seen_once_a_pass_and_parts_share_a_step() -> None:
    config = make_config(batch_size=12, accumulation=3)
    run = run_of(config, make_data(40))
    seen: list[int] = []
    for step in range(10):
        run.step = step
        seen += [int(i) for part in range(3) for i in run._indices(part)]
    assert [sorted(seen[k : k + 40]) for k in (0, 40, 80)] == [list(range(40))] * 3
    assert seen[:40] != seen[40:80]
    whole = run_of(make_config(batch_size=12), make_data(40))
    assert whole._indices(0).tolist() == seen[:12]


def test_more_samples_a_step_than_there_are() -> None:
    run = run_of(make_config(batch_size=10), make_data(3))
    counts = np.bincount(run._indices(0).numpy(), minlength=3)
    assert sorted(counts.tolist()) == [3, 3, 4]


def test_every_part_and_step_has_noise_of_its_own() -> None:
    run = run_of(make_config(batch_size=12, accumulation=2), Batch(torch.ones(40, 3)), objective=_forward)
    for _ in range(2):
        run.advance()
    inputs = torch.cat(run.denoiser.network.inputs)
    assert len(inputs) == 24
    assert len(inputs.unique(dim=0)) == 24


def test_accumulated_loss_is_the_mean_over_the_parts(tmp_path: Path) -> None:
    config = make_config(accumulation=3, steps=1)
    run = run_of(config, objective=weighted(2.0))
    assert run.advance() == pytest.approx(0.5 * 2.0)
    (parameter,) = run.denoiser.parameters()
    assert parameter.grad is not None
    assert float(parameter.grad) == pytest.approx(1.0)  # 2, clipped at 1


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_not_a_number_stops_with_step_and_samples(optimizer: str, tmp_path: Path) -> None:
    data = make_data(40)
    values = data.values.clone()
    values[17, 1] = math.nan
    config = make_config(optimizer=optimizer, checkpoint_every=1)
    done: list[Progress] = []
    named = r"the loss became nan at step \d+ \(samples [\d, ]*\b1017\b.*largest value is nan"
    with pytest.raises(PfgmError, match=named):
        train(
            make_denoiser(config),
            Batch(values, condition=data.condition),
            config,
            folder=tmp_path,
            rows=range(1000, 1040),  # as the user counts them
            on_step=done.append,
        )
    state = read_log(tmp_path / LOG_FILE)[-1]["step"]
    assert state == len(done) < 12
    assert not any(entry["loss"] != entry["loss"] for entry in read_log(tmp_path / LOG_FILE))


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(clip: float) -> None:
    def objective(denoiser: Any, batch: Batch, x: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
        # finite, with an infinite slope
        return (denoiser.network.weight - 0.5).abs().sqrt() * torch.ones(len(batch))

    run = run_of(make_config(clip=clip), objective=objective)
    with pytest.raises(PfgmError, match=r"the gradient became (inf|nan) at step 1"):
        run.advance()
    assert next(run.denoiser.parameters()).item() == 0.5


def test_conditions_are_dropped_at_the_asked_rate() -> None:
    """Binomial with 4800 draws: 5 standard errors are 0.033."""
    run = run_of(make_config(condition_dropout=0.3, steps=40, batch_size=120), objective=_forward)
    for _ in range(40):
        run.advance()
    labels = torch.cat([condition["label"] for condition in run.denoiser.network.conditions])
    assert float((labels == -1).double().mean()) == pytest.approx(0.3, abs=0.033)


def test_no_dropout_keeps_and_full_dropout_drops_all() -> None:
    generator = torch.Generator().manual_seed(0)
    condition = {"label": torch.arange(5), "size": torch.ones(5, 2)}
    kept, gone = drop(condition, 0.0, generator), drop(condition, 1.0, generator)
    assert kept == condition
    assert gone is not None
    assert gone["label"].tolist() == [-1] * 5
    assert bool(gone["size"].isnan().all())


def test_a_network_for_many_dimensions_is_told_which() -> None:
    run = run_of(
        make_config(dimension_range=(2, 200), condition_dropout=1.0, steps=20, batch_size=60), objective=_forward
    )
    for _ in range(20):
        run.advance()
    features = torch.cat([condition["dimension"] for condition in run.denoiser.network.conditions])
    assert bool(features.isfinite().all())  # never dropped
    infinite = (features[:, 1] == 0).double().mean()
    assert float(infinite) == pytest.approx(1 / 8, abs=5 * math.sqrt(7 / 64 / 1200))  # 5 standard errors
    D = features[:, 1][features[:, 1] > 0].double() ** -2 - 1
    assert float(D.min()) > 2 - 1e-4 and float(D.max()) < 200.1


def test_dimensions_are_drawn_log_uniformly() -> None:
    D = draw_dimensions(20_000, (1.0, 100.0), torch.Generator().manual_seed(0))
    finite = D[D.isfinite()].log() / math.log(100)
    assert float(D.isinf().double().mean()) == pytest.approx(1 / 8, abs=0.012)  # 5 standard errors
    assert float(finite.mean()) == pytest.approx(0.5, abs=0.011)
    assert float(finite.min()) >= 0 and float(finite.max()) <= 1


def test_validation_is_logged_per_noise_level_and_repeats(tmp_path: Path) -> None:
    config, data = make_config(steps=6, validate_every=2), make_data()
    train(make_denoiser(config), data, config, validation=data[:7], folder=tmp_path)
    logged = [entry for entry in read_log(tmp_path / LOG_FILE) if entry["event"] == "validation"]
    assert [entry["step"] for entry in logged] == [2, 4, 6]
    levels = [float(level) for level in logged[0]["levels"]]
    assert len(levels) == 8 and levels == sorted(levels)
    # the middle of the training levels: exp(-1.2), scaled by sigma_data / 0.5
    assert math.sqrt(levels[3] * levels[4]) == pytest.approx(math.exp(-1.2) * 0.6 / 0.5, rel=1e-3)
    assert all(math.isfinite(value) and value > 0 for value in logged[-1]["levels"].values())
    run = run_of(config, objective=_forward)
    assert run.validate(data[:7]) == run.validate(data[:7])
    assert run.denoiser.training


def test_validation_looks_at_all_classes_of_sorted_data() -> None:
    values = torch.arange(1000.0)[:, None].expand(1000, 3)
    run = run_of(make_config(), Batch(values), objective=_forward)
    seen: list[Tensor] = []
    run.objective = lambda d, batch, x, sigma, s: seen.append(batch.values) or torch.zeros(len(batch))
    run.validate(Batch(values), bins=1, most=100)
    assert len(seen[0]) <= 100
    assert float(seen[0].max()) > 980


def test_random_numbers_of_the_caller_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(Vectors(), make_data().values.numpy(), steps=2, network={"width": 8, "depth": 1, "embedding": 8})
    assert torch.equal(torch.rand(3), expected)


def test_objective_and_augmentation_are_used() -> None:
    config = make_config(steps=1, condition_dropout=0.0)
    calls: list[Batch] = []

    def augment(batch: Batch, generator: torch.Generator) -> Batch:
        return Batch(batch.values + 100, batch.mask, batch.condition)

    def objective(denoiser: Any, batch: Batch, x: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
        calls.append(batch)
        return weighted(1.0)(denoiser, batch, x, sigma, weight)

    run_of(config, objective=objective, augment=augment).advance()
    assert float(calls[0].values.min()) > 50


def test_masked_values_carry_no_noise() -> None:
    values = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(6, 5)
    mask[:, 3:] = 0
    run = run_of(make_config(batch_size=6), Batch(values * mask, mask), objective=_forward)
    run.advance()
    assert bool((run.denoiser.network.inputs[0][:, 3:] == 0).all())
    assert bool((run.denoiser.network.inputs[0][:, :3] != 0).all())


def test_no_data() -> None:
    config = make_config()
    with pytest.raises(PfgmError, match="no training data"):
        train(make_denoiser(config), make_data()[:0], config)


def test_muon_takes_matrices_and_adamw_the_rest() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 3))
    muon, adamw = make_optimizers(module, TrainingConfig(optimizer="muon"))
    assert [type(o).__name__ for o in (muon, adamw)] == ["Muon", "AdamW"]
    assert [tuple(p.shape) for p in muon.param_groups[0]["params"]] == [(3, 2)]
    assert len(adamw.param_groups[0]["params"]) == 3


def test_muon_needs_a_torch_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ConfigError, match=r"needs torch >= 2\.9"):
        make_optimizers(nn.Linear(2, 2), TrainingConfig(optimizer="muon"))


def test_full_disk_under_the_log_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None: ...

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    config = make_config(steps=2)
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda p, mode="r", *a, **k: Full() if mode == "ab" else real(p, mode, *a, **k))
    with pytest.raises(PfgmError, match=r"log\.jsonl: cannot be written \(No space left"):
        train(make_denoiser(config), make_data(), config, folder=tmp_path)


def test_log_lines_that_are_not_whole_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_text(json.dumps({"event": "train", "step": 1, "loss": 2.0}) + '\n[3]\n7\n{"event": "tr')
    assert read_log(tmp_path / LOG_FILE) == [{"event": "train", "step": 1, "loss": 2.0}]


def test_tensorboard_has_the_same_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = make_config(steps=3)
    train(make_denoiser(config), make_data(), config, folder=tmp_path)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    shown = [event.value for event in board.Scalars("train/loss")]
    assert shown == pytest.approx([entry["loss"] for entry in read_log(tmp_path / LOG_FILE)], rel=1e-5)


def _forward(denoiser: Any, batch: Batch, x: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
    """A loss that calls the network, so that Recorder sees what it is given."""
    return denoiser(x, sigma, batch.condition, batch.mask).square().flatten(1).mean(1)


def test_half_of_the_steps_show_the_network_its_own_estimate() -> None:
    """200 steps: fewer than 70 or more than 130 with an estimate has a chance of 2e-5 by luck; the seed is fixed."""
    run = run_of(make_config(steps=200), objective=denoising_loss)
    network = run.denoiser.network
    network.self_conditioning = True
    for _ in range(200):
        run.advance()
    shown = [ESTIMATE in conditions for conditions in network.conditions]
    # a step with an estimate calls the network twice, first without
    assert 70 <= sum(shown) <= 130 and len(shown) == 200 + sum(shown)
    place = shown.index(True)
    estimate, x = network.conditions[place][ESTIMATE], network.inputs[place]
    assert not shown[place - 1] and torch.equal(network.inputs[place - 1], x)
    assert estimate.shape == x.shape and not estimate.requires_grad


def test_validation_shows_no_estimate() -> None:
    run = run_of(make_config(steps=1), objective=denoising_loss)
    run.denoiser.network.self_conditioning = True
    run.validate(make_data())
    assert not any(ESTIMATE in conditions for conditions in run.denoiser.network.conditions)


def test_an_estimate_is_kept_where_conditions_are_dropped() -> None:
    estimate = torch.randn(3, 2)
    condition = {"label": torch.tensor([0, 1, 2]), ESTIMATE: estimate}
    for left in (without(condition), drop(condition, 1.0, torch.Generator().manual_seed(0))):
        assert left is not None and torch.equal(left[ESTIMATE], estimate) and left["label"].tolist() == [-1] * 3
