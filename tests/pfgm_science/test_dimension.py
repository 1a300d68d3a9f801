"""What a curve of distance against D says, how it is found, and what a cut search loses."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from command import Pfgm

from modalities.vectors.adapter import Vectors
from modalities.vectors.datasets import moons
from pfgm_science import cli
from pfgm_science import search as search_module
from pfgm_science.batch import Batch
from pfgm_science.cells import Cells
from pfgm_science.dimension import ANALYSIS, DIMENSIONS, WAYS, Curve, agreement, page, regret, sweep, told
from pfgm_science.distance import MEASURES, Distance
from pfgm_science.errors import ConfigError, NotFinite
from pfgm_science.exact import Gaussian
from pfgm_science.model import fit
from pfgm_science.noise import StudentT
from pfgm_science.noise_error import HARMLESS, NoiseErrors, errors_of, noise_errors
from pfgm_science.progress import Update, Watch, silent
from pfgm_science.report import render
from pfgm_science.robustness import TROUBLES
from pfgm_science.schedule import karras
from pfgm_science.search import Search
from pfgm_science.solvers import State

INF = math.inf
TINY: dict[str, Any] = {"steps": 8, "batch_size": 16, "network": {"width": 8, "depth": 1}}


def curve(values: dict[float, list[float]]) -> Curve:
    return Curve(ANALYSIS, {D: dict(enumerate(found)) for D, found in values.items()}, 1.0)


def test_the_best_and_what_cannot_be_told_from_it() -> None:
    # 8 is farther by 1 at every seed; 64 and inf differ by noise of both signs.
    found = curve({8: [2.0, 3.1, 2.0], 64: [1.0, 2.0, 1.1], INF: [1.1, 1.95, 1.12]})
    assert found.best == 64
    assert found.alike == [64, INF]
    assert found.interval == (64, INF)
    assert "D = ∞ cannot be told" in str(found)
    page_text = render(page(found, "Which D?", {"data": "none"}))
    assert "∞" in page_text and "Distance against D" in page_text


def test_what_is_told_apart_may_lie_between() -> None:
    found = curve({8: [1.0, 2.0, 3.0], 64: [2.0, 3.01, 4.0], INF: [1.0, 2.01, 2.995]})
    assert found.alike == [8, INF]
    assert "64" not in str(found)


def test_seeds_are_compared_with_their_own_kind() -> None:
    # A spread by a factor of 10 over seeds that all D share hides nothing.
    found = curve({8: [1.0, 10.0, 100.0], 64: [1.5, 14.0, 160.0]})
    assert found.alike == [8]


def test_distances_that_may_be_negative_are_compared_as_they_are() -> None:
    """A kernel distance is 0 on average where nothing differs."""
    found = curve({8: [0.9, 1.0, 1.1], 64: [-0.01, 0.02, 0.01], INF: [0.01, -0.02, 0.0]})
    assert found.best == INF and found.alike == [64, INF]


@pytest.mark.parametrize("wild", [[40.0, 400.0, 4000.0], [9.0, 13.0, 11.0]])
def test_a_wild_dimension_far_off_hides_nothing(wild: list[float]) -> None:
    calm = {8: [3.0, 3.1, 3.05], 64: [1.0, 1.05, 1.02], INF: [2.0, 2.1, 2.05]}
    for seeds in (2, 3):
        found = curve({2: wild[:seeds], **{D: values[:seeds] for D, values in calm.items()}})
        assert found.alike == [64], seeds


def test_two_seeds_tell_apart_what_differs_by_much() -> None:
    """Seven D, distances that spread by a tenth of their size: thrice as far is told apart, a tenth more is not."""
    rng = np.random.default_rng(0)
    at = np.array([1.0, 1.1, 2.0, 3.0, 4.0, 6.0, 9.0])
    alike = []
    for _ in range(200):
        x = at[:, None] * np.exp(0.1 * rng.standard_normal((7, 2)))
        alike += curve({2.0**k: row.tolist() for k, row in enumerate(x)}).alike
    assert alike.count(2.0) > 180
    assert alike.count(8.0) < 40


def test_a_dimension_that_is_as_good_but_wilder_is_alike_in_nine_of_ten_cases() -> None:
    """Its own spread counts: five times that of the others."""
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(400):
        x = 10 + rng.standard_normal((5, 3)) * [[0.3], [0.3], [0.3], [0.3], [1.5]]
        right += 16.0 in curve({2.0**k: row.tolist() for k, row in enumerate(x)}).alike
    assert right >= 350


def test_equal_dimensions_are_alike_in_95_of_100_cases() -> None:
    """Seven D of one law, three seeds: 400 draws, of which 370 or more are right but for luck of 1 in 200."""
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(400):
        x = rng.standard_normal((7, 3)) + 5 * rng.standard_normal(3)
        found = curve({2.0**k: row.tolist() for k, row in enumerate(x)})
        right += 1.0 in found.alike
    assert right >= 370


def test_one_seed_tells_nothing_apart() -> None:
    assert curve({8: [1.0], 64: [5.0]}).interval == (8, 64)
    assert "told" not in str(curve({8: [1.0]}))


def test_a_curve_needs_a_point() -> None:
    with pytest.raises(NotFinite, match="no D gives samples that are finite"):
        curve({})
    with pytest.raises(NotFinite, match="no D gives samples that are finite"):
        curve({8: [INF], 64: [INF, 1.0]})


def test_distances_that_are_not_finite_are_the_worst() -> None:
    found = curve({1: [INF, 1.0], 8: [2.0, 2.1], 64: [2.0, 2.2]})
    assert found.best == 8
    assert found.alike == [8, 64]
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (written["best"], written["values"]["1"]["0"]) == (8, "inf")
    render(page(found, "Which D?", {}))


def test_agreement_and_regret() -> None:
    truth = curve({8: [3.0], 64: [1.0], INF: [2.0]})
    assert agreement(truth, curve({8: [30.0], 64: [10.0], INF: [20.0]})) == pytest.approx(1)
    assert agreement(truth, curve({8: [1.0], 64: [3.0], INF: [2.0]})) == pytest.approx(-1)
    assert math.isnan(agreement(truth, curve({8: [1.0]})))
    assert regret(64, truth) == 0
    assert regret(INF, truth) == 1
    assert regret(7, truth) == 2  # the nearest D that was measured stands for it
    assert regret(1e7, truth) == 1


@pytest.mark.parametrize(("variance", "bias"), [(1.3, 0.262), (1.0, 0.0), (0.8, -0.223)])
def test_wrong_noise_is_measured(variance: float, bias: float) -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(400, 256, generator=generator, dtype=torch.float64)
    noise = torch.randn(400, 256, generator=generator, dtype=torch.float64)
    denoiser = Gaussian(torch.ones(256, dtype=torch.float64), INF)
    state = State(y + 3 * math.sqrt(variance) * noise, 3.0)
    found = errors_of([state], denoiser, Batch(y), generator)
    # One trajectory tells its noise to about sqrt(2/256) = 0.09; 400 to 0.005. The curve is drawn through few points.
    assert found.bias[0] == pytest.approx(bias, abs=0.03)
    assert abs(found.excess[0]) < 0.08**2
    assert found.noise[0] == pytest.approx(math.sqrt(2 / 256), rel=0.3)


def test_noise_of_the_family_is_found_to_vary_by_its_D() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(1000, 512, generator=generator, dtype=torch.float64)
    x = StudentT(50.0).perturb(y, 3.0, generator=generator)
    denoiser = Gaussian(torch.ones(512, dtype=torch.float64), INF)
    found = errors_of([State(x, 3.0)], denoiser, Batch(y), generator)
    # log(1 / kappa) has mean log(25) - psi(25) = 0.020 and standard deviation sqrt(psi1(25)) = 0.202 at D = 50.
    assert (found.bias[0], found.spread[0]) == pytest.approx((0.020, 0.202), abs=0.03)
    assert found.first_guess == pytest.approx(48, abs=14)


def test_no_errors_are_forgiven_at_every_dimension() -> None:
    """Noise of exactly the nominal level at ten levels, N = 64, 64 trajectories: chance alone suggests a D once in 40.

    Where there are errors of a tenth, 256 trajectories find them: N 0.015 / (0.095 - 0.015) = 12.
    """
    generator = torch.Generator().manual_seed(0)
    denoiser, levels = Gaussian(torch.ones(64, dtype=torch.float64), INF), np.geomspace(20, 0.5, 10)

    def found(count: int, variance: float) -> NoiseErrors:
        y = torch.randn(count, 64, generator=generator, dtype=torch.float64)
        noise = math.sqrt(variance)
        states = [State(StudentT(INF).perturb(y, s * noise, generator=generator), s) for s in levels.tolist()]
        return errors_of(states, denoiser, Batch(y), generator)

    assert found(64, 1.0).dimension == INF
    assert found(256, 1.1).dimension == pytest.approx(12, abs=4)


def test_trajectories_without_errors_suggest_no_dimension() -> None:
    """The errors of the instrument along one trajectory are alike: for Gaussian data the same at every level.

    25 sets of 64 exact trajectories: each suggests a D by chance once in 40 times, more than three of them do once in
    300 seeds. The resolution is two standard deviations of what is found, which 25 draws tell to 14%.
    """
    denoiser, levels, found = Gaussian(torch.ones(64, dtype=torch.float64), INF), karras(18)[:-1].tolist(), []
    for seed in range(25):
        generator = torch.Generator().manual_seed(seed)
        y, z = (torch.randn(64, 64, generator=generator, dtype=torch.float64) for _ in range(2))
        states = [State(math.sqrt(s**2 + 1) * z, s) for s in levels]  # how x flows where the data are N(0, 1)
        found.append(errors_of(states, denoiser, Batch(y), generator))
    assert sum(math.isfinite(errors.dimension) for errors in found) <= 3
    deviation = np.std([errors._second_moment for errors in found], ddof=1)
    assert np.mean([errors.resolution for errors in found]) == pytest.approx(2 * deviation, rel=0.4)


def errors_of_size(bias: float, deviation: float, N: float = 100) -> NoiseErrors:
    """Two levels, a thousand trajectories, an instrument that is exact."""
    each = np.tile([-deviation, deviation], 500)
    return NoiseErrors(N, (1.0, 0.1), np.stack([bias + each, each - bias]), np.zeros((2, 1000)))


def test_the_suggested_dimension_leaves_a_harmless_share_of_the_error() -> None:
    found = errors_of_size(0.3, 0.4)
    D = found.dimension
    assert 0.5 * D / (100 + D) == pytest.approx(HARMLESS, rel=1e-3)


def test_errors_along_the_way_are_told_as_what_they_are() -> None:
    said = told(errors_of_size(0.3, 0.4))
    assert "off by 50%" in said and "the steps alone" in said and "D up to 3.1 would correct" in said
    assert "no D would correct that at N = 2" in told(errors_of_size(0.3, 0.4, N=2))  # D = 0.06 is none
    assert "off by 1%, which needs no correction" in told(errors_of_size(0.0, 0.01))
    luck = np.random.default_rng(0).standard_normal((2, 2, 100))
    assert "cannot be told from none" in told(NoiseErrors(100, (1.0, 0.1), *luck))
    few = replace(curve({8: [1.0, 1.1], 64: [2.0, 2.2]}), errors=errors_of_size(0.3, 0.4, N=2))
    written = json.loads(json.dumps(few.to_json(), allow_nan=False))
    assert written["errors along the way"]["corrected up to"] is None
    assert "The curve above decides" in render(page(few, "Which D?", {}))


def test_only_what_was_asked_for_is_compared(tmp_path: Path) -> None:
    data = moons(count=100, seed=0)
    model = fit(Vectors(), data, dimension=INF, **TINY)
    distance, cells = Distance(data), Cells(tmp_path / "cells.json")
    sweep(model, distance, cells, dimensions=(8.0, INF), seeds=(0, 1), count=20, evaluations=4)
    found = sweep(model, distance, cells, dimensions=(64.0, INF), seeds=(0,), count=20, evaluations=4)
    assert {D: list(values) for D, values in found.values.items()} == {64.0: [0], INF: [0]}


def test_what_was_stopped_early_is_named() -> None:
    said = str(replace(curve({8: [1.0, 1.1], 64: [2.0, 2.2]}), stopped={512.0: 9.0, INF: 8.0}))
    assert "D = 512, ∞ stopped early, and not compared" in said


def test_analysis_of_a_model(tmp_path: Path) -> None:
    data = moons(count=100, seed=0)
    model = fit(Vectors(), data, dimension=INF, **TINY)
    distance, cells = Distance(data), Cells(tmp_path / "cells.json")
    found = sweep(model, distance, cells, dimensions=(8.0, INF), seeds=(0, 1), count=20, evaluations=4)
    assert list(found.values) == [8.0, INF] and found.seconds > 0
    assert sweep(model, distance, cells, dimensions=(8.0, INF), seeds=(0, 1), count=20).values == found.values
    batch = model.adapter.encode(data.objects)[:32]
    errors = noise_errors(model, batch, evaluations=5)
    assert np.isfinite(errors.bias).all() and all(a > b for a, b in zip(errors.levels, errors.levels[1:], strict=False))
    alone = fit(Vectors(), data, dimension=64, **TINY)
    with pytest.raises(ConfigError, match="D = 64 alone"):
        sweep(alone, distance, cells)


def searching(folder: Path, watch: Watch = silent) -> Search:
    data = moons(count=100, seed=0)
    settings = {**TINY, "validation": 0.0, "warmup": 0}
    return Search(Vectors(), data, Distance(data), folder, settings, 20, 4, watch=watch)


class Killed(BaseException):
    """What no code catches, as a kill."""


def cut_at(trial: int, step: int) -> Watch:
    """Progress that ends the process at a step of a trial, counted from 1."""
    begun: list[str] = []

    @contextmanager
    def watch(description: str) -> Iterator[Update]:
        begun.append(description)

        def update(done: int, total: int) -> None:
            if (len(begun), done) == (trial, step):
                raise Killed

        yield update

    return watch


@pytest.mark.parametrize(("trial", "step"), [(1, 1), (2, 1), (2, 3), (3, 7)])
def test_a_killed_search_loses_the_running_trial_alone(tmp_path: Path, trial: int, step: int) -> None:
    whole = searching(tmp_path / "whole").run((8.0, 64.0, INF), (0, 1))
    assert whole.values and all(set(found) == {0, 1} for found in whole.values.values())
    assert {*whole.values, *whole.stopped} == {8.0, 64.0, INF}
    with suppress(Killed):
        searching(tmp_path / "cut", cut_at(trial, step)).run((8.0, 64.0, INF), (0, 1))
    after: list[str] = []

    @contextmanager
    def noted(description: str) -> Iterator[Update]:
        after.append(description)
        yield lambda done, total: None

    found = searching(tmp_path / "cut", noted).run((8.0, 64.0, INF), (0, 1))
    assert (found.values, found.stopped) == (whole.values, whole.stopped)
    assert "D = 64, seed 0" not in after or trial == 1  # the middle was done, and is not done again
    after.clear()
    assert searching(tmp_path / "cut", noted).run((8.0, 64.0, INF), (0, 1)).values == whole.values
    assert after == []


def test_a_search_killed_while_it_judges_judges_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = searching(tmp_path / "whole").run((8.0, 64.0, INF), (0,))
    calls = 0
    measure = Distance.__call__

    def killed(self: Distance, *words: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 4:  # the first rung of the second trial, after two rungs and the end of the first
            raise Killed
        return measure(self, *words)

    monkeypatch.setattr(Distance, "__call__", killed)
    with pytest.raises(Killed):
        searching(tmp_path / "cut").run((8.0, 64.0, INF), (0,))
    found = searching(tmp_path / "cut").run((8.0, 64.0, INF), (0,))
    assert (found.values, found.stopped) == (whole.values, whole.stopped)


def test_a_dimension_whose_training_fails_is_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*words: Any, **settings: Any) -> Any:
        if settings["dimension"] == 8:
            raise NotFinite("the loss became nan")
        return fit(*words, **settings)

    monkeypatch.setattr(search_module, "fit", failing)
    found = searching(tmp_path).run((8.0, 64.0, INF), (0,))
    assert found.values[8.0] == {0: INF} and found.best != 8


def test_a_search_does_not_mix_settings(tmp_path: Path) -> None:
    searching(tmp_path).run((8.0,), (0,))
    other = searching(tmp_path)
    with pytest.raises(ConfigError, match="count"):
        Search(other.adapter, other.data, other.distance, tmp_path, other.settings, 30, 4).run((8.0,), (0,))


def test_trials_of_living_processes_are_left_alone(tmp_path: Path) -> None:
    import optuna

    looked = searching(tmp_path)
    looked.run((8.0,), (0,))
    study = looked._study(optuna)
    search_module._queue(study, [(64.0, 0)])
    trial = looked._next(optuna, study, (0,))
    assert not looked._hold(trial.number)
    with looked._held(trial):
        pass
    assert study.trials[trial.number].state is optuna.trial.TrialState.RUNNING
    assert looked._next(optuna, study, (0,)).number == trial.number  # whoever comes next goes on with it


def test_nothing_is_hopeless_in_the_warm_up(tmp_path: Path) -> None:
    import optuna

    looked = searching(tmp_path)
    warm = replace(looked, settings={**looked.settings, "warmup": looked.settings["steps"]})
    assert set(warm.run((8.0, 64.0, INF), (0,)).values) == {8.0, 64.0, INF}
    assert not any(trial.intermediate_values for trial in warm._study(optuna).trials)


def test_what_chance_parts_is_not_hopeless() -> None:
    class Study:
        def get_trials(self, deepcopy: bool) -> list[SimpleNamespace]:
            return [
                SimpleNamespace(number=i, intermediate_values={4: value}) for i, value in enumerate((1.0, 1.2, 2.0))
            ]

    better = search_module._among_the_better
    assert better(Study(), 9, 4, 1.09) and not better(Study(), 9, 4, 1.3)
    assert better(Study(), 9, 4, 0.9)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 13])
def test_every_rung_is_reached(tmp_path: Path, steps: int) -> None:
    import optuna

    looked = searching(tmp_path)
    looked = replace(looked, settings={**looked.settings, "steps": steps, "checkpoint_every": 7})
    looked.run((8.0,), (0,))
    assert looked.work() == (
        steps,
        1 + len({step for step in (max(1, steps // 4), 2 * max(1, steps // 4)) if step <= steps}),
    )
    first = max(1, steps // 4)
    reached = set(looked._study(optuna).trials[0].intermediate_values)
    assert reached == {step for step in (first, 2 * first) if step <= steps}


@pytest.mark.parametrize("way", ["one-network", "analysis", "search"])
def test_command_on_data(pfgm: Pfgm, tmp_path: Path, way: str) -> None:
    words = ["find-d", "vectors", "moons", "--way", way, "--steps", 8, "--dimensions", "8,64,inf", "--count", 20]
    more = ["--seeds", 2, "--evaluations", 4, "--set", "network.width=8", "--out", tmp_path]
    answer = pfgm(*words, *more)
    assert answer.code == 0, answer.err
    assert "best D = " in answer.out and ("errors along the way" in answer.out) == (way == "analysis")
    assert json.loads((tmp_path / way / "result.json").read_text())["way"] == way
    assert "Distance against D" in (tmp_path / way / "report.html").read_text()
    assert pfgm(*words, *more).out == answer.out


def test_ways_stand_beside_each_other(pfgm: Pfgm, tmp_path: Path) -> None:
    words = ["find-d", "vectors", "moons", "--steps", 8, "--dimensions", "8,64,inf", "--count", 20, "--seeds", 1]
    words += ["--evaluations", 4, "--set", "network.width=8", "--out", tmp_path]
    assert pfgm(*words).code == 0
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.*")) if path.is_file()}
    other = pfgm(*words, "--way", "analysis")
    assert other.code == 0, other.err
    assert {path: path.read_bytes() for path in before} == before
    assert {path.parent.name for path in tmp_path.rglob("cells.json")} == {"one-network", "analysis"}


def test_settings_that_a_way_cannot_have_are_refused_before_data_are_read(pfgm: Pfgm, tmp_path: Path) -> None:
    words = ["find-d", "vectors", tmp_path / "absent.csv", "--set"]
    seen = pfgm(*words, "preconditioning=seen")
    assert seen.code == 2 and "find-d trains one network for every D" in seen.err and "--way search" in seen.err
    assert "dimension_range" not in seen.err
    matched = pfgm(*words, "preconditioning=matched", "--way", "search")
    assert matched.code == 2 and "D = 2" in matched.err  # which would be the last to be trained
    unknown = pfgm(*words, "preconditioning=none")
    assert unknown.code == 2 and "edm, matched, seen" in unknown.err


@pytest.mark.parametrize("command", ["find-d", "robustness"])
def test_other_data_of_the_same_name_are_other_data(command: str, pfgm: Pfgm, tmp_path: Path) -> None:
    fit(Vectors(), moons(count=100, seed=0), dimension=INF, **TINY).save(tmp_path / "inf.safetensors")
    words = [command, tmp_path / "inf.safetensors", "--dimensions", "64,inf", "--count", 20, "--seeds", 1]
    words += ["--evaluations", 4, "--out", tmp_path / "page"]
    words += ["--troubles", "steps"] if command == "robustness" else []
    table = tmp_path / "rows.csv"
    for size in (1, 5):
        rows = size * np.random.default_rng(0).standard_normal((120, 2))
        np.savetxt(table, rows, delimiter=",", header="x,y", comments="")
        answer = pfgm(*words, "--data", table) if command == "robustness" else pfgm(*words[:2], table, *words[2:])
        assert answer.code == (0 if size == 1 else 2), answer.err
    assert "figures of another protocol" in answer.err and "compared with.of" in answer.err


def test_command_on_a_run(pfgm: Pfgm, tmp_path: Path) -> None:
    data = moons(count=100, seed=0)
    fit(Vectors(), data, dimension_range=(8, 64), **TINY).save(tmp_path / "range.safetensors")
    fit(Vectors(), data, dimension=64, **TINY).save(tmp_path / "alone.safetensors")
    words = ["--count", 20, "--seeds", 2, "--evaluations", 4]
    answer = pfgm("find-d", tmp_path / "range.safetensors", "moons", *words, "--out", tmp_path / "page")
    assert answer.code == 0, answer.err
    rows = [line.split()[0] for line in answer.out.splitlines() if line.strip()[:1] in "83162∞" and line.strip()]
    assert rows == ["8", "32", "64", "∞"]
    trained = pfgm("find-d", tmp_path / "range.safetensors", "moons", "--steps", 5)
    assert trained.code == 2 and "trained already" in trained.err
    alone = pfgm("find-d", tmp_path / "alone.safetensors", "moons", *words)
    assert alone.code == 2 and "D = 64 alone" in alone.err
    wrong = pfgm("find-d", tmp_path / "range.safetensors", "moons", "--way", "search")
    assert wrong.code == 2 and "modality and data" in wrong.err
    chosen = pfgm("find-d", "vectors", "moons", "--set", "dimension_range=[1,2]")
    assert chosen.code == 2 and "find-d chooses itself" in chosen.err
    lacking = pfgm("find-d", "vectors")
    assert lacking.code == 2 and "which data?" in lacking.err


def test_the_words_of_the_command_line_are_those_of_the_rooms() -> None:
    _, commands = cli._parsers()
    for name in ("find-d", "robustness"):
        parser = commands[name]
        actions = {action.dest: action for action in parser._actions}
        assert list(actions["measure"].choices or ()) == list(MEASURES)
        assert parser.get_default("default_dimensions") == DIMENSIONS
    assert list(actions["troubles"].type("step-errors,steps")) == ["step-errors", "steps"]  # type: ignore[operator]
    assert actions["troubles"].type(",".join(TROUBLES)) == list(TROUBLES)  # type: ignore[operator]
    assert tuple({a.dest: a for a in commands["find-d"]._actions}["way"].choices or ()) == WAYS
