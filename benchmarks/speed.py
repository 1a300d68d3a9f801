"""Speed, as ratios to a peer in the same run: the fastest of interleaved repeats of each, so that both see the same
machine, and what else runs on it counts for neither.

Peers: bare network calls; a bare training step; azula's and diffusers' samplers on the same network, noise and steps;
the Beta form of the noise in numpy, as first published; a Python process that prints help.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.runner import Benchmark, Table, machine, parser
from modalities.images.adapter import Images
from pfgm_science.batch import Batch
from pfgm_science.config import RunConfig, TrainingConfig
from pfgm_science.denoiser import Preconditioned
from pfgm_science.errors import PfgmError
from pfgm_science.model import Model
from pfgm_science.noise import StudentT
from pfgm_science.objective import denoising_loss
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import karras, log_uniform
from pfgm_science.solvers import FIXED, DPMSolver2M, Euler, Heun, Solver, StochasticHeun, solver_named
from pfgm_science.stochastic import Renewal
from pfgm_science.training import Run, make_optimizers

SHAPE = (28, 28, 1)
CALLS = 17  # of the network, in the loops
GOALS = {
    **{f"loop-{name}": 1.02 for name in FIXED},
    "loop-stochastic": 1.02,
    "compiled": 1.0,
    "bfloat16": 1.0,
    "training": 1.05,
    "azula": 1.0,
    "diffusers-euler": 1.0,
    "diffusers-dpm2m": 1.0,
    "noise": 0.1,
    "noise-bound": 0.1,
    "help": 0.3,
}

EXAMPLES = """  pfgm benchmark speed                             every ratio
  pfgm benchmark speed --only loop-heun noise"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark speed`."""
    measures: dict[str, Callable[[int], dict[str, Any]]] = {
        **{f"loop-{name}": partial(loop, name) for name in (*FIXED, StochasticHeun.name)},
        "compiled": partial(network, "compiled"),
        "bfloat16": partial(network, "bfloat16"),
        "training": training,
        "azula": azula,
        "diffusers-euler": diffusers_euler,
        "diffusers-dpm2m": diffusers_dpm2m,
        "noise": noise,
        "noise-bound": noise_bound,
        "help": help_seconds,
    }
    built = parser("speed", "Speed as ratios to peers in the same run (help: seconds).", EXAMPLES)
    built.add_argument("--only", nargs="+", choices=list(measures), default=list(measures))
    built.add_argument("--repeats", type=int, default=15, help="interleaved repeats a measure (default: %(default)s)")
    arguments = built.parse_args(argv)
    table = Table("speed", arguments.results)
    if arguments.again:
        for name in arguments.only:
            table.discard(measure=name)
    table.describe({"repeats": arguments.repeats}, command="pfgm benchmark speed", machine=machine())
    for name in arguments.only:
        try:
            figures = table.cell({"measure": name}, partial(_measured, measures[name], arguments.repeats, GOALS[name]))
        except PfgmError as error:
            print(f"{name:18s} left out: {error}")
            continue
        print(f"{name:18s} {figures['value']:.4f}  (goal <= {GOALS[name]:g}; {figures['what']})")
    return 0


def loop(name: str, repeats: int) -> dict[str, Any]:
    """A solver's loop over as many bare network calls: about 17, 16 images of 28 x 28, D = inf.

    One and the same network call varies by more from run to run than a loop adds to it. value is therefore taken apart:
    1 + the loop around a network that gives back its input / the bare calls, the fastest of each. low, high: the loop
    with the network over the bare calls, whole.
    """
    denoiser, x = _denoiser(), torch.randn(16, 1, 28, 28, dtype=torch.float64)
    inputs, level = x.float(), torch.zeros(16)
    solver = solver_named(name)
    if isinstance(solver, StochasticHeun):
        solver = solver.bound(Renewal(math.inf, denoiser, torch.Generator().manual_seed(0)))
    grid = karras(solver.steps(CALLS))
    calls = last(sample(denoiser, 80 * x, grid, solver=solver)).evaluations

    def bare() -> None:
        with torch.no_grad():
            for _ in range(calls):
                denoiser.network(inputs, level, None, None)

    whole = _ratio(
        lambda: last(sample(denoiser, 80 * x, grid, solver=solver)),
        bare,
        repeats,
        f"{name} loop over as many bare network calls",
    )
    around = Preconditioned(_Unchanged(), 0.5)
    alone = min(_seconds(lambda: last(sample(around, 80 * x, grid, solver=solver))) for _ in range(4 * repeats))
    return whole | {"value": 1 + alone / whole["peer_seconds"], "seconds": whole["peer_seconds"] + alone}


def network(way: str, repeats: int) -> dict[str, Any]:
    """The network compiled, or in low precision, over the plain one: 64 images of 28 x 28."""
    plain = Model(Images(*SHAPE), _denoiser(), RunConfig(adapter="images"))
    other = plain.compiled() if way == "compiled" else plain.at_precision(way)
    x, sigma = torch.randn(64, 1, 28, 28), torch.ones(64)

    def call(denoiser: Preconditioned) -> None:
        with torch.no_grad():
            denoiser(x, sigma)

    return _ratio(
        lambda: call(other.denoiser),
        lambda: call(plain.denoiser),
        repeats,
        f"{way} network over the plain one",
    )


def training(repeats: int) -> dict[str, Any]:
    """A training step over a bare forward, backward and optimiser step of the same network on the same batch."""
    data = Batch(torch.randn(512, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.5)
    config = RunConfig(adapter="images", dimension=128.0, training=TrainingConfig(steps=10**6, batch_size=64))
    run = Run(_denoiser(), data, config, denoising_loss, None, None)
    network = _denoiser().network.train()
    (optimizer,) = make_optimizers(network, config.training)
    x, level, y = data.values[:64], torch.zeros(64), data.values[64:128]

    def bare() -> None:
        optimizer.zero_grad(set_to_none=True)
        (network(x, level, None, None) - y).square().mean().backward()
        optimizer.step()

    return _ratio(lambda: run.advance(), bare, repeats, "training step over forward, backward, optimiser", inner=8)


def azula(repeats: int) -> dict[str, Any]:
    """Our Heun loop over azula's Heun sampler: the same denoiser, 8 steps of two evaluations, float32 in both."""
    try:
        from azula.denoise import Denoiser as AzulaDenoiser
        from azula.denoise import DiracPosterior
        from azula.noise import VESchedule
        from azula.sample import HeunSampler
    except ImportError as error:
        raise PfgmError(f"azula is not installed (pip install --no-deps azula): {error}") from None
    denoiser = _denoiser()

    class Wrapped(AzulaDenoiser):  # type: ignore[misc]
        schedule = VESchedule(sigma_min=0.002, sigma_max=80.0)

        def forward(self, x_t: Tensor, t: Tensor, **ignored: Any) -> Any:
            return DiracPosterior(mean=denoiser(x_t, self.schedule(t)[1].expand(len(x_t))))

    theirs = HeunSampler(Wrapped(), start=1.0, stop=0.0, steps=8, silent=True)
    x = 80 * torch.randn(16, 1, 28, 28)

    def peer() -> None:
        with torch.no_grad():
            theirs(x)

    grid = log_uniform(9)[:-1]
    return _ratio(lambda: last(sample(denoiser, x, grid, solver=Heun())), peer, repeats, "Heun loop over azula's")


def diffusers_euler(repeats: int) -> dict[str, Any]:
    """Our Euler loop over diffusers' EDMEulerScheduler: the same network, 9 steps."""
    return _against_diffusers("EDMEulerScheduler", Euler(), repeats)


def diffusers_dpm2m(repeats: int) -> dict[str, Any]:
    """Our DPM-Solver++(2M) loop over diffusers' EDMDPMSolverMultistepScheduler: the same network, 9 steps."""
    return _against_diffusers("EDMDPMSolverMultistepScheduler", DPMSolver2M(), repeats)


def _against_diffusers(name: str, solver: Solver, repeats: int) -> dict[str, Any]:
    try:
        import diffusers
    except ImportError as error:
        raise PfgmError(f"diffusers is not installed (pip install diffusers): {error}") from None
    denoiser, x = _denoiser(), 80 * torch.randn(16, 1, 28, 28)

    def peer() -> None:
        scheduler = getattr(diffusers, name)(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5)
        scheduler.set_timesteps(9)
        state = x
        with torch.no_grad():
            for t in scheduler.timesteps:
                scaled = scheduler.scale_model_input(state, t)
                output = denoiser.network(scaled, t.expand(len(x)), None, None)
                state = scheduler.step(output, t, state).prev_sample

    return _ratio(
        lambda: last(sample(denoiser, x, karras(9), solver=solver)),
        peer,
        repeats,
        f"{solver.name} loop over diffusers' {name}",
    )


def noise(repeats: int) -> dict[str, Any]:
    """Student-t noise over its Beta form in numpy: 256 samples of N = 3072, D = 128."""
    D, shape, sigma = 128.0, (256, 3072), np.full(256, 0.5)
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    student, levels = StudentT(D), torch.full((256,), 0.5)
    return _ratio(
        lambda: student.draw(shape, levels, generator=generator),
        lambda: beta_form(D, shape, sigma, rng),
        repeats,
        "noise draw over the Beta form in numpy",
        inner=10,
    )


def noise_bound(repeats: int) -> dict[str, Any]:
    """What no noise draw in torch can beat: the normal variates alone, over the same Beta form."""
    shape, sigma = (256, 3072), np.full(256, 0.5)
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    return _ratio(
        lambda: torch.randn(shape, generator=generator),
        lambda: beta_form(128.0, shape, sigma, rng),
        repeats,
        "torch.randn alone over the Beta form in numpy (the bound of the line above)",
        inner=10,
    )


def beta_form(D: float, shape: tuple[int, int], sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise as PFGM++ first drew it: radius by a Beta variate, direction by a normalised normal vector."""
    batch, N = shape
    b = np.clip(rng.beta(N / 2, D / 2, batch), 1e-3, 1 - 1e-3)
    radius = sigma * math.sqrt(D) * np.sqrt(b / (1 - b))
    direction = rng.standard_normal(shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    drawn: np.ndarray = direction * radius[:, None]
    return drawn


def help_seconds(repeats: int) -> dict[str, Any]:
    """Seconds that `python -m pfgm_science --help` takes."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "pfgm_science", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return {"value": statistics.median(seconds), "low": min(seconds), "high": max(seconds), "what": "seconds of --help"}


def _measured(measure: Callable[[int], dict[str, Any]], repeats: int, goal: float) -> dict[str, Any]:
    return measure(repeats) | {"goal": goal}


def _ratio(
    ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int, what: str, inner: int = 1
) -> dict[str, Any]:
    """The fastest of ours over the fastest of theirs, measured back to back in alternating order.

    low, high: of the ratios of the pairs, which other work on the machine spreads.
    """
    ours(), theirs()
    ratios, own, other = [], [], []
    for i in range(repeats):
        pair = {}
        for name, function in [("ours", ours), ("theirs", theirs)][:: 1 if i % 2 else -1]:
            pair[name] = _seconds(function, inner)
        ratios.append(pair["ours"] / pair["theirs"])
        own.append(pair["ours"])
        other.append(pair["theirs"])
    return {
        "value": min(own) / min(other),
        "low": min(ratios),
        "high": max(ratios),
        "seconds": min(own),
        "peer_seconds": min(other),
        "what": what,
    }


class _Unchanged(torch.nn.Module):
    """A network that takes no time."""

    def forward(self, x: Tensor, *given: Any) -> Tensor:
        return x


def _seconds(function: Callable[[], Any], times: int = 1) -> float:
    started = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - started) / times


def _denoiser() -> Preconditioned:
    adapter = Images(*SHAPE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Preconditioned(adapter.network({}, ()), 0.5).eval()


BENCHMARK = Benchmark("speed", "ratios to peers in the same run", main)
