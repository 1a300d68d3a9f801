"""Sounds: what a model of a set draws, beside held-out clips, other representations, other networks, and D.

Clips that belong together (a syllable in all its tones, a drum kit) are kept on one side of the split. What is drawn
has the classes of the held-out clips, and as many training clips of the same classes in its place are the floor.
Judges that other people wrote (Google's speech embedding, aisfx) are asked where they are installed; the classifier is
ours, trained on the same training part and frozen.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import modalities.audio
from benchmarks import sweeps, tables
from benchmarks.audio_page import Draw, listening_page
from benchmarks.audio_peers import PeerAudio
from benchmarks.runner import Benchmark, Table, machine, parser, shipped, trained
from modalities.audio import judges
from modalities.audio.adapter import Audio
from modalities.audio.classifier import WEIGHTS, Classifier, train_classifier
from modalities.audio.classifier import shipped as shipped_classifier
from modalities.audio.classifier import shipped_names as shipped_classifiers
from modalities.audio.levels import level_db
from modalities.audio.mending import Part, blended
from modalities.audio.metrics import Reference, log_spectral_distance, snr_db
from modalities.audio.objects import Clip
from modalities.audio.pitch import Tones, contour
from pfgm_science.data import Dataset
from pfgm_science.errors import PfgmError
from pfgm_science.metrics import frechet_distance
from pfgm_science.model import MODEL_FILE, Drawing, Model, load
from pfgm_science.progress import progress
from pfgm_science.shipped import FOLDER

Array = np.ndarray[Any, Any]

HELD_OUT, SPLIT_SEED = 0.2, 0  # as for the frozen classifier, which has not seen these either
COUNT, FEWER, EVALUATIONS = 1000, 500, 35  # samples of the long run, and of the short ones
SETS = ("syllables", "drums")
DIMENSION = 512.0
GUIDED = 1.5  # weight of classifier-free guidance in the rows that have any
_SHORT: dict[str, Any] = {
    "steps": 1500,
    "batch_size": 32,
    "learning_rate": 4e-3,
    "precision": "bfloat16",
    "ema_half_life": 5_000,
}
_LONG: dict[str, Any] = _SHORT | {"steps": 8000, "ema_half_life": 15_000}
# Drums have four times the numbers of a syllable, which patches of 2 x 2 make up for, and few clips.
_PATCHES: dict[str, Any] = {"network": {"patch": 2}}
SHORT: dict[str, dict[str, Any]] = {"syllables": _SHORT, "drums": _SHORT | _PATCHES | {"steps": 600}}
LONG: dict[str, dict[str, Any]] = {"syllables": _LONG, "drums": _LONG | _PATCHES | {"steps": 2000}}
SHIPPED: dict[str, Any] = _LONG | {"steps": 4000}  # for the clips of one speaker alone
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "syllables": {},
    "drums": {"rate": 16000, "seconds": 1.024, "epochs": 60},
}
TOLD: dict[str, Any] = _SHORT | {"steps": 1000}  # with tones, to which a pitch and a loudness are told
GAP, GAP_EVALUATIONS, FILLED = (0.1, 0.15), 140, 200  # seconds; of 35 steps that are taken four times; clips
BEST = 150.0  # dB, of what is the same to the last bit

EXAMPLES = """  pfgm benchmark audio representations   MDCT, STFT, log-mel, waveform and others at equal compute
  pfgm benchmark audio sweep             D, and one network for every D (goes on where it was cut)
  pfgm benchmark audio sweep --data drums
  pfgm benchmark audio headline          the long run and the floor
  pfgm benchmark audio gaps              50 ms filled in, beside a straight line and silence
  pfgm benchmark audio control           tones of a pitch and a loudness that are asked for
  pfgm benchmark audio speed             samples a second at 35, 18 and 10 evaluations
  pfgm benchmark audio listen            a page with players: classes, a row per D and per number of steps
  pfgm benchmark audio classifier        train the frozen judge of classes again
  pfgm benchmark audio ship              the long run on the CC-BY speaker into the package"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark audio`."""
    built = parser("audio", "Sounds against D, representations, other networks and held-out clips.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to measure")
    built.add_argument("--data", choices=SETS, default=SETS[0], help="default: %(default)s")
    built.add_argument("--kinds", nargs="+", choices=[*REPRESENTATIONS, *PEERS], help="of the study of representations")
    sweeps.arguments(built)
    arguments = built.parse_args(argv)
    STUDIES[arguments.study](arguments)
    return 0


def representations(arguments: argparse.Namespace) -> None:
    """Each representation with a network of its kind, and other people's networks, at equal operations of training."""
    table, task = _table("representations", arguments, _SHORT, count=FEWER), task_named(arguments.data)
    _floor(table, task)
    budget = _SHORT["steps"] * operations(Audio(), task.train, {})
    own = {name: (Audio(representation=name), DIMENSION, network) for name, network in REPRESENTATIONS.items()}
    others = {name: (adapter, math.inf, network) for name, (adapter, network) in PEERS.items()}
    for name, (adapter, D, network) in {**own, **others}.items():
        if arguments.kinds and name not in arguments.kinds:
            continue
        try:
            steps = round(budget / operations(adapter, task.train, network))
        except PfgmError as error:  # it is not installed
            print(f"{name}: {error}")
            continue
        settings = _SHORT | {"steps": steps, "dimension": D, "network": network}
        for seed in range(3):
            key = {"representation" if name in own else "peer": name, "seed": seed}
            if table.find(key) is None:
                run = f"{arguments.data}-{name}"
                model = trained(arguments, run, adapter, task.train, settings)
                table.cell(key, partial(task.measure, model, seed, count=FEWER))
    print(tables.render(table.path.stem, arguments.results))


def sweep(arguments: argparse.Namespace) -> None:
    """Short runs trained at each D, and one network for every D."""
    settings = SHORT[arguments.data]
    table, task = _table("sweep", arguments, settings, count=FEWER), task_named(arguments.data)
    _floor(table, task)
    measure = partial(task.measure, count=FEWER)
    sweeps.sweep(table, arguments, Audio(), task.train, settings, measure, f"{arguments.data}-")
    print(tables.render(table.path.stem, arguments.results))


def headline(arguments: argparse.Namespace) -> None:
    """The long run, and what is real in its place."""
    table, task = _table("headline", arguments, LONG[arguments.data]), task_named(arguments.data)
    _floor(table, task)
    ways: list[dict[str, Any]] = [{"guidance": 1.0}, {"guidance": GUIDED}, {"guidance": 1.0, "finished": True}]
    for how, seed in product(ways, range(3)):
        key = {"D": DIMENSION, **how, "seed": seed}
        if table.find(key) is None:
            table.cell(key, partial(task.measure, headline_model(arguments), seed, **how))
    print(tables.render(table.path.stem, arguments.results))


def headline_model(arguments: argparse.Namespace) -> Model:
    """The network of the long run."""
    settings = LONG[arguments.data] | {"dimension": DIMENSION}
    return trained(arguments, f"{arguments.data}-headline", Audio(), task_named(arguments.data).train, settings)


def gaps(arguments: argparse.Namespace) -> None:
    """Gaps of 50 ms in held-out clips, filled in, beside a straight line and silence."""
    table, task = _table("gaps", arguments, LONG[arguments.data], gap=GAP, filled=FILLED), task_named(arguments.data)
    for seed, (name, way) in product(range(3), FILLERS.items()):
        table.cell({"way": name, "seed": seed}, partial(_filled, arguments, task, way, seed))
    print(tables.render(table.path.stem, arguments.results))


def control(arguments: argparse.Namespace) -> None:
    """Tones of a pitch and a loudness that are asked for, by what is measured of them, beside fresh tones."""
    table = Table("audio-control", arguments.results)
    table.describe(
        {"data": "tones", "training": TOLD, "evaluations": EVALUATIONS},
        again=arguments.again,
        command="pfgm benchmark audio control",
        machine=machine(arguments.device),
    )
    for seed in range(3):
        fresh = Audio().dataset(f"tones:seed={1000 + seed}")
        asked = fresh.take(np.flatnonzero(np.asarray(fresh.condition["label"]) == "flat")[:FILLED])
        table.cell({"drawn": "fresh tones", "seed": seed}, partial(_followed, asked.objects, asked))
        table.cell({"drawn": "the model", "seed": seed}, partial(_told, arguments, asked, seed))
    print(tables.render(table.path.stem, arguments.results))


def _told(arguments: argparse.Namespace, asked: Dataset, seed: int) -> dict[str, float]:
    settings = TOLD | {"dimension": DIMENSION}
    model = trained(arguments, "tones-control", Audio(), Audio().dataset("tones"), settings)
    return _followed(model.sample(len(asked), seed=1000 + seed, condition=asked.condition), asked)


def _followed(clips: Sequence[Clip], asked: Dataset) -> dict[str, float]:
    """How far clips of steady pitch are from what was asked for: medians in semitones and in dB, and how many are near.

    The pitch of a clip is the median of its voiced frames, by YIN.
    """
    found = [contour(clip.plain, clip.rate) for clip in clips]
    heard = np.array([np.median(np.log2(F0[voiced] / 220)) if voiced.any() else math.inf for F0, voiced in found])
    pitch, loudness = (np.asarray(asked.condition[name])[:, 0] for name in ("pitch", "loudness"))
    semitones = np.abs(12 * (heard - pitch))
    level = np.array([level_db(clip.plain) for clip in clips])
    return {
        "semitones": float(np.median(semitones)),
        "within half a semitone": float((semitones < 0.5).mean()),
        "dB": float(np.median(np.abs(level - 10 * loudness))),
    }


def speed(arguments: argparse.Namespace) -> None:
    """Samples a second, and seconds of sound a second, at several numbers of evaluations, with their quality.

    All in one go, so that the machine is as busy with each.
    """
    table, task = _table("speed", arguments, LONG[arguments.data]), task_named(arguments.data)
    for seed, evaluations in product(range(3), (35, 18, 10)):
        key = {"evaluations": evaluations, "seed": seed}
        if table.find(key) is None:
            table.cell(key, partial(task.measure, headline_model(arguments), seed, evaluations=evaluations))
    print(tables.render(table.path.stem, arguments.results))


def listen(arguments: argparse.Namespace) -> None:
    """The page to listen to: of the long run, and of the sweep's networks as far as they are trained."""
    task, model = task_named(arguments.data), headline_model(arguments)
    every = {}
    for D in sweeps.DIMENSIONS:
        runs = [arguments.runs / f"{arguments.data}-{run}-seed0" / MODEL_FILE for run in (f"d{D:g}", "any")]
        if there := [run for run in runs if run.exists()]:
            every[D] = _drawing(load(there[0]))
    reference = task.reference
    page = listening_page(
        arguments.runs / f"{arguments.data}.html",
        arguments.data,
        (reference.real, task.held_out.condition["label"]),
        reference.train or [],
        reference.spaces[next((name for name in reference.spaces if name in judges.EMBEDDINGS), "log-mel")],
        _drawing(model),
        every,
    )
    print(f"Open {page} in a browser.")


def _drawing(model: Model) -> Draw:
    """Sounds of these classes, drawn by a model."""
    return lambda labels, how: model.sample(len(labels), **Drawing(condition={"label": list(labels)}) | how)


def classifier(arguments: argparse.Namespace) -> None:
    """Train the frozen classifier again, on the training part alone, and put it into the package."""
    task = task_named(arguments.data)
    found = train_classifier(task.train, SPLIT_SEED, held_out=task.held_out, **CLASSIFIERS[arguments.data])
    path = WEIGHTS / f"{arguments.data}.safetensors"
    found.save(path)
    print(f"{path}: {found.accuracy:.1%} of {len(task.held_out)} held-out clips")


def ship(arguments: argparse.Namespace) -> None:
    """The long run on the speaker whose licence allows it into the package, with figures of the rounded weights."""
    name = "syllables:speaker=5"
    task = task_named(name)
    settings = SHIPPED | {"dimension": DIMENSION}
    model = trained(arguments, "syllables-shipped", Audio(), task.train, settings)
    names = ("speech Frechet ratio", "F0 agreement", "level")

    def figures(rounded: Model) -> dict[str, float]:
        found = task.measure(rounded, 0)
        return {name: found[name] for name in names if name in found}

    path = Path(modalities.audio.__file__).parent / FOLDER / "syllables.safetensors"
    shipped(model, path, "pfgm benchmark audio ship", figures)


def operations(adapter: Audio, data: Dataset, network: dict[str, Any]) -> float:
    """Multiplications of a network for one clip of these data."""
    from torch.utils.flop_counter import FlopCounterMode

    fitted = adapter.fit(data.take(np.arange(min(len(data), 64))))
    built = fitted.network(network, ())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        built(torch.zeros(1, *fitted.shape), torch.zeros(1))
    return float(counter.get_total_flops()) / 2


@dataclass(frozen=True)
class Task:
    """A set of sounds in two parts that share no group: to train on, and to compare with."""

    train: Dataset
    held_out: Dataset

    @cached_property
    def prepared(self) -> Callable[[Sequence[Clip]], list[Clip]]:
        """Clips as a model of them hears them: at its rate and loudness, trimmed, and of its length."""
        return Audio().fit(self.train).prepared

    @cached_property
    def reference(self) -> Reference:
        labels = self.train.condition["label"]
        train = self.prepared(self.train.objects)
        tones = Tones.of(train, tone_of(labels), speaker_of(labels)) if spoken(self.train) else None
        embeddings = [name for name in JUDGES[base_of(self.train)] if name in judges.available()]
        return Reference(
            self.prepared(self.held_out.objects),
            train,
            classifier=classifier_of(self.train),
            tones=tones,
            embeddings=embeddings,
        )

    def labels(self, seed: int, count: int) -> Array:
        """Classes as often as among the held-out clips: [count]."""
        given = np.asarray(self.held_out.condition["label"])
        return given[np.random.default_rng([seed, 1]).integers(len(given), size=count)]

    def measure(
        self,
        model: Model,
        seed: int,
        dimension: float | None = None,
        evaluations: int = EVALUATIONS,
        guidance: float = 1.0,
        count: int = 0,
        finished: bool = False,
    ) -> dict[str, Any]:
        """Figures of samples, COUNT if not said, with the classes of the held-out clips.

        finished: at the loudness of training, as `Model.sample` gives them; else as the network draws them.
        """
        labels, started = self.labels(seed, count or COUNT), time.monotonic()
        with progress("sampling") as update:
            drawn = model.draw(
                len(labels),
                seed=1000 + seed,
                condition={"label": labels},
                dimension=dimension,
                evaluations=evaluations,
                guidance=None if guidance == 1 else guidance,
                on_state=update,
            )
            adapter: Any = model.adapter
            clips = adapter.decode(drawn)
            clips = adapter.finished(clips) if finished else clips
        seconds = time.monotonic() - started
        sound = sum(clip.seconds for clip in clips)
        return self.judged(clips, labels, seed) | {
            "seconds": round(seconds, 1),
            "a second": len(labels) / seconds,
            "real time": sound / seconds,
        }

    def judged(self, clips: Sequence[Clip], labels: Array, seed: int) -> dict[str, Any]:
        voices = {"tone": tone_of(labels), "speakers": speaker_of(labels)} if spoken(self.train) else {}
        return self.reference.evaluate(clips, labels, seed=seed, **voices)

    def real(self, seed: int) -> dict[str, Any]:
        """Training clips of the same classes in the place of samples: the floor."""
        labels, own = self.labels(seed, COUNT), np.asarray(self.train.condition["label"])
        rng = np.random.default_rng([seed, 2])
        clips = self.reference.train or []
        chosen = [clips[rng.choice(np.flatnonzero(own == label))] for label in labels]
        figures = self.judged(chosen, labels, seed)
        return {name: value for name, value in figures.items() if "near" not in name}

    def held(self, seed: int) -> dict[str, Any]:
        """What the judges that need no second set say of the held-out clips themselves."""
        labels = np.asarray(self.held_out.condition["label"])
        figures = self.judged(self.reference.real, labels, seed)
        return {name: figures[name] for name in ALONE if name in figures}


# Figures of clips by themselves, which mean something of the very clips that others are compared with.
ALONE = (
    "class accuracy",
    "F0 agreement",
    "voice",
    "level",
    "level spread",
    "clipped",
    "silent",
    "noise",
    "missing classes",
)
JUDGES = {"syllables": ("speech",), "drums": ("effects",)}


@cache
def task_named(name: str) -> Task:
    """The parts of a set by name, the same at every call."""
    return Task(*Audio().dataset(name).split(HELD_OUT, SPLIT_SEED))


def base_of(data: Dataset) -> str:
    """The name of a set without its settings."""
    return data.name.partition(":")[0]


def classifier_of(data: Dataset) -> Classifier | None:
    """The frozen classifier that knows the classes of these data; None where none comes with the package."""
    return shipped_classifier(data.name) if data.name in shipped_classifiers() else None


def spoken(data: Dataset) -> bool:
    return base_of(data) == "syllables"


def tone_of(labels: Any) -> Array:
    """The tones of syllables: "tone-2" of "speaker-5-tone-2"."""
    return np.array([f"tone-{label.rpartition('-')[2]}" for label in np.asarray(labels).astype(str)])


def speaker_of(labels: Any) -> Array:
    """Who says them: "5" of "speaker-5-tone-2", and where there is one alone, that one."""
    return np.array([label.split("-")[1] if label.startswith("speaker") else "5" for label in np.asarray(labels)])


def _floor(table: Table, task: Task) -> None:
    for seed in range(3):
        table.cell({"real": "training clips in place of samples", "seed": seed}, partial(task.real, seed))
    table.cell({"real": "the held-out clips themselves", "seed": 0}, partial(task.held, 0))


def _filled(arguments: argparse.Namespace, task: Task, way: Filler, seed: int) -> dict[str, float]:
    """How far held-out clips whose GAP was filled in this way are from what they were.

    Frechet: of the whole clips in the embedding of others. kept: signal over error outside of the gap, in dB.
    """
    rng = np.random.default_rng([seed, 3])
    chosen = rng.permutation(len(task.held_out))[:FILLED]
    clips = [task.reference.real[i] for i in chosen]
    labels = np.asarray(task.held_out.condition["label"])[chosen]
    waves = torch.stack([clip.waveform for clip in clips])
    rate = clips[0].rate
    free = torch.zeros(waves.shape[2], dtype=torch.bool)
    free[round(GAP[0] * rate) : round(GAP[1] * rate)] = True
    made = [Clip(wave, rate) for wave in way(arguments, waves, free, labels, seed)]

    def parts(given: Sequence[Clip], inside: bool) -> list[Clip]:
        return [Clip(clip.waveform[:, free if inside else ~free], rate) for clip in given]

    figures = {
        "log-spectral distance": _mean(log_spectral_distance, parts(clips, True), parts(made, True)),
        "kept": _mean(lambda a, b: min(snr_db(a, b), BEST), parts(clips, False), parts(made, False)),
    }
    for name in task.reference.spaces:
        if name in judges.EMBEDDINGS:
            figures[f"{name} Frechet"] = frechet_distance(*map(judges.EMBEDDINGS[name], (made, clips)))
    return figures


def _mean(measure: Callable[[Clip, Clip], float], first: Sequence[Clip], second: Sequence[Clip]) -> float:
    return float(np.mean([measure(a, b) for a, b in zip(first, second, strict=True)]))


Filler = Callable[[argparse.Namespace, Tensor, Tensor, Array, int], Tensor]


def _by_model(arguments: argparse.Namespace, waves: Tensor, free: Tensor, labels: Array, seed: int) -> Tensor:
    """By the model of the long run, told the class of each clip, as `fill` does it clip by clip."""
    model = headline_model(arguments)
    adapter: Any = model.adapter
    with progress("filling gaps") as update:
        made = model.sample(
            len(waves),
            seed=1000 + seed,
            condition={"label": labels},
            keep=Part(waves, free),
            evaluations=GAP_EVALUATIONS,
            on_state=update,
        )
    return blended(waves, torch.stack([clip.waveform for clip in made]), free, adapter.view.hop)


def _by_line(arguments: argparse.Namespace, waves: Tensor, free: Tensor, labels: Array, seed: int) -> Tensor:
    """A straight line from the last sample before the gap to the first behind it."""
    first, last = int(free.nonzero()[0]), int(free.nonzero()[-1])
    share = torch.linspace(0, 1, last - first + 3)[1:-1]
    filled = waves.clone()
    filled[:, :, free] = waves[:, :, first - 1 : first] * (1 - share) + waves[:, :, last + 1 : last + 2] * share
    return filled


def _by_silence(arguments: argparse.Namespace, waves: Tensor, free: Tensor, labels: Array, seed: int) -> Tensor:
    return waves * ~free


FILLERS: dict[str, Filler] = {"the model": _by_model, "a straight line": _by_line, "silence": _by_silence}
REPRESENTATIONS: dict[str, dict[str, Any]] = {"mdct": {}, "stft": {}, "log-mel": {}, "waveform": {"channels": 48}}
PEERS: dict[str, tuple[Audio, dict[str, Any]]] = {
    "DiffWave": (Audio(representation="waveform"), {"kind": "diffwave", "channels": 32, "layers": 24, "cycle": 12}),
    "audio-diffusion-pytorch": (PeerAudio(representation="waveform"), {}),
}


def _table(study: str, arguments: argparse.Namespace, training: dict[str, Any], **more: Any) -> Table:
    table = Table(f"audio-{study}" + ("" if arguments.data == SETS[0] else f"-{arguments.data}"), arguments.results)
    table.describe(
        {
            "data": {"name": arguments.data, "held out": HELD_OUT, "split": "by syllable or maker of the kit"},
            "count": COUNT,
            "evaluations": EVALUATIONS,
            "conditions": "the classes of the held-out clips",
            "training": training,
            **more,
        },
        again=arguments.again,
        command=f"pfgm benchmark audio {study} --data {arguments.data}",
        machine=machine(arguments.device),
    )
    return table


STUDIES: dict[str, Callable[[argparse.Namespace], None]] = {
    "representations": representations,
    "sweep": sweep,
    "headline": headline,
    "gaps": gaps,
    "control": control,
    "speed": speed,
    "listen": listen,
    "classifier": classifier,
    "ship": ship,
}
BENCHMARK = Benchmark("audio", "sounds against D, representations, other networks and held-out clips", main)
