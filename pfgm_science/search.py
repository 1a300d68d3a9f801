"""The thorough way to D: a network trained at each, the hopeless stopped early.

Optuna keeps the trials in an SQLite file, so that several processes share a search and a killed one loses at most the
trial that was running, which goes on from its last checkpoint. Stopping is successive halving (Li et al.,
arXiv 1810.05934), asynchronous and careful: at a quarter and at half of the steps, once the learning rate has long been
whole, a trial goes on if it is in the better half of those that came so far, or within a tenth of the best of them.
That is so for the first seed; the other seeds are trained where it reached the end.
"""

from __future__ import annotations

import fcntl
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pfgm_science.adapters import Adapter
from pfgm_science.config import first_difference, to_json
from pfgm_science.data import Dataset
from pfgm_science.dimension import DIMENSIONS, SEARCH, Curve, named_plainly
from pfgm_science.distance import Distance
from pfgm_science.errors import ConfigError, NotFinite
from pfgm_science.model import Drawing, Model, batch_fingerprint, configure, fit
from pfgm_science.progress import Watch, silent

DATABASE = "search.db"
RUNGS = 4  # equal parts of the steps, at the first and second of which trials are compared
MARGIN = 1.1  # times the best distance at a rung, up to which nothing is hopeless: less is chance
WARM = 2  # times the steps of the warm-up, before which nothing is judged
PATIENCE = 2.0  # seconds between two looks at what other processes do


class Stopped(Exception):
    """A trial that is not in the better half."""


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
        """Do all trials that nobody has done, and return the curve of what is done then, by whomever.

        The first seed decides which D are hopeless; those that reach its end are trained with the other seeds too.
        """
        optuna = _optuna()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            study = self._study(optuna)
            self._check_protocol(study)
            _queue(study, product(_from_the_middle(dimensions), seeds[:1]))
        while (trial := self._next(optuna, study, seeds)) is not None:
            with self._held(trial):
                try:
                    study.tell(trial, self._trial(study, trial, may_stop=trial.user_attrs["seed"] == seeds[0]))
                except Stopped:
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
                values.setdefault(D, {})[trial.user_attrs["seed"]] = float(trial.value)
            elif trial.state is optuna.trial.TrialState.PRUNED:
                stopped[D] = trial.intermediate_values[max(trial.intermediate_values)]
        seconds = sum(trial.user_attrs.get("seconds", 0.0) for trial in trials)
        return Curve(SEARCH, {D: values[D] for D in sorted(values)}, seconds, stopped)

    def work(self) -> tuple[int, int]:
        """Steps of all trials, of those that were stopped as far as they came; and how often samples were judged."""
        trials = self._study(_optuna()).get_trials(deepcopy=False)
        ended = [trial.state.name == "COMPLETE" for trial in trials]
        reached = [max(trial.intermediate_values, default=0) for trial in trials]
        steps = sum(self.settings["steps"] if end else rung for end, rung in zip(ended, reached, strict=True))
        return steps, sum(ended) + sum(len(trial.intermediate_values) for trial in trials)

    def _study(self, optuna: Any) -> Any:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = f"sqlite:///{self.folder / DATABASE}"
        return optuna.create_study(study_name="D", storage=storage, direction="minimize", load_if_exists=True)

    def _check_protocol(self, study: Any) -> None:
        """Refuse to put trials beside others that were not trained or judged alike."""
        adapter = self.adapter.fit(self.data)
        protocol = to_json(
            {
                "modality": self.adapter.name,
                "data": {"name": self.data.name, "of": batch_fingerprint(adapter.encode(self.data.objects))},
                "compared with": {"objects": len(self.distance.data)},
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
        """A trial that waits, held by this process from now on; None when all are done."""
        state = optuna.trial.TrialState
        while True:
            with self._alone():
                trials = study.get_trials(deepcopy=False)
                first = [trial for trial in trials if trial.user_attrs["seed"] == seeds[0]]
                if not any(trial.state in (state.WAITING, state.RUNNING) for trial in first):
                    reached = [float(t.user_attrs["D"]) for t in first if t.state is state.COMPLETE]
                    _queue(study, product(reached, seeds[1:]))
                    trials = study.get_trials(deepcopy=False)
                for trial in trials:  # one that was cut goes on, before others begin
                    if trial.state is state.RUNNING and self._hold(trial.number):
                        if study.trials[trial.number].state is state.RUNNING:  # not ended by another meanwhile
                            return optuna.trial.Trial(study, trial._trial_id)
                        self._let_go(trial.number)
                if any(trial.state is state.WAITING for trial in trials):
                    trial = study.ask()
                    self._hold(trial.number)
                    return trial
                if not any(trial.state is state.RUNNING for trial in trials):
                    return None
            time.sleep(PATIENCE)

    def _lock(self, number: int) -> Path:
        return self.folder / f"trial-{number}.lock"

    def _hold(self, number: int) -> bool:
        """Whether this process may run a trial: its lock is free, and held from now on until `_held` lets go.

        The system lets go of it at the death of the process, whatever that is.
        """
        lock = open(self._lock(number), "w")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        _holds[self._lock(number)] = lock
        return True

    @contextmanager
    def _held(self, trial: Any) -> Iterator[None]:
        """Lets go of a trial in the end."""
        try:
            yield
        finally:
            self._let_go(trial.number)

    def _let_go(self, number: int) -> None:
        _holds.pop(self._lock(number)).close()
        self._lock(number).unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with open(self.folder / f"{DATABASE}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _trial(self, study: Any, trial: Any, may_stop: bool) -> float:
        """Train at D, judged at each rung if it may stop there; the distance at the end, inf where training fails."""
        D, seed, steps = float(trial.user_attrs["D"]), trial.user_attrs["seed"], self.settings["steps"]
        first = max(1, steps // RUNGS)
        warm = WARM * configure(self.adapter.fit(self.data), len(self.data), self.settings).training.warmup
        rungs = [rung for rung in (first, 2 * first) if rung >= warm]
        judged = dict(study.trials[trial.number].intermediate_values)
        before, started = float(trial.user_attrs.get("seconds", 0.0)), time.monotonic()

        def judge(model: Model, step: int) -> None:
            if step in rungs and may_stop and step not in judged:
                judged[step] = self._distance(model, seed)
                trial.report(judged[step], step)
            trial.set_user_attr("seconds", before + time.monotonic() - started)
            if step in judged and may_stop and not _among_the_better(study, trial.number, step, judged[step]):
                raise Stopped

        with self.watch(f"D = {D:g}, seed {seed}") as update:
            settings = {**self.settings, "checkpoint_every": first, "dimension": D, "seed": seed}
            try:
                model = fit(
                    self.adapter,
                    self.data,
                    folder=self.folder / f"d{named_plainly(D)}-seed{seed}",
                    device=self.device,
                    on_step=lambda at: update(at.step, at.steps),
                    on_checkpoint=judge,
                    **settings,
                )
                found = self._distance(model, seed)
            except NotFinite:
                found = math.inf
        trial.set_user_attr("seconds", before + time.monotonic() - started)
        return found

    def _distance(self, model: Model, seed: int) -> float:
        try:
            found = self.distance(model, self.count, Drawing(seed=seed, evaluations=self.evaluations))
        except NotFinite:
            return math.inf
        return math.inf if math.isnan(found) else found


_holds: dict[Path, Any] = {}  # open locks of the trials that this process runs


def _among_the_better(study: Any, number: int, step: int, value: float) -> bool:
    """Whether a distance is in the better half of those at this step so far, rounded down, or by chance beyond it."""
    others = [
        trial.intermediate_values[step]
        for trial in study.get_trials(deepcopy=False)
        if trial.number != number and step in trial.intermediate_values
    ]
    better = sum(other < value for other in others)
    return bool(better < max(1, (len(others) + 1) // 2) or value <= MARGIN * min(others))


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


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise ConfigError("a search needs Optuna: pip install 'pfgm-science[search]', or take another --way") from None
    return optuna
