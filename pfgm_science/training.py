"""The fit loop: plain PyTorch on one device, the same loop under Lightning Fabric on many; resumes exactly.

Nothing random is carried from step to step: part m of step t draws from a generator seeded by (seed, t, m), so a run
that was cut, and one that spreads the parts over several processes, visit the same samples with the same noise.
"""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from pfgm_science import checkpoint
from pfgm_science.batch import Batch, Condition
from pfgm_science.condition import DIMENSION, ESTIMATE, dimension_feature, drop
from pfgm_science.config import RunConfig, TrainingConfig, first_difference, to_json
from pfgm_science.denoiser import Denoiser, Preconditioned, wants_estimate
from pfgm_science.errors import CheckpointError, ConfigError, NotFinite, PfgmError
from pfgm_science.files import write_bytes
from pfgm_science.noise import StudentT
from pfgm_science.objective import Objective, denoising_loss
from pfgm_science.schedule import Levels

STATE_FILE = "state.safetensors"
LOG_FILE = "log.jsonl"
EMA_RAMP = 0.05  # the half-life is at most this share of the samples seen (EDM, arXiv 2206.00364, appendix F.2)


class Interrupted(PfgmError):
    """Training was asked to stop (SIGINT or SIGTERM) and has saved its state."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


@dataclass(frozen=True)
class Progress:
    """Where training stands, for the caller's display: loss is that of the step just done."""

    step: int
    steps: int
    loss: float


class Launcher(Protocol):
    """What is used of lightning_fabric.Fabric."""

    global_rank: int
    world_size: int
    device: torch.device

    def setup(self, module: nn.Module, *optimizers: torch.optim.Optimizer) -> Any: ...
    def backward(self, tensor: Tensor) -> None: ...
    def no_backward_sync(self, module: nn.Module, enabled: bool) -> AbstractContextManager[None]: ...
    def all_reduce(self, data: Tensor, *, reduce_op: str) -> Tensor: ...


def train(
    denoiser: Preconditioned,
    data: Batch,
    config: RunConfig,
    *,
    validation: Batch | None = None,
    folder: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    rows: Sequence[int] | np.ndarray | None = None,
    objective: Objective = denoising_loss,
    augment: Callable[[Batch, torch.Generator], Batch] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    on_checkpoint: Callable[[Preconditioned, int], None] | None = None,
    launcher: Launcher | None = None,
) -> Preconditioned:
    """Fit a denoiser to a batch that holds the whole training set; returns it with the averaged (EMA) weights.

    folder: where state and log are kept; a state found there is resumed, exactly, if its configuration and
    `identity` (JSON values that name data and network) are the same, and refused otherwise. rows: the numbers that the
    user knows the samples of data by, for messages.
    on_checkpoint: is given the averaged network and the step at each checkpoint; when a run goes on, that of the state
    once more, because it may have been cut before it was told.
    Raises NotFinite when the loss or its gradient is not, Interrupted when a signal asked for a stop.
    """
    run = Run(denoiser, data, config, objective, augment, launcher, rows)
    leader = run.rank == 0
    log = _Log(folder / LOG_FILE if folder and leader else None)
    identity = {"config": _decisive(config), **(identity or {})}
    started = time.monotonic()
    if folder is not None:
        _make_folder(folder)
        if (folder / STATE_FILE).exists():
            run.restore(folder / STATE_FILE, identity)
        if leader:  # another process must not remove what the leader is just writing
            _remove_leftovers(folder)
        log.rewind(run.step)

    def save() -> None:
        if folder is not None and leader:
            run.save(folder / STATE_FILE, identity, run.seconds + time.monotonic() - started)
        if leader and on_checkpoint is not None:
            on_checkpoint(run.averaged(), run.step)

    settings = config.training
    devices = [run.device] if run.device.type == "cuda" else []
    with _signals() as pending, torch.random.fork_rng(devices=devices), closing(log):
        if leader and on_checkpoint is not None and 0 < run.step < settings.steps:
            on_checkpoint(run.averaged(), run.step)
        while run.step < settings.steps:
            loss = run.advance()
            if leader and on_step is not None:
                on_step(Progress(run.step, settings.steps, loss))
            finished = run.step == settings.steps
            if run.step % settings.log_every == 0 or finished:
                seconds = run.seconds + time.monotonic() - started
                rate = run.learning_rate(run.step - 1)
                log.write("train", run.step, loss=loss, learning_rate=rate, seconds=round(seconds, 3))
            if validation is not None and leader and (run.step % settings.validate_every == 0 or finished):
                log.write("validation", run.step, levels=run.validate(validation))
            received = run.agree(pending[0] if pending else 0)
            if run.step % settings.checkpoint_every == 0 or finished or received:
                save()
            if received and not finished:
                name = signal.Signals(received).name
                where = f"state saved in {folder}; run the same command to go on" if folder else "nothing was saved"
                raise Interrupted(f"stopped by {name} after step {run.step} of {settings.steps}: {where}", received)
    return run.averaged()


class Run:
    """The moving parts of one training run: network, average, optimisers, step."""

    def __init__(
        self,
        denoiser: Preconditioned,
        data: Batch,
        config: RunConfig,
        objective: Objective,
        augment: Callable[[Batch, torch.Generator], Batch] | None,
        launcher: Launcher | None,
        rows: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        if len(data) == 0:
            raise PfgmError("there is no training data: at least one sample is needed")
        self.config, self.settings = config, config.training
        self.objective, self.augment, self.launcher = objective, augment, launcher
        self.rows = np.arange(len(data)) if rows is None else np.asarray(rows)
        self.rank = launcher.global_rank if launcher else 0
        self.world = launcher.world_size if launcher else 1
        if self.settings.batch_size % (self.world * self.settings.accumulation):
            raise ConfigError(
                f"training.batch_size {self.settings.batch_size} is not a multiple of "
                f"{self.world} processes x training.accumulation {self.settings.accumulation}"
            )
        self.device = launcher.device if launcher else next(denoiser.parameters()).device
        self.data = data.to(self.device, torch.float32)
        self.denoiser = denoiser.to(self.device).train()
        self.average = [p.detach().clone() for p in self.denoiser.parameters()]
        self.optimizers = make_optimizers(denoiser, self.settings)
        self.model: nn.Module = denoiser
        if launcher:
            self.model, *self.optimizers = launcher.setup(denoiser, *self.optimizers)
        self.levels = Levels(**vars(config.levels)).scaled(denoiser.sigma_data)
        self.noise = StudentT(config.dimension)
        self.step = 0
        self.seconds = 0.0
        self._order: tuple[int, Tensor] | None = None

    def advance(self) -> float:
        """One optimiser step; returns the mean loss over all devices."""
        parts = self.settings.accumulation
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for i in range(parts):
            synced = (
                self.launcher.no_backward_sync(self.model, enabled=i < parts - 1) if self.launcher else nullcontext()
            )
            with synced:
                loss = self._loss(i * self.world + self.rank) / parts
                self.launcher.backward(loss) if self.launcher else torch.autograd.backward(loss)
            total += loss.detach()
        if self.launcher:
            total = self.launcher.all_reduce(total, reduce_op="mean")
        norm = nn.utils.clip_grad_norm_(self.denoiser.parameters(), self.settings.clip or math.inf)
        mean, size = cast("list[float]", torch.stack([total, norm.to(total)]).tolist())
        if not math.isfinite(mean):
            raise NotFinite(self._not_finite("loss", mean))
        if not math.isfinite(size):
            raise NotFinite(self._not_finite("gradient", size))
        rate = self.learning_rate(self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self.step += 1
        self._update_average()
        return mean

    def learning_rate(self, step: int) -> float:
        """After `step` steps: linear warm-up, then constant or half a cosine down to zero."""
        s = self.settings
        rate = s.learning_rate * min(1.0, (step + 1) / max(s.warmup, 1))
        if s.decay == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * min(step / s.steps, 1.0)))
        return rate

    def validate(self, data: Batch, bins: int = 8, most: int = 256) -> dict[str, float]:
        """Weighted loss of the averaged weights at evenly likely noise levels, on the same noise every time."""
        # evenly spaced, because data are often sorted by class
        data = data[:: math.ceil(len(data) / most)].to(self.device, torch.float32)
        quantiles = (torch.arange(bins, dtype=torch.float64) + 0.5) / bins
        sigmas = torch.exp(self.levels.mean + self.levels.std * math.sqrt(2) * torch.erfinv(2 * quantiles - 1))
        losses = {}
        with self._with_average(), torch.no_grad():
            self.denoiser.eval()
            for k, level in enumerate(sigmas.tolist()):
                generator = torch.Generator(self._generator_device()).manual_seed(_mix(self.config.seed, -1, k))
                sigma = torch.full((len(data),), level, device=self.device)
                loss = self._noisy_loss(self.denoiser, data, sigma, generator)
                losses[f"{level:.4g}"] = float(loss.mean())
            self.denoiser.train()
        return losses

    def averaged(self) -> Preconditioned:
        """A copy of the denoiser that holds the averaged weights, in evaluation mode."""
        import copy

        clone = copy.deepcopy(self.denoiser)
        with torch.no_grad():
            for parameter, mean in zip(clone.parameters(), self.average, strict=True):
                parameter.copy_(mean)
        return clone.eval()

    def agree(self, signal_number: int) -> int:
        """The signal that any process has received, so that all stop at the same step."""
        if not self.launcher:
            return signal_number
        return int(self.launcher.all_reduce(torch.tensor(float(signal_number), device=self.device), reduce_op="max"))

    def save(self, path: Path, identity: Mapping[str, Any], seconds: float) -> None:
        tensors = {f"network.{name}": t for name, t in self.denoiser.state_dict().items()}
        tensors |= {f"average.{i}": t for i, t in enumerate(self.average)}
        for k, optimizer in enumerate(self.optimizers):
            for i, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{k}.{i}.{name}": torch.as_tensor(value) for name, value in values.items()}
        header = {"step": self.step, "seconds": round(seconds, 3), "identity": identity}
        checkpoint.write(path, tensors, header, "state")

    def restore(self, path: Path, identity: Mapping[str, Any]) -> None:
        tensors, header = checkpoint.read(path, "state")
        if difference := first_difference(header.get("identity", {}), json.loads(json.dumps(identity))):
            raise CheckpointError(
                f"{path.parent} holds a run with another {difference}. Go on with the same settings and data, or give "
                "another --out."
            )
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups.setdefault(group, {})[rest] = tensor
        checkpoint.load_weights(self.denoiser, groups["network"], path)
        checkpoint.check_fit({str(i): mean for i, mean in enumerate(self.average)}, groups["average"], path)
        self.average = [groups["average"][str(i)].to(self.device) for i in range(len(self.average))]
        try:
            states: list[dict[int, dict[str, Tensor]]] = [{} for _ in self.optimizers]
            for name, tensor in groups["optimizer"].items():
                k, index, key = name.split(".", 2)
                states[int(k)].setdefault(int(index), {})[key] = tensor
            for optimizer, state in zip(self.optimizers, states, strict=True):
                optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
            self.step, self.seconds = int(header["step"]), float(header["seconds"])
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: not a state that this version can go on from: {error!r}") from None

    def _loss(self, part: int) -> Tensor:
        generator = torch.Generator(self._generator_device()).manual_seed(_mix(self.config.seed, self.step, part))
        torch.manual_seed(_mix(self.config.seed, self.step, part, 1))  # for dropout inside networks
        batch = self.data[self._indices(part)]
        if self.augment:
            batch = self.augment(batch, generator)
        sigma = self.levels.draw(len(batch), generator).to(self.device)
        condition = drop(batch.condition, self.settings.condition_dropout, generator)
        batch = Batch(batch.values, batch.mask, condition)
        shown = wants_estimate(self.denoiser) and _coin(generator)
        return self._noisy_loss(self.model, batch, sigma, generator, shown).mean()

    def _noisy_loss(
        self, denoiser: Denoiser, batch: Batch, sigma: Tensor, generator: torch.Generator, shown: bool = False
    ) -> Tensor:
        """The loss of each sample at its level; shown: the network gets its own estimate beside x."""
        noise = self.noise
        if self.config.dimension_range is not None:
            D = draw_dimensions(len(batch), self.config.dimension_range, generator)
            noise = StudentT(D)
            N = batch.values[0].numel() if batch.mask is None else batch.mask.flatten(1).sum(1).cpu()
            feature = dimension_feature(D, torch.as_tensor(N, dtype=torch.float64).expand(len(batch)))
            condition: Condition = {**(batch.condition or {}), DIMENSION: feature.to(self.device)}
            batch = Batch(batch.values, batch.mask, condition)
        x = noise.perturb(batch.values, sigma, mask=batch.mask, generator=generator)
        if shown:
            with torch.no_grad():
                estimate = self.denoiser(x, sigma, batch.condition, batch.mask)
            batch = Batch(batch.values, batch.mask, {**(batch.condition or {}), ESTIMATE: estimate})
        weight = self.denoiser.loss_weight(x, sigma, batch.mask)
        return self.objective(denoiser, batch, x, sigma, weight)

    def _indices(self, part: int) -> Tensor:
        """Which samples a part of this step sees: passes through the data, each in an order of its own."""
        size = self.settings.batch_size // (self.world * self.settings.accumulation)
        start = self.step * self.settings.batch_size + part * size
        count = len(self.data)
        indices: list[Tensor] = []
        position = start
        while position < start + size:
            epoch, offset = divmod(position, count)
            take = min(count - offset, start + size - position)
            indices.append(self._epoch_order(epoch)[offset : offset + take])
            position += take
        return torch.cat(indices).to(self.device)

    def _epoch_order(self, epoch: int) -> Tensor:
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(_mix(self.config.seed, -2, epoch))
            self._order = (epoch, torch.randperm(len(self.data), generator=generator))
        return self._order[1]

    def _update_average(self) -> None:
        seen = self.step * self.settings.batch_size
        half_life = min(self.settings.ema_half_life, EMA_RAMP * seen)
        keep = 0.5 ** (self.settings.batch_size / max(half_life, 1e-8))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.denoiser.parameters()), 1 - keep)

    @contextmanager
    def _with_average(self) -> Iterator[None]:
        parameters: list[Tensor] = list(self.denoiser.parameters())
        current = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            torch._foreach_copy_(parameters, self.average)
            try:
                yield
            finally:
                torch._foreach_copy_(parameters, current)

    def _generator_device(self) -> torch.device:
        return self.device if self.device.type == "cuda" else torch.device("cpu")

    def _not_finite(self, what: str, value: float) -> str:
        indices = torch.cat([self._indices(part) for part in range(self.settings.accumulation * self.world)])
        shown = ", ".join(map(str, self.rows[indices[:16].cpu().numpy()].tolist()))
        largest = float(self.data.values[indices].abs().max())
        return (
            f"the {what} became {value} at step {self.step + 1} "
            f"(samples {shown}{', ...' if len(indices) > 16 else ''}; their largest value is {largest:.4g}). "
            "Lower training.learning_rate, raise training.warmup or look at these samples; the last checkpoint is kept."
        )


def make_optimizers(module: nn.Module, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    """AdamW for all, or Muon (Jordan et al., 2024; torch >= 2.9) for matrices and AdamW for the rest."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)

    def adamw(chosen: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            chosen, lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=fused
        )

    if config.optimizer == "adamw":
        return [adamw(parameters)]
    if not hasattr(torch.optim, "Muon"):
        raise ConfigError(f"training.optimizer 'muon' needs torch >= 2.9 (this is {torch.__version__}): use 'adamw'")
    matrices = [p for p in parameters if p.ndim == 2]
    others = [p for p in parameters if p.ndim != 2]
    muon = torch.optim.Muon(
        matrices, lr=config.learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, adamw(others)] if others else [muon]


def draw_dimensions(count: int, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
    """D for a network that serves many: log-uniform between the bounds, and infinite for one sample in eight."""
    low, high = (math.log(b) for b in bounds)
    u = torch.rand(2, count, generator=generator, dtype=torch.float64, device=generator.device)
    return torch.where(u[1] < 1 / 8, math.inf, torch.exp(low + (high - low) * u[0])).cpu()


def _coin(generator: torch.Generator) -> bool:
    """Half of the steps show the network its own estimate (arXiv 2208.04202): all of a batch, so that it costs half."""
    return bool(torch.rand((), generator=generator, device=generator.device) < 0.5)


class _Log:
    """A file of JSON lines, each written by one call so that a kill leaves whole lines; TensorBoard beside it."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.board: Any = None

    def rewind(self, step: int) -> None:
        """Drop what was written after the state that is resumed; a file of somebody else's is left alone."""
        if self.path is None:
            return
        entries = read_log(self.path) if self.path.exists() else []
        if self.path.exists() and self.path.stat().st_size and not entries:
            raise PfgmError(f"{self.path} exists and is no log of a training run. Move it, or give another --out.")
        kept = [json.dumps(entry) + "\n" for entry in entries if entry["step"] <= step]
        write_bytes(self.path, "".join(kept).encode())
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self.board = SummaryWriter(str(self.path.parent / "tensorboard"), purge_step=step + 1)

    def write(self, event: str, step: int, **values: Any) -> None:
        if self.path is None:
            return
        line = (json.dumps({"event": event, "step": step, **values}) + "\n").encode()
        try:
            with self.path.open("ab", buffering=0) as file:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise PfgmError(f"{self.path}: cannot be written ({error.strerror}); the last checkpoint is kept") from None
        if self.board is not None:
            flat = {k: v for k, v in values.items() if isinstance(v, float)} | values.get("levels", {})
            for name, value in flat.items():
                self.board.add_scalar(f"{event}/{name}", value, step)

    def close(self) -> None:
        if self.board is not None:
            self.board.close()


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a training log: [{"event": "train" | "validation", "step": ..., ...}].

    A line that is not whole, as a full disk leaves it, is passed over.
    """
    entries = []
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            entries.append(entry)
    return entries


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them; a second one has its usual effect."""
    pending: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield pending
        return
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: Any) -> None:
        pending.append(number)
        restore()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield pending
    finally:
        restore()


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several integers."""
    return int(np.random.SeedSequence([n % 2**32 for n in numbers]).generate_state(1, np.uint64)[0] >> 1)


def _decisive(config: RunConfig) -> dict[str, Any]:
    """The settings that decide the weights: all but how often a run shows and saves what it does."""
    settings: dict[str, Any] = to_json(config)
    for name in ("checkpoint_every", "validate_every", "log_every"):
        del settings["training"][name]
    if config.preconditioning == "edm":  # all that there was before there was a choice, and runs of then go on
        del settings["preconditioning"]
    return settings


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PfgmError(f"cannot make the folder {folder}: {error.strerror}. Give another --out.") from None


def _remove_leftovers(folder: Path) -> None:
    """Temporary files of a process that was killed while it wrote."""
    for name in (STATE_FILE, LOG_FILE, "model.safetensors"):
        for path in folder.glob(f".{name}.*"):
            path.unlink(missing_ok=True)
