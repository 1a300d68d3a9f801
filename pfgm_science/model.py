"""A model: adapter, denoiser and the record of how they came about. Fit, sample, save, load."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from torch import nn

from pfgm_science import adapters, checkpoint, shipped
from pfgm_science.adapters import Adapter
from pfgm_science.batch import Batch
from pfgm_science.bends import SAMPLES, Bends, measure_bends
from pfgm_science.condition import DIMENSION, GIVEN, SEEN, ConditionSpec, describe, encode
from pfgm_science.config import RunConfig, build, to_json, update
from pfgm_science.constraints import Around, EncodedKnown, Keeps, Kept, Knowing
from pfgm_science.data import Dataset, fingerprint
from pfgm_science.denoiser import (
    AtDimension,
    Denoiser,
    GivenDimension,
    Preconditioned,
    Remembering,
    at_dimension,
    calls_of,
    usual_preconditioning,
    wants_estimate,
)
from pfgm_science.errors import CheckpointError, ConfigError, DataError, NotFinite, PfgmError
from pfgm_science.guidance import autoguidance, classifier_free
from pfgm_science.measurement import EncodedMeasurement, Measurement
from pfgm_science.noise import Generators, StudentT, generators
from pfgm_science.objective import denoising_loss
from pfgm_science.recording import Recording
from pfgm_science.sampling import last, sample, state_dtype
from pfgm_science.schedule import EDM_SIGMA_DATA, Levels, karras, log_uniform, measure_radius, measure_sigma_data
from pfgm_science.solvers import DEFAULT, FIXED, Heun, Solver, State, Trig2M, is_fixed, solver_named
from pfgm_science.state import fewest
from pfgm_science.stochastic import Renewal, Repeated, StochasticHeun
from pfgm_science.training import LOG_FILE, STATE_FILE, Launcher, Progress, train

MODEL_FILE = "model.safetensors"
# With few coordinates x does not tell its kappa: the expectation over kappa is then worth its evaluations.
SMALL, SMALL_NODES = 16, 32
EVALUATIONS = 35  # of samples when none are asked for
FEW_STEPS = 8  # of repeated ones: with fewer, a warning
GRIDS = ("karras", "log-uniform", "fitted")


@dataclass(frozen=True)
class Guidance:
    """How samples are pulled towards their condition, or away from what a weaker model would do.

    weight: 1 is none. low, high: noise levels between which there is any, for data with sigma_data = 0.5. by: a weaker
    model of the same data (autoguidance); None is the model itself without its condition (classifier-free).
    """

    weight: float
    low: float = 0.0
    high: float = math.inf
    by: Model | None = None


@dataclass(frozen=True)
class Start:
    """Where trajectories start instead of at the prior: encoded samples with noise of level sigma."""

    batch: Batch
    sigma: float

    def __getitem__(self, rows: slice) -> Start:
        return Start(self.batch[rows], self.sigma)


class Way(TypedDict, total=False):
    """What may be said of the way from prior to data; see Model.sample for what holds when nothing is."""

    dimension: float | None
    guidance: Guidance | float | None
    evaluations: int | None
    solver: str | Solver | None
    grid: str | None
    steer: Callable[[Denoiser], Denoiser] | None


class Drawing(Way, total=False):
    """What may be said of how samples are drawn."""

    seed: int
    condition: Mapping[str, Any] | None
    keep: Keeps | None
    around: Around | None
    sizes: int | Sequence[int] | None
    measurement: Measurement | None
    start: Start | None
    batch_size: int
    graph: bool
    on_state: Callable[[int, int], None] | None


@dataclass(frozen=True)
class _Plan:
    """All that decides the trajectories of a batch."""

    denoiser: Denoiser
    x: torch.Tensor
    grid: torch.Tensor
    solver: Solver
    batch: Batch
    remembers: bool = False

    @property
    def start(self) -> Batch:
        """Where the trajectories start, with what they are conditioned on."""
        return Batch(self.x, self.batch.mask, self.batch.condition)

    def states(self) -> Iterator[State]:
        return self._from(self.start)

    def end(self, start: Batch) -> torch.Tensor:
        """Where trajectories end that start elsewhere."""
        return last(self._from(start)).x

    def recordable(self) -> _Plan:
        """Itself, or ConfigError that says why its loop cannot be recorded as one graph."""
        if self.solver.name not in FIXED:
            raise ConfigError(
                f"{self.solver.name} cannot be recorded as one graph: it draws noise or looks at values on its way. "
                f"There are {', '.join(FIXED)}"
            )
        if isinstance(self.denoiser, AtDimension) and self.denoiser.nodes:
            raise ConfigError(
                "an expectation over kappa looks at values on its way: that cannot be recorded as one graph"
            )
        if not self.x.is_cuda:
            raise ConfigError("one graph for the whole loop needs a GPU: take --device cuda, or leave the graph out")
        return self

    def _from(self, start: Batch) -> Iterator[State]:
        denoiser = Remembering(self.denoiser) if self.remembers else self.denoiser
        return sample(denoiser, start.values, self.grid, solver=self.solver, condition=start.condition, mask=start.mask)


@dataclass(frozen=True)
class Model:
    """A trained generator of one domain's objects.

    history: data (name, licence, source, fingerprint, samples), steps, seconds; as JSON values. bends: where its
    trajectories bend, for the fitted grid; None in models made before there was one.
    """

    adapter: Adapter
    denoiser: Preconditioned
    config: RunConfig
    specs: tuple[ConditionSpec, ...] = ()
    history: Mapping[str, Any] = field(default_factory=dict)
    bends: Bends | None = None

    @property
    def levels(self) -> Levels:
        """Noise levels in the units of the encoded data."""
        return Levels(**vars(self.config.levels)).scaled(self.denoiser.sigma_data)

    @property
    def dimension(self) -> float:
        """D of samples when none is asked for: that of the configuration, within the range that was trained on."""
        D, bounds = self.config.dimension, self.config.dimension_range
        return D if bounds is None or math.isinf(D) else min(max(D, bounds[0]), bounds[1])

    def at(self, dimension: float | None = None, *, nodes: int | None = None) -> Denoiser:
        """The denoiser at D extra dimensions; None is the D of the configuration.

        A network trained on many D is told which; one trained at D = inf runs at any D by the mixture identity; one
        trained at a single finite D runs at that alone (ConfigError otherwise). nodes: see at_dimension;
        when not given, 32 where samples have at most 16 coordinates and 0 beyond.
        """
        trained = self.config.dimension
        D = self.dimension if dimension is None else float(dimension)
        if not D > 0:
            raise ConfigError(f"dimension is {D}: D must be > 0 (1 is PFGM, inf is diffusion)")
        if (bounds := self.config.dimension_range) is not None:
            if not (bounds[0] <= D <= bounds[1] or math.isinf(D)):
                raise ConfigError(
                    f"this network was trained for D from {bounds[0]:g} to {bounds[1]:g} and for inf: it knows "
                    f"nothing of D = {D:g}"
                )
            return GivenDimension(self.denoiser, D)
        if trained == D:
            return self.denoiser
        if math.isinf(trained):
            return at_dimension(self.denoiser, D, nodes=self._nodes() if nodes is None else nodes)
        raise ConfigError(
            f"this model was trained at D = {trained:g} and cannot run at D = {D:g}. Models trained with "
            "--dimension inf or with a --dimension-range run at any D."
        )

    def guided(self, dimension: float | None = None, guidance: Guidance | float | None = None) -> Denoiser:
        """The denoiser at D with guidance; a number is the weight of classifier-free guidance.

        Raises ConfigError for a model without conditions, which has nothing to be guided by but another model.
        """
        denoiser = self.at(dimension)
        if guidance is None:
            return denoiser
        how = guidance if isinstance(guidance, Guidance) else Guidance(float(guidance))
        scale = self.denoiser.sigma_data / EDM_SIGMA_DATA
        low, high = how.low * scale, how.high * scale
        if how.by is None:
            if not self.specs:
                raise ConfigError(
                    "this model was trained without conditions: guidance needs a label or another condition, or a "
                    "weaker model to be guided by"
                )
            return classifier_free(denoiser, how.weight, low=low, high=high)
        if how.by.adapter.template(1, 0).values.shape != self.adapter.template(1, 0).values.shape:
            raise ConfigError("the model to be guided by makes objects of another kind or size")
        weaker = how.by.at(self.dimension if dimension is None else dimension)
        return autoguidance(denoiser, weaker, how.weight, low=low, high=high)

    def _measured(
        self, measurement: EncodedMeasurement, dimension: float | None, guidance: Guidance | float | None
    ) -> Denoiser:
        """The guided denoiser of what a measurement leaves open; a diffusion denoiser is measured before it is at D."""
        D = self.dimension if dimension is None else dimension
        diffusion = self.config.dimension_range is None and math.isinf(self.config.dimension)
        inner = math.inf if diffusion else D
        measured = measurement.of(self.guided(inner, guidance), inner)
        return measured if inner == D else at_dimension(measured, D, nodes=self._nodes())

    def _nodes(self) -> int:
        """Of the expectation over kappa where a diffusion denoiser is run at finite D."""
        return SMALL_NODES if self.adapter.template(1, 0).values.numel() <= SMALL else 0

    def calls(self, dimension: float | None = None, guidance: Guidance | float | None = None) -> int:
        """Calls of the network that one evaluation of the denoiser takes: more under at_dimension or guidance."""
        return calls_of(self.guided(dimension, guidance))

    def sample(self, count: int, **how: Unpack[Drawing]) -> Any:
        """New objects, `count` of them. Sample i depends on (seed, i) alone, whatever batch it is drawn in.

        how: seed=0; condition={name: one value for all, or one a sample}; dimension, of those that `at` allows;
        guidance=2.0, or a Guidance; evaluations, 35 if none are given, and as many more as it takes to keep and repeat;
        solver, of SOLVERS by name or as an object;
        grid, of GRIDS; when no solver is named, the one that was measured to be best, on the fitted grid, and Karras'
        grid for those that are named (docs/benchmarks.md); sizes=20, one for all or one a sample, where objects differ
        in size; around=Design(...), or another object that the modality has for filling in (see Around);
        keep=Known(objects, mask) or
        measurement=Measurement(A, z, noise), for what is known of the samples; steer(denoiser), to wrap it again, as
        in EnergyGuided; start=Start(batch, sigma); batch_size=250; graph=True, to record the whole loop as one CUDA
        graph that is replayed for every batch; on_state(done, total), told of progress in samples times steps. Where
        nothing of them is known, the adapter may finish them (see Adapter).
        Raises ConfigError for what this model cannot do, NotFinite when samples are not.
        """
        objects = self.adapter.decode(self.draw(count, **how))
        if hasattr(self.adapter, "finished") and how.get("keep") is None and how.get("measurement") is None:
            objects = self.adapter.finished(objects)
        restored = getattr(how.get("keep"), "restored", None)
        return objects if restored is None else restored(self.adapter, objects)

    def draw(
        self,
        count: int,
        *,
        seed: int = 0,
        condition: Mapping[str, Any] | None = None,
        keep: Keeps | None = None,
        around: Around | None = None,
        sizes: int | Sequence[int] | None = None,
        measurement: Measurement | None = None,
        start: Start | None = None,
        batch_size: int = 250,
        graph: bool = False,
        on_state: Callable[[int, int], None] | None = None,
        **how: Unpack[Way],
    ) -> Batch:
        """As `sample`, but still encoded: values [count, *shape] float32."""
        if count < 1:
            raise ConfigError(f"count is {count}: at least 1 sample must be asked for")
        if not 0 <= seed < 2**32:
            raise ConfigError(f"seed is {seed}: it must lie in [0, 2^32)")
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}: at least 1 sample at a time must be drawn")
        known = None if keep is None else keep.encoded(self.adapter, count)
        measured = None if measurement is None else measurement.encoded(self.adapter, count)
        given = [part.batch for part in (known, start) if part is not None]
        if around is not None:
            if given or measured is not None or graph:
                raise ConfigError("what samples are filled in around goes with nothing else that is known of them")
            given = [around.batch(self.adapter, count)]
            how["steer"] = _steered(partial(around.steer, self.adapter), how.get("steer"))
        if sizes is not None and given:
            raise ConfigError("sizes are given beside samples that have sizes of their own: leave them out")
        template = given[0] if given else self._template(count, seed, sizes)
        if any(len(part) != count or part.values.shape != template.values.shape for part in given):
            shapes = " and ".join(str(tuple(part.values.shape)) for part in given)
            raise ConfigError(f"{count} samples cannot be drawn from what is given, of shape {shapes}")
        told = {} if around is None else dict(template.condition or {})
        batch = Batch(template.values, template.mask, {**told, **(self._condition(condition, count) or {})} or None)
        # Measured once, and not for every batch, in models made before there was a fitted grid.
        model = self.with_bends() if how.get("grid") == "fitted" else self
        if graph and not (keep is None and measurement is None and how.get("steer") is None):
            raise ConfigError("one graph for the whole loop has room for nothing known or steered: leave it out")
        recordings: dict[int, Recording] = {}
        tell = on_state or (lambda done, total: None)
        values = []
        for first in range(0, count, batch_size):
            rows = slice(first, min(first + batch_size, count))
            plan = model._plan(
                batch[rows],
                generators(sample_seeds(seed, range(rows.start, rows.stop))),
                start=None if start is None else start[rows],
                known=None if known is None else known[rows],
                measured=None if measured is None else measured[rows],
                **how,
            )
            size, steps = rows.stop - rows.start, len(plan.grid) - 1
            if not first and steps < FEW_STEPS and isinstance(plan.solver, Repeated) and how.get("evaluations"):
                logging.getLogger(__name__).warning(
                    "%s evaluations are %d steps of %d takes each, too few to reach the data well: allow %d and more, "
                    "or fewer repeats",
                    how["evaluations"], steps, plan.solver.repeats, fewest(plan.solver, FEW_STEPS),
                )  # fmt: skip
            if graph:
                if size not in recordings:
                    recordings[size] = Recording(plan.recordable().end, plan.start)
                x = recordings[size](plan.start)
                tell(first * steps + size * steps, count * steps)
            else:
                for step, state in enumerate(plan.states()):
                    x = state.x
                    if step:
                        tell(first * steps + size * step, count * steps)
            values.append(x.float().cpu())
        result = Batch(torch.cat(values), batch.mask, batch.condition)
        if batch.condition is not None and GIVEN in batch.condition and batch.mask is not None:
            filled = torch.where(batch.mask > 0, result.values, batch.condition[GIVEN].to(result.values))
            result = Batch(filled, batch.mask, batch.condition)
        bad = (~result.values.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
        if bad:
            raise NotFinite(
                f"{len(bad)} of {count} samples are not finite (the first is {bad[0]}): the network has not learned "
                "this D or these noise levels. Train longer, or use a larger --dimension."
            )
        return result

    def trajectory(self, batch: Batch, indices: range, *, seed: int = 0, **how: Unpack[Way]) -> Iterator[State]:
        """Every state from the prior to the data, for samples of these indices; batch gives shape and condition."""
        return self._plan(batch, generators(sample_seeds(seed, indices)), **how).states()

    def _plan(
        self,
        batch: Batch,
        sources: Generators,
        *,
        dimension: float | None = None,
        guidance: Guidance | float | None = None,
        evaluations: int | None = None,
        solver: str | Solver | None = None,
        grid: str | None = None,
        steer: Callable[[Denoiser], Denoiser] | None = None,
        start: Start | None = None,
        known: EncodedKnown | None = None,
        measured: EncodedMeasurement | None = None,
    ) -> _Plan:
        """All that decides the trajectories of a batch."""
        device = next(self.denoiser.parameters()).device
        D = self.dimension if dimension is None else dimension
        batch = batch.to(device)
        given = [part for part in (known, measured) if part is not None]
        repeated = max(given, key=lambda part: part.repeats, default=None)
        steer = steer or (lambda denoiser: denoiser)
        denoiser = unmeasured = steer(self.guided(dimension, guidance))
        if measured is not None:
            denoiser = steer(self._measured(measured, dimension, guidance))
        # What is done between steps is not seen by solvers that remember the step before.
        between = known is not None or (repeated is not None and repeated.repeats > 1)
        chosen = solver_named((Heun() if between else DEFAULT) if solver is None else solver)
        if grid is None:
            grid = "fitted" if solver is None and not between and self.bends is not None else "karras"
        # kappa shows in x alone: the gradients of a measured denoiser would say little more, and cost much.
        renew = Renewal(D, unmeasured, sources, batch.condition, batch.mask)
        if isinstance(chosen, StochasticHeun):
            chosen = chosen.bound(renew)
        if isinstance(chosen, Trig2M) and not isinstance(solver, Trig2M):  # one that is given has a size of its own
            chosen = Trig2M(self.denoiser.sigma_data)
        if between and not is_fixed(chosen):
            raise ConfigError(
                f"{chosen.name} chooses its own steps, and what is kept or repeated is so between steps: "
                "take another solver"
            )
        once = chosen
        if known is not None:
            values, where = known.batch.values.to(device), known.known.to(device)
            denoiser, chosen = Knowing(denoiser, values, where), Kept(chosen, values, where, renew)
        if repeated is not None and repeated.repeats != 1:
            scale = self.denoiser.sigma_data / EDM_SIGMA_DATA
            chosen = Repeated(chosen, renew, repeated.repeats, repeated.low * scale, repeated.high * scale)
        high = None if start is None else start.sigma
        levels = self.grid(once if evaluations is None else chosen, evaluations, grid, high)
        dtype = state_dtype(device)
        if start is not None:
            x = start.batch.values.to(device, dtype)
        else:
            shape, sigma = batch.values.shape, float(levels[0])
            x = StudentT(D).prior(shape, sigma, mask=batch.mask, generator=sources, dtype=dtype, device=device)
        return _Plan(denoiser, x, levels, chosen, batch, wants_estimate(self.denoiser))

    def grid(
        self, solver: str | Solver, evaluations: int | None = None, spacing: str = "karras", high: float | None = None
    ) -> torch.Tensor:
        """The noise levels of a solver's steps: as many as the evaluations allow, 35 when none are given.

        spacing: one of GRIDS. high: the first level, in the units of the encoded data; sigma_max if None. A solver that
        chooses its own steps is given the first level, the last and 0; ConfigError when it is asked to keep a number of
        evaluations.
        """
        chosen = solver_named(solver)
        free = evaluations is None and not is_fixed(chosen)
        steps = 2 if free else chosen.steps(EVALUATIONS if evaluations is None else evaluations)
        levels = self.levels
        if high is not None and not levels.sigma_min < high <= levels.sigma_max:
            raise ConfigError(
                f"a trajectory can start between the noise levels {levels.sigma_min:.3g} and {levels.sigma_max:.3g} "
                f"of this model; {high:.3g} is not there"
            )
        if spacing == "fitted":
            bends = self.with_bends().bends
            if bends is None:
                raise ConfigError("no grid can be fitted: the trajectories of this model are not finite")
            return bends.grid(steps, high)
        if spacing not in GRIDS:
            raise ConfigError(f"grid {spacing!r} is not known; there are {', '.join(GRIDS)}")
        top = levels.sigma_max if high is None else high
        if spacing == "karras":
            return karras(steps, levels.sigma_min, top, levels.rho)
        return log_uniform(steps, levels.sigma_min, top)

    def with_bends(self, like: Batch | None = None) -> Model:
        """The same model, with the bends of its trajectories measured on a few samples unless they are known.

        like: samples whose shapes, masks and conditions are taken; new ones without conditions if None.
        """
        if self.bends is not None:
            return self
        device = next(self.denoiser.parameters()).device
        batch = (like if like is not None else self.adapter.template(SAMPLES, 0))[:SAMPLES].to(device)
        sources, dtype = generators(sample_seeds(0, range(len(batch)))), state_dtype(device)
        shape, sigma = batch.values.shape, self.levels.sigma_max
        prior = StudentT(self.dimension).prior(
            shape, sigma, mask=batch.mask, generator=sources, dtype=dtype, device=device
        )
        size = self.denoiser.sigma_data
        walked = Remembering(self.at()) if wants_estimate(self.denoiser) else self.at()
        return replace(self, bends=measure_bends(walked, prior, self.levels, size, batch.condition, batch.mask))

    def save(self, path: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write the model to one .safetensors file, whole or not at all. dtype: of its weights (None: as here)."""
        header = {
            "adapter": {"name": self.adapter.name, "settings": self.adapter.settings()},
            "config": to_json(self.config),
            "sigma_data": self.denoiser.sigma_data,
            "radius": self.denoiser.radius,
            "conditions": [to_json(spec) for spec in self.specs],
            "history": dict(self.history),
            "bends": None if self.bends is None else to_json(self.bends),
        }
        weights = {name: tensor.to(dtype) for name, tensor in self.denoiser.network.state_dict().items()}
        checkpoint.write(path, weights, header, "model")

    def to(self, device: str | torch.device) -> Model:
        """The same model with its network on another device."""
        return replace(self, denoiser=self.denoiser.to(device))

    def compiled(self) -> Model:
        """The same model with its network compiled by torch, which takes a minute at the first call of each shape.

        Noise, solver and guidance stay outside, with the precision they have. Needs a C++ compiler on the CPU.
        """
        denoiser = self._with_own_network()
        denoiser.network.compile()
        return replace(self, denoiser=denoiser)

    def at_precision(self, precision: str) -> Model:
        """The same model with its network run in "float32" or "bfloat16"; the state of the solver keeps its own."""
        denoiser = self._with_own_network()
        denoiser.set_precision(precision)
        return replace(self, denoiser=denoiser)

    def _with_own_network(self) -> Preconditioned:
        """A denoiser whose network shares its weights, but may be run in another way."""
        denoiser = copy(self.denoiser)
        denoiser._modules = {**self.denoiser._modules, "network": copy(self.denoiser.network)}
        return denoiser

    def _template(self, count: int, seed: int, sizes: int | Sequence[int] | None) -> Batch:
        """The shape of new samples, of sizes that are asked for or as the data have them."""
        if sizes is None:
            return self.adapter.template(count, seed)
        if not hasattr(self.adapter, "sized"):
            raise ConfigError(f"objects of {self.adapter.name} are all of one size: leave the sizes out")
        each = np.atleast_1d(np.asarray(sizes))
        if len(each) not in (1, count):
            raise ConfigError(f"{len(each)} sizes for {count} samples: give one, or one each")
        batch: Batch = self.adapter.sized(np.broadcast_to(each, (count,)))
        return batch

    def _condition(self, condition: Mapping[str, Any] | None, count: int) -> dict[str, torch.Tensor] | None:
        encoded = encode(self.specs, condition or {}, count)
        return encoded or None


def _steered(
    first: Callable[[Denoiser], Denoiser], then: Callable[[Denoiser], Denoiser] | None
) -> Callable[[Denoiser], Denoiser]:
    """One wrapper of denoisers, and around it another if there is one."""
    return first if then is None else lambda denoiser: then(first(denoiser))


def load(path: str | Path) -> Model:
    """A model from a run folder or a .safetensors file, or a shipped one by name (see shipped.models).

    Raises CheckpointError that says what is wrong with anything else.
    """
    path = shipped.resolved(path)
    if path.is_dir():
        if not (path / MODEL_FILE).exists():
            raise CheckpointError(f"{path}: no {MODEL_FILE} in this folder. Has `pfgm train --out {path}` been run?")
        path = path / MODEL_FILE
    tensors, header = checkpoint.read(path, "model")
    try:
        settings, conditions = header["adapter"], header["conditions"]
        adapter = adapters.find(settings["name"]).restore(settings["settings"])
        config = build(RunConfig, header["config"])
        specs = tuple(ConditionSpec(**{**spec, "classes": tuple(spec["classes"])}) for spec in conditions)
        network = adapter.network(config.network, _network_specs(specs, config))
        denoiser = Preconditioned(
            network,
            header["sigma_data"],
            config.training.precision,
            radius=header["radius"],
            D=config.dimension,
            preconditioning=config.preconditioning,
        )
        history = header["history"]
        bends = None if header.get("bends") is None else Bends(**{k: tuple(v) for k, v in header["bends"].items()})
    except (AttributeError, LookupError, TypeError, ValueError, PfgmError) as error:
        reason = error if isinstance(error, PfgmError) else repr(error)
        raise CheckpointError(f"{path}: the header is not one this version can use: {reason}") from None
    checkpoint.load_weights(network, tensors, path)
    return Model(adapter, denoiser.eval(), config, specs, history, bends)


def fit(
    adapter: Adapter,
    data: Any,
    *,
    condition: Mapping[str, Any] | None = None,
    config: RunConfig | None = None,
    start: Model | None = None,
    folder: str | Path | None = None,
    device: str | torch.device = "cpu",
    launcher: Launcher | None = None,
    on_step: Callable[[Progress], None] | None = None,
    on_checkpoint: Callable[[Model, int], None] | None = None,
    **settings: Any,
) -> Model:
    """Train a model on a domain's objects.

    data: a Dataset, or the adapter's own objects with `condition` (name -> one value a sample). settings: fields of
    RunConfig and TrainingConfig by name (dimension=128, steps=2000); config: all of them, in which case the adapter's
    recipe is not consulted. start: a model of the same kind whose weights are the first ones, and whose network is
    taken over unless settings say otherwise; the data may be others. folder: keeps state, log and model there and
    resumes what it finds. on_checkpoint: is given the model as it is at each checkpoint, and the step.
    """
    if not isinstance(data, Dataset):
        data = Dataset(data, condition or {})
    elif condition is not None:
        raise ConfigError("condition is given beside a Dataset, which has its own: put it into the Dataset")
    if len(data) == 0:
        raise DataError("there is no data: at least one object is needed")
    adapter = adapter.fit(data)
    if config is None:
        config = configure(adapter, len(data), settings, start)
    elif settings:
        config = update(config, nest(settings))
    chief = launcher is None or launcher.global_rank == 0
    if chief and hasattr(adapter, "notice") and (said := adapter.notice(config)):
        logging.getLogger(__name__).warning(said)
    specs = describe(data.condition)
    rows, others = data.split_indices(config.validation if len(data) > 1 else 0.0, config.seed)
    training, held_out = data.take(rows), data.take(others)
    batch = encoded(adapter, training, specs)
    validation = encoded(adapter, held_out, specs) if len(held_out) else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # initial weights
        network = adapter.network(config.network, _network_specs(specs, config))
    if start is not None:
        _take_over(network, adapter, start)
    denoiser = Preconditioned(
        network,
        config.sigma_data or measure_sigma_data(batch),
        config.training.precision,
        radius=measure_radius(batch),
        D=config.dimension,
        preconditioning=config.preconditioning,
    ).to(device)
    folder = Path(folder) if folder is not None else None
    identity = {
        "data": batch_fingerprint(batch),
        "adapter": json.loads(json.dumps(adapter.settings())),
        "conditions": [to_json(spec) for spec in specs],
    }
    if start is not None:
        weights = start.denoiser.network.state_dict()
        identity["start"] = fingerprint(*(tensor.float().cpu().numpy() for tensor in weights.values()))
    history: dict[str, Any] = {
        "data": {
            "name": data.name,
            "licence": data.licence,
            "source": data.source,
            "citation": data.citation,
            "read": None if data.read is None else dict(data.read),
            "fingerprint": identity["data"],
            "samples": len(data),
            "held_out": len(held_out),
        },
        "parameters": sum(p.numel() for p in network.parameters()),
        "steps": config.training.steps,
    }
    if start is not None:
        history["start"] = dict(start.history)

    def keep(averaged: Preconditioned, step: int) -> None:
        model = Model(adapter, averaged, config, specs, history)
        if folder is not None:
            model.save(folder / MODEL_FILE)
        if on_checkpoint is not None:
            on_checkpoint(model, step)

    started = time.monotonic()
    averaged = train(
        denoiser,
        batch,
        config,
        validation=validation,
        folder=folder,
        identity=identity,
        rows=rows,
        objective=getattr(adapter, "objective", denoising_loss),
        augment=getattr(adapter, "augment", None),
        on_step=on_step,
        on_checkpoint=keep,
        launcher=launcher,
    )
    history["seconds"] = round(time.monotonic() - started, 1)
    model = Model(adapter, averaged, config, specs, history).with_bends(batch)
    if folder is not None and (launcher is None or launcher.global_rank == 0):
        # of all sessions of a run that was cut and went on
        history["seconds"] = checkpoint.read_header(folder / STATE_FILE, "state")["seconds"]
        history["log"] = LOG_FILE
        model.save(folder / MODEL_FILE)
    return model


def configure(adapter: Adapter, count: int, settings: Mapping[str, Any], start: Model | None = None) -> RunConfig:
    """The adapter's recipe for `count` samples, the network of `start`, and the user's settings on top.

    Where they say nothing of it the preconditioning is that of `start`, or what suits D.
    """
    recipe = adapter.recipe(count)
    config = update(RunConfig(adapter=adapter.name), recipe)
    if start is not None:
        _check_kind(adapter, start)
        config = replace(config, network=dict(start.config.network))
    config = update(config, nest(settings))
    if "preconditioning" in {**recipe, **settings} or config.dimension_range is not None:
        return config
    usual = usual_preconditioning(config.dimension) if start is None else start.config.preconditioning
    return replace(config, preconditioning=usual)


def _check_kind(adapter: Adapter, start: Model) -> None:
    if start.adapter.name != adapter.name:
        raise ConfigError(f"start is a model of {start.adapter.name}, and these are {adapter.name}: give one of those")


def _take_over(network: nn.Module, adapter: Adapter, start: Model) -> None:
    """Put the weights of another model into a network; ConfigError when it is of another kind or shape."""
    _check_kind(adapter, start)
    weights = start.denoiser.network.state_dict()
    if problems := checkpoint.misfits(network.state_dict(), weights):
        raise ConfigError(
            f"start has another network: {'; '.join(problems[:3])}. Leave its settings as they are there, with the "
            "same conditions and attributes of the data."
        )
    network.load_state_dict(weights)


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by bare name, each put in the table it belongs to: steps=5 becomes {"training": {"steps": 5}}."""
    from dataclasses import fields

    from pfgm_science.config import LevelsConfig, TrainingConfig

    tables = {f.name: "training" for f in fields(TrainingConfig)} | {f.name: "levels" for f in fields(LevelsConfig)}
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        if name in tables:
            nested.setdefault(tables[name], {})[name] = value
        elif isinstance(value, Mapping):
            nested[name] = {**nested.get(name, {}), **value}
        else:
            nested[name] = value
    return nested


def sample_seeds(seed: int, indices: range) -> list[int]:
    """One 63-bit seed a sample, from the seed of the run and the number of the sample."""
    return [int(np.random.SeedSequence([seed % 2**32, i]).generate_state(1, np.uint64)[0] >> 1) for i in indices]


def batch_fingerprint(batch: Batch) -> str:
    """SHA-256 of values, mask and conditions: says whether two runs saw the same samples."""
    condition = [tensor for _, tensor in sorted((batch.condition or {}).items())]
    mask = [] if batch.mask is None else [batch.mask]
    return fingerprint(*(tensor.numpy() for tensor in [batch.values, *mask, *condition]))


def encoded(adapter: Adapter, data: Dataset, specs: tuple[ConditionSpec, ...]) -> Batch:
    """A data set as one batch, with the conditions that specs describe."""
    batch = adapter.encode(data.objects)
    condition = encode(specs, data.condition, len(data)) or None
    return Batch(batch.values, batch.mask, condition)


def _network_specs(specs: tuple[ConditionSpec, ...], config: RunConfig) -> tuple[ConditionSpec, ...]:
    if config.preconditioning == "seen":
        specs = (*specs, ConditionSpec(SEEN, "vector", 1))
    if config.dimension_range is not None:
        specs = (*specs, ConditionSpec(DIMENSION, "vector", 2))
    return specs
