"""The thorough way to D: a network trained at each, the hopeless stopped early.

Optuna keeps the trials in an SQLite file, so that several processes share a search and a killed one loses at most the
trial that was running, which goes on from its last checkpoint. Stopping: successive halving (Li et al.,
arXiv 1810.05934), asynchronous: at a quarter and at half of the steps a trial goes on if it is in the better half of
those that came so far. That is so for the first seed; the other seeds are trained where it reached the end.
"""

from __future__ import annotations

import fcntl
import math
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pfgm_science.adapters import Adapter
from pfgm_science.config import first_difference, to_json
from pfgm_science.data import Dataset
from pfgm_science.dimension import DIMENSIONS, SEARCH, Curve, Watch, named_plainly
from pfgm_science.distance import Distance
from pfgm_science.errors import ConfigError, NotFinite
from pfgm_science.model import Drawing, Model, fit
from pfgm_science.progress import Update, silent
from pfgm_science.training import Progress

DATABASE = "search.db"
RUNGS = (0.25, 0.5)  # shares of the steps at which trials are compared
FACTOR = 2
PATIENCE = 2.0  # seconds between two looks at what other processes do


@dataclass(frozen=True)
class Search:
    """What is trained at each D, and how it is judged.

    settings: of RunConfig and TrainingConfig by name; steps among them. folder: of the search and its runs.
    """

    adapter: Adapter
    data: Dataset
    distance: Distance
    folder: Path
    settings: Mapping[str, Any]
    count: int = 500
    evaluations: int | None = None
    device: Any = "cpu"
    watch: Watch = silent

    def run(self, dimensions: Sequence[float] = DIMENSIONS, seeds: Sequence[int] = (0, 1, 2)) -> Curve:
        """Do all trials that nobody has done or is doing, and return the curve of those that are done.

        The first seed decides which D are hopeless; those that reach its end are trained with the other seeds too.
        """
        optuna = _optuna()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            study = self._study(optuna)
            self._check_protocol(study)
            _take_back(optuna, study)
            _queue(study, product(_from_the_middle(dimensions), seeds[:1]))
        while (trial := self._next(optuna, study, seeds)) is not None:
            D, seed = float(trial.user_attrs["D"]), trial.user_attrs["seed"]
            try:
                study.tell(trial, self._trial(optuna, trial, D, seed, may_stop=seed == seeds[0]))
            except optuna.TrialPruned:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return self.curve()

    def curve(self) -> Curve:
        """What the trials say that are done."""
        optuna = _optuna()
        values: dict[float, dict[int, float]] = {}
        stopped: dict[float, float] = {}
        trials = self._study(optuna).get_trials(deepcopy=False)
        for trial in trials:
            D = float(trial.user_attrs["D"])
            if trial.state is optuna.trial.TrialState.COMPLETE:
                values.setdefault(D, {})[trial.user_attrs["seed"]] = float(trial.value or 0.0)
            elif trial.state is optuna.trial.TrialState.PRUNED:
                stopped[D] = trial.intermediate_values[max(trial.intermediate_values)]
        # What a trial cost that was cut is counted by the one that went on with it.
        whole = [trial for trial in trials if trial.state is not optuna.trial.TrialState.FAIL]
        seconds = sum(trial.user_attrs.get("seconds", 0.0) for trial in whole)
        return Curve(SEARCH, {D: values[D] for D in sorted(values)}, seconds, stopped)

    def _study(self, optuna: Any) -> Any:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        least = max(1, round(RUNGS[0] * self.settings["steps"]))
        return optuna.create_study(
            study_name="D",
            storage=f"sqlite:///{self.folder / DATABASE}",
            direction="minimize",
            load_if_exists=True,
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=least, reduction_factor=FACTOR),
        )

    def _check_protocol(self, study: Any) -> None:
        """Refuse to put trials beside others that were not trained or judged alike."""
        protocol = to_json(
            {
                "data": {"name": self.data.name, "objects": len(self.data)},
                "compared with": len(self.distance.data),
                "measure": self.distance.measure,
                "count": self.count,
                "evaluations": self.evaluations,
                "settings": dict(self.settings),
            }
        )
        if other := first_difference(study.user_attrs.get("protocol", protocol), protocol):
            raise ConfigError(f"{self.folder} holds a search of another kind: {other} now. Give --out for another one.")
        study.set_user_attr("protocol", protocol)

    def _next(self, optuna: Any, study: Any, seeds: Sequence[int]) -> Any:
        """A trial that waits, marked as this process's; None when all are done or others are at them."""
        state = optuna.trial.TrialState
        while True:
            with self._alone():
                trials = study.get_trials(deepcopy=False)
                first = [trial for trial in trials if trial.user_attrs["seed"] == seeds[0]]
                sorting = any(trial.state in (state.WAITING, state.RUNNING) for trial in first)
                if not sorting:
                    reached = [float(t.user_attrs["D"]) for t in first if t.state is state.COMPLETE]
                    _queue(study, product(reached, seeds[1:]))
                if study.get_trials(deepcopy=False, states=[state.WAITING]):
                    trial = study.ask()
                    trial.set_user_attr("process", _process())
                    return trial
            if not sorting:
                return None
            time.sleep(PATIENCE)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with open(self.folder / f"{DATABASE}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _trial(self, optuna: Any, trial: Any, D: float, seed: int, may_stop: bool) -> float:
        """Train at D, judged at each rung if it may stop there; the distance at the end."""
        steps = self.settings["steps"]
        rungs = [round(share * steps) for share in RUNGS]
        before = float(trial.user_attrs.get("seconds", 0.0))
        started = time.monotonic()

        def judge(model: Model, step: int) -> None:
            if step not in rungs or not may_stop:
                return
            trial.report(self._distance(model, seed), step)
            trial.set_user_attr("seconds", before + time.monotonic() - started)
            if trial.should_prune():
                raise optuna.TrialPruned

        run = self.folder / f"d{named_plainly(D)}-seed{seed}"
        with self.watch(f"D = {D:g}, seed {seed}") as update:
            settings = {"checkpoint_every": rungs[0], **self.settings, "dimension": D, "seed": seed}
            model = fit(
                self.adapter,
                self.data,
                folder=run,
                device=self.device,
                on_step=lambda at: _tell(update, at),
                on_checkpoint=judge,
                **settings,
            )
            found = self._distance(model, seed)
        trial.set_user_attr("seconds", before + time.monotonic() - started)
        return found

    def _distance(self, model: Model, seed: int) -> float:
        try:
            return self.distance(model, self.count, Drawing(seed=seed, evaluations=self.evaluations))
        except NotFinite:
            return math.inf


def _queue(study: Any, trials: Iterable[tuple[float, int]]) -> None:
    """Put trials (D, seed) behind those that are there, if they are not among them."""
    there = {(trial.user_attrs["D"], trial.user_attrs["seed"]) for trial in study.get_trials(deepcopy=False)}
    for D, seed in trials:
        if (named_plainly(D), seed) not in there:
            study.enqueue_trial({}, user_attrs={"D": named_plainly(D), "seed": seed})


def _from_the_middle(dimensions: Sequence[float]) -> list[float]:
    """The middle first: the first trial is compared with nothing, and those that follow with it."""
    middle = (len(dimensions) - 1) / 2
    return [D for _, D in sorted(enumerate(sorted(dimensions)), key=lambda pair: abs(pair[0] - middle))]


def _tell(update: Update, at: Progress) -> None:
    update(at.step, at.steps)


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _take_back(optuna: Any, study: Any) -> None:
    """Queue again what a process of this machine was doing that is no more, with what was measured on the way."""
    state = optuna.trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=[state.RUNNING]):
        host, _, pid = trial.user_attrs.get("process", "").rpartition(":")  # "": it was cut before it said
        if host in ("", socket.gethostname()) and not (pid and _lives(int(pid))):
            study.tell(trial.number, state=state.FAIL)
            study.add_trial(
                optuna.trial.create_trial(
                    state=state.WAITING,
                    user_attrs=trial.user_attrs,
                    system_attrs=trial.system_attrs,
                    intermediate_values=trial.intermediate_values,
                )
            )


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        with suppress(PermissionError):
            os.kill(pid, 0)
        return True
    return False


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise ConfigError("a search needs Optuna: pip install 'pfgm-science[search]', or take another --way") from None
    return optuna
