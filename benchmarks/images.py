"""Images: `digits` and `mnist5k`, unconditional and by class, over D, evaluations and seeds.

Every run has the same network, budget and data; cells are kept one by one, so that a sweep goes on where it was cut.
A set is cut into three: images to train generators on, images held out for the floor, and images for the judge alone. A
judge that had seen either of the others would tell them from the rest of the world, and samples could beat the floor.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import sweeps, tables
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser, trained
from modalities.images.adapter import Images
from modalities.images.judges import Classifier, efficientnet_features, train_classifier
from modalities.images.metrics import pixel_features
from pfgm_science.data import Dataset
from pfgm_science.errors import PfgmError
from pfgm_science.metrics import (
    frechet_distance,
    kernel_distance,
    memorisation,
    precision_recall,
)
from pfgm_science.model import Guidance, Model
from pfgm_science.progress import progress

SPLIT_SEED = 0
HELD_OUT, JUDGING = 0.2, 0.2  # shares of a set: the rest is trained on
DIMENSIONS = (16.0, 64.0, 128.0, 512.0, 2048.0, math.inf)
# Heun's method leaves noise behind at 9 and 5 evaluations, its five and three steps; DPM-Solver++(2M) does not.
EVALUATIONS = {35: "heun", 19: "heun", 9: "dpm2m", 5: "dpm2m"}
DIMENSION_RANGE = (8.0, 8192.0)
JUDGES = Path(__file__).parent / "judges"
COUNT = 1000

EXAMPLES = """  pfgm benchmark images sweep                      the whole table over D (resumes where it was cut)
  pfgm benchmark images sweep --dimensions 128 inf --seeds 0
  pfgm benchmark images headline                   the long run of README
  pfgm benchmark images guidance                   the headline network pulled towards its classes
  pfgm benchmark images digits                     the 8 x 8 digits, unconditional and by class
  pfgm benchmark images classifier                 train the frozen judge again"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark images`."""
    arguments = _parser().parse_args(argv)
    study = {"sweep": sweep, "headline": headline, "guidance": guidance, "digits": digits, "classifier": classifier}[
        arguments.study
    ]
    study(arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    built = parser("images", "Image generation on digits and mnist5k.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES))
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    built.add_argument("--steps", type=int, default=None, help="training steps a run (default: the study's)")
    built.add_argument("--count", type=int, default=COUNT, help="samples a cell (default: %(default)s)")
    built.add_argument(
        "--evaluations",
        type=int,
        nargs="+",
        choices=list(EVALUATIONS),
        default=list(EVALUATIONS),
        help="columns of the sweep, in calls of the network",
    )
    built.add_argument(
        "--ways",
        nargs="+",
        choices=["trained", "one-network", "at-dimension"],
        default=["trained", "one-network", "at-dimension"],
        help="rows of the sweep",
    )
    built.add_argument("--compile", action="store_true", help="of guidance: compile the networks (C++ compiler)")
    return built


WEIGHTS = (1.0, 1.5, 2.0, 3.0, 4.0)
INTERVAL = (0.28, 2.9)  # noise levels, as Kynkaanniemi et al. found for ImageNet (arXiv 2404.07724)
GUIDANCE_EVALUATIONS = 19
WEAK_STEPS = 1000  # of the model that guides in autoguidance, a tenth of the other's

NETWORK = {"kind": "unet", "channels": 16, "multipliers": [1, 2, 4], "blocks": 1, "patch": 1}
BUDGET = {"batch_size": 32, "learning_rate": 2e-3, "checkpoint_every": 500, "network": NETWORK}
SWEEP_TRAINING: dict[str, Any] = BUDGET | {"steps": 2000, "ema_half_life": 5_000}
HEADLINE_TRAINING: dict[str, Any] = BUDGET | {"steps": 10_000, "ema_half_life": 25_000}
HEADLINE_SEEDS = (0, 1)  # of sampling
HEADLINE_DIMENSION = 16.0  # the best of the sweep at 35, 19 and 9 evaluations


def sweep(arguments: argparse.Namespace) -> None:
    """mnist5k, unconditional: separately trained D, one network for every D, and the D = inf network at every D."""
    train, held_out, _ = data("mnist5k")
    unlabelled = replace(train, condition={})
    training = SWEEP_TRAINING | ({"steps": arguments.steps} if arguments.steps else {})
    table = _table("sweep", "mnist5k", arguments, training=training)
    _floors(table, train, held_out, arguments.count)
    for seed in arguments.seeds:
        for way in arguments.ways:
            for D in arguments.dimensions:
                if way == "at-dimension" and math.isinf(D):
                    continue  # the same cell as trained at inf
                keys = [{"way": way, "D": D, "seed": seed, "evaluations": n} for n in arguments.evaluations]
                if all(table.find(key) for key in keys):
                    continue
                name, settings = _run_of(way, D)
                settings = settings | {"seed": seed} | training
                model = trained(arguments, f"{name}-seed{seed}", Images(), unlabelled, settings)
                sweeps.note_training(table, name, seed, model)
                for key in keys:
                    sampler = Sampling(arguments.count, seed, key["evaluations"], dimension=D)
                    table.cell(key, partial(measure, model, train, held_out, sampler))
    _show(arguments, "sweep-frechet")


def headline(arguments: argparse.Namespace) -> None:
    """mnist5k, one long class-conditional run at the best D: the figures of README, and ten images of each class."""
    train, held_out, _ = data("mnist5k")
    training = HEADLINE_TRAINING | ({"steps": arguments.steps} if arguments.steps else {})
    table = _table("headline", "mnist5k", arguments, training=training, dimension=HEADLINE_DIMENSION)
    _floors(table, train, held_out, arguments.count)
    picture = arguments.results / "images-headline.png"
    keys = [
        {"conditional": conditional, "seed": seed, "evaluations": evaluations}
        for seed, conditional, evaluations in product(HEADLINE_SEEDS, (True, False), arguments.evaluations)
    ]
    if not (picture.exists() and all(map(table.find, keys))):
        model = headline_model(arguments, **training)
        for key in keys:
            table.cell(key, partial(measure, model, train, held_out, Sampling(arguments.count, **key)))
        images = model.sample(100, seed=3, condition={"label": np.repeat(np.arange(10), 10)}, solver=solver_for(35))
        model.adapter.write(str(picture), images)
    _show(arguments, "headline")


def guidance(arguments: argparse.Namespace) -> None:
    """The headline network by class, against the weight of guidance of three kinds."""
    table = _table("guidance", "mnist5k", arguments, training=HEADLINE_TRAINING, weak_steps=WEAK_STEPS)
    ways = {"classifier-free": {}, "in an interval": {"low": INTERVAL[0], "high": INTERVAL[1]}, "autoguidance": {}}
    keys = [
        {"way": way, "weight": weight, "seed": seed}
        for seed, weight, way in product(arguments.seeds, WEIGHTS, ways)
        if weight > 1 or way == "classifier-free"  # a weight of 1 is no guidance in any way
    ]
    if not all(map(table.find, keys)):
        model, weaker = headline_model(arguments), headline_model(arguments, "weak", steps=WEAK_STEPS)
        if arguments.compile:
            model, weaker = model.compiled(), weaker.compiled()
        for key in keys:
            by = weaker if key["way"] == "autoguidance" else None
            how = None if key["weight"] == 1 else Guidance(float(key["weight"]), **ways[str(key["way"])], by=by)
            table.cell(key, partial(guided, model, how, int(key["seed"]), arguments.count))
    _show(arguments, "guidance")


def guided(model: Model, how: Guidance | None, seed: int, count: int) -> dict[str, Any]:
    """Figures of samples of every class equally often, drawn with guidance."""
    condition = every_class(count)
    with progress(f"guidance {how.weight if how else 1}") as update:
        images = model.sample(
            count,
            seed=1000 + seed,
            condition=condition,
            guidance=how,
            solver="heun",
            evaluations=GUIDANCE_EVALUATIONS,
            on_state=update,
        )
    said = judge("mnist5k").judge(images)[1].argmax(1)
    return frechet(images) | {"class_accuracy": float((said == condition["label"]).mean())}


def digits(arguments: argparse.Namespace) -> None:
    """The 8 x 8 digits of scikit-learn: one class-conditional network, sampled with and without the class."""
    train, held_out, _ = data("digits")
    training = {"steps": arguments.steps} if arguments.steps else {}
    arguments.count = len(held_out)
    table = _table("digits", "digits", arguments, training=training)
    _floors(table, train, held_out, arguments.count)
    for D in (128.0, math.inf):
        for seed in arguments.seeds:
            keys = [{"D": D, "seed": seed, "conditional": conditional} for conditional in (False, True)]
            if all(map(table.find, keys)):
                continue
            settings = {"dimension": D, "seed": seed} | training
            model = trained(arguments, f"digits-d{D:g}-seed{seed}", Images(), train, settings)
            for key in keys:
                sampler = Sampling(arguments.count, seed, 35, conditional=bool(key["conditional"]))
                table.cell(key, partial(measure, model, train, held_out, sampler))
    _show(arguments, "digits")


def classifier(arguments: argparse.Namespace) -> None:
    """Train the frozen classifiers on the images set apart for them and keep them in benchmarks/judges/."""
    for name in ("digits", "mnist5k"):
        _, held_out, judging = data(name)
        trained_judge = train_classifier(
            judging.objects, judging.condition["label"], (held_out.objects, held_out.condition["label"]), seed=0
        )
        trained_judge.save(JUDGES / f"{name}-classifier.safetensors")
        print(
            f"{name}: trained on {len(judging)} images, accuracy {trained_judge.accuracy:.4f} on {len(held_out)} others"
        )


def _table(study: str, name: str, arguments: argparse.Namespace, **protocol: Any) -> Table:
    """The table of a study, with the protocol that all its cells share."""
    train, held_out, judging = data(name)
    table = Table(f"images-{study}", arguments.results)
    table.describe(
        {
            "data": {
                "name": name,
                "trained on": len(train),
                "held out": len(held_out),
                "judge trained on": len(judging),
            },
            "judge": {"accuracy": judge(name).accuracy},
            "count": arguments.count,
            "solvers": EVALUATIONS,
            **protocol,
        },
        again=arguments.again,
        command=f"pfgm benchmark images {study}",
        machine=machine(arguments.device),
    )
    return table


def _show(arguments: argparse.Namespace, name: str) -> None:
    print(f"{arguments.results}: {name}\n\n{tables.render(name, arguments.results)}")


@cache
def data(name: str) -> tuple[Dataset, Dataset, Dataset]:
    """Images to train on, held-out ones and those of the judge; the split is the same for every run."""
    rest, held_out = Images().dataset(name).split(HELD_OUT, SPLIT_SEED)
    train, judging = rest.split(JUDGING / (1 - HELD_OUT), SPLIT_SEED)
    return train, held_out, judging


@cache
def judge(name: str) -> Classifier:
    """The frozen classifier of a named set."""
    return Classifier.load(JUDGES / f"{name}-classifier.safetensors")


def unconditional(arguments: argparse.Namespace, D: float) -> Model:
    """The network of the sweep at D, of seed 0."""
    train = replace(data("mnist5k")[0], condition={})
    name, settings = _run_of("trained", D)
    return trained(arguments, f"{name}-seed0", Images(), train, settings | {"seed": 0} | SWEEP_TRAINING)


def headline_model(arguments: argparse.Namespace, name: str = "headline", **training: Any) -> Model:
    """The network of the long run, by class; training: settings that are others for this one."""
    settings = {"dimension": HEADLINE_DIMENSION, "seed": 0} | HEADLINE_TRAINING | training
    return trained(arguments, name, Images(), data("mnist5k")[0], settings)


def every_class(count: int) -> dict[str, Any]:
    """The condition under which each of the ten classes is drawn equally often."""
    return {"label": np.arange(count) % 10}


def frechet(images: np.ndarray, name: str = "mnist5k") -> dict[str, Any]:
    """The figures of samples that are quick to have."""
    features, real = judge(name).judge(images)[0], _real_features(name)
    quality = precision_recall(real, features, k=5)
    return {
        "frechet": frechet_distance(real, features),
        "precision": quality.precision,
        "recall": quality.recall,
    }


@dataclass(frozen=True)
class Sampling:
    """How the samples of a cell are drawn.

    evaluations: calls of the network a sample. conditional: every class equally often, and the class is judged.
    """

    count: int
    seed: int
    evaluations: int
    dimension: float | None = None
    conditional: bool = False


def solver_for(evaluations: int) -> str:
    """The solver of the next column that has at least so many evaluations."""
    return EVALUATIONS[min(column for column in EVALUATIONS if column >= evaluations)]


def measure(model: Model, train: Dataset, held_out: Dataset, sampling: Sampling) -> dict[str, Any]:
    """Figures of samples against the training images; the floor beside them is the held-out images'."""
    labels = np.arange(sampling.count) % 10
    condition = {"label": labels} if sampling.conditional else None
    evaluations = sampling.evaluations // model.calls(sampling.dimension)
    started = time.monotonic()
    with progress(f"sampling at {sampling.evaluations} evaluations") as update:
        images = model.sample(
            sampling.count,
            seed=1000 + sampling.seed,
            condition=condition,
            dimension=sampling.dimension,
            evaluations=evaluations,
            solver=solver_for(evaluations),
            on_state=update,
        )
    seconds = time.monotonic() - started
    figures = distances(images, train) | {"seconds": round(seconds, 2)}
    if sampling.conditional:
        probabilities = judge(train.name).judge(images)[1]
        figures["class_accuracy"] = float((probabilities.argmax(1) == labels).mean())
    return figures | _memorised(images, train, held_out)


def distances(images: np.ndarray, train: Dataset) -> dict[str, Any]:
    """Distances of images to the training images, in the features of both judges."""
    features = judge(train.name).judge(images)[0]
    real = _real_features(train.name)
    quality = precision_recall(real, features, k=5)
    kernel = kernel_distance(real, features, seed=0)
    figures = {
        "frechet_classifier": frechet_distance(real, features),
        "frechet_efficientnet": frechet_distance(_real_efficientnet(train.name), efficientnet_features(images)),
        "kernel_classifier": kernel.value,
        "kernel_low": kernel.low,
        "kernel_high": kernel.high,
        "precision": quality.precision,
        "recall": quality.recall,
        "density": quality.density,
        "coverage": quality.coverage,
    }
    return figures


def _floors(table: Table, train: Dataset, held_out: Dataset, count: int) -> None:
    """The real-real floor: held-out images in the place of generated ones, at the same count."""
    if len(held_out) < count:
        raise PfgmError(
            f"the floor needs {count} held-out images; there are {len(held_out)}: use --count {len(held_out)}"
        )
    real = held_out.objects[:count]
    table.cell({"floor": True}, lambda: distances(real, train) | _memorised(real, train, held_out))


def _run_of(way: str, D: float) -> tuple[str, dict[str, Any]]:
    """Name and settings of the network that a row of the sweep needs."""
    if way == "one-network":
        return "any", {"dimension": 128.0, "dimension_range": DIMENSION_RANGE}
    trained_at = math.inf if way == "at-dimension" else D
    return f"d{trained_at:g}", {"dimension": trained_at}


def _memorised(images: np.ndarray, train: Dataset, held_out: Dataset) -> dict[str, float]:
    result = memorisation(*(pixel_features(each) for each in (images, train.objects, held_out.objects)))
    return {"distance_ratio": result.distance_ratio, "copies": result.copies, "near_copies": result.near_copies}


@cache
def _real_features(name: str) -> np.ndarray:
    return judge(name).judge(data(name)[0].objects)[0]


@cache
def _real_efficientnet(name: str) -> np.ndarray:
    return efficientnet_features(data(name)[0].objects)


STUDIES: dict[str, Callable[[argparse.Namespace], None]] = {
    "sweep": sweep,
    "headline": headline,
    "guidance": guidance,
    "digits": digits,
    "classifier": classifier,
}
BENCHMARK = Benchmark("images", "digits and mnist5k: D, evaluations, seeds; judged by two networks", main)
