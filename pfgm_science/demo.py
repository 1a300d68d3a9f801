"""Images from real digits within minutes on a laptop, and a page that shows how they come about."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pfgm_science import adapters, fieldlines, shipped
from pfgm_science.batch import Batch
from pfgm_science.evaluation import evaluate, measures, provenance, sections, training_curves
from pfgm_science.figures import label, new_figure, robust_limits
from pfgm_science.model import Model, fit, load
from pfgm_science.progress import Watch, duration, progress
from pfgm_science.report import Figure, Item, Report, Section, code, write
from pfgm_science.walk import milestones, walk

if TYPE_CHECKING:
    import matplotlib.figure

_CLASSIFIER = (
    "The classifier is hard to please here: real images have 17 greys and margins that are exactly black, samples have "
    "256 greys and margins that are nearly black. The eye does not see it; a linear classifier does."
)

PAGE = "index.html"
EVALUATIONS = (5, 9, 19, 35)
COUNT = 898  # samples that are measured: half of the digits, so that the floor can be of the same size
CLOUD = 1500  # samples of the toy
TOY_STEPS = 2000
SHIPPED = 15  # samples of each model that comes with the package


def demo(
    out: str | Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    on_message: Callable[[str], None] = print,
    watch: Watch = progress,
) -> Path:
    """Train on the digits of scikit-learn, by class, and on a toy in the plane; sample, measure, write out/index.html.

    steps: of either training, for a quick look (default: the adapter's recipe). What is found in out is resumed, so a
    demo that was cut goes on where it was. watch(description) shows progress. Returns the path of the page.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    on_message("Digits: 1,797 real images of 8 x 8 pixels (scikit-learn). Training a network on them, by class.")
    data, model = _digits(out, steps, seed, watch)
    on_message("Sampling and measuring.")
    with watch("sampling digits") as update:
        evaluation = evaluate(model, data, count=COUNT, seed=seed, on_state=update)
    by_class = _by_class(model, data, seed)
    fast = _fast(model, seed)
    on_message("A toy in the plane: eight Gaussians.")
    flow = _flow(out, steps, seed, watch)
    if shipped.models():
        on_message(f"Samples of the models that come with this package: {', '.join(shipped.models())}.")
    shown = _shipped(seed, watch)
    on_message("Drawing.")
    taken = duration(time.monotonic() - started)
    facts = evaluation.provenance
    views = sections(evaluation, model)
    page = Report(
        title="Digits out of noise",
        lead="A small PFGM++ model, trained on this machine on real handwritten digits, and how it makes new ones.",
        facts={
            "real images": len(data),
            "extra dimensions D": facts["extra dimensions D"],
            "parameters": facts["parameters"],
            "training steps": facts["training steps"],
            "training time": facts["training time"],
            "evaluations a sample": facts["evaluations a sample"],
            "whole demo": taken,
        },
        sections=[
            by_class,
            *(view for view in views[:-2] if view.title != "Real and generated"),
            measures(evaluation, _CLASSIFIER),
            fast,
            *shown,
            _lines(),
            flow,
            *training_curves(out / "digits"),
            provenance(facts),
            _next(out),
        ],
        foot=f"Made by pfgm-science {facts['pfgm-science']}. The page is one file and needs no network.",
    )
    path = write(out / PAGE, page)
    on_message(f"Done in {taken}.")
    return path


def _digits(out: Path, steps: int | None, seed: int, watch: Watch) -> tuple[Any, Model]:
    adapter = adapters.find("images")()
    data = adapter.dataset("digits")
    fitted = adapter.fit(data)
    total = steps or int(fitted.recipe(len(data))["training"]["steps"])
    with watch("training on digits") as update:
        model = fit(
            adapter,
            data,
            folder=out / "digits",
            on_step=lambda at: update(at.step, at.steps),
            seed=seed,
            dimension=128.0,
            steps=total,
            validate_every=max(total // 10, 1),
            log_every=max(total // 200, 1),
        )
    return data, model


def _by_class(model: Model, data: Any, seed: int) -> Section:
    """Ten of each class, real and generated, one class a row."""
    classes = [name for spec in model.specs if spec.name == "label" for name in spec.classes]
    labels = np.asarray(data.condition["label"]).astype(str)
    real = np.concatenate([np.flatnonzero(labels == name)[:10] for name in classes])
    generated = model.sample(10 * len(classes), seed=seed + 1, condition={"label": np.repeat(classes, 10)})
    items = [
        Figure(model.adapter.picture(data.take(real).objects, "Real"), "The first ten of each class in the data."),
        Figure(
            model.adapter.picture(generated, "Generated"),
            "Ten samples of each class that was asked for, none selected.",
            alt="A sheet of generated digits, one row for each class from 0 to 9",
        ),
    ]
    return Section(
        "Ten of each class",
        "Each row was asked for one digit, from 0 to 9. The images are 8 pixels wide: that is what the data are.",
        items,
    )


def _fast(model: Model, seed: int) -> Section:
    classes = [name for spec in model.specs if spec.name == "label" for name in spec.classes]
    condition = {"label": classes}
    items = []
    for evaluations in EVALUATIONS:
        objects = model.sample(len(classes), seed=seed + 2, condition=condition, evaluations=evaluations)
        title = f"{evaluations} evaluations"
        items.append(Figure(model.adapter.picture(objects, title), alt=f"Digits 0 to 9 sampled with {title}"))
    text = (
        "The same ten draws from the prior, carried to the data in larger and in smaller steps. An evaluation is one "
        "call of the network, and the solver takes one a step. What a sample "
        "becomes is settled by its seed; more steps only sharpen it."
    )
    return Section("Fewer evaluations", text, items)


def _shipped(seed: int, watch: Watch) -> list[Section]:
    """Samples of the models that come with the installed adapters, and how one of each emerges."""
    sections = []
    for name, path in shipped.models().items():
        model = load(path)
        with watch(f"sampling {name}") as update:
            objects = model.sample(SHIPPED, seed=seed, condition=_in_turn(model), on_state=update)
        facts = model.history
        card = ", ".join(f"{key.replace('_', ' ')} {_short(value)}" for key, value in facts.get("figures", {}).items())
        text = (
            f"The first {SHIPPED} samples of the model {name!r} that comes with this package"
            f"{', its classes in turn' if _in_turn(model) else ''}, trained on "
            f"{facts['data']['name']} ({facts['data']['licence']}) at D = {model.dimension:g}. Measured of it: {card}."
        )
        own = getattr(model.adapter, "shown", None)
        items: list[Item] = (
            [Figure(model.adapter.picture(objects), alt=f"{SHIPPED} samples of {name}")]
            if own is None
            else own(objects)
        )
        command = f"pfgm sample {name} --count 100"
        found = Section(f"Shipped: {name}", text, [*items, code(command)])
        emergence = getattr(model.adapter, "emergence", None)
        if emergence is not None:
            grown = emergence(milestones(walk(model, seed), model.denoiser.sigma_data))
            found = Section(found.title, f"{text}\n\n{grown.text}", [*items, *grown.items, code(command)])
        sections.append(found)
    return sections


def _in_turn(model: Model) -> dict[str, list[str]]:
    """The classes of a model's labels in turn, one a sample; nothing for a model without."""
    classes = next((spec.classes for spec in model.specs if spec.name == "label" and spec.kind == "class"), ())
    return {"label": [classes[i % len(classes)] for i in range(SHIPPED)]} if classes else {}


def _short(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def _lines() -> Section:
    angles = np.arange(8) * np.pi / 4
    ring = 1.4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    text = (
        "PFGM++ reads the data as charges in a space with D more dimensions, at distance r = 0, and moves samples "
        "along the field lines of these charges: from far away, where the field is that of a single charge and easy to "
        "draw from, down to the data. D = 1 is the original Poisson flow; as D grows the lines become those of "
        "diffusion.\n\n"
        "Here the field is exact, of a handful of points. Lines share the prior evenly, so their closeness is "
        "probability, and each has the colour of the point where it ends."
    )
    items = [
        Figure(
            fieldlines.draw(),
            "Four points on a line: x across, distance r upwards, the shade is the density at each height. The smaller "
            "D, the heavier the tails of the prior, and the farther from the sides do lines come in.",
            "Field lines that fall from above onto four points on a line, for D = 1, 8 and infinity",
        ),
        Figure(
            fieldlines.draw(points=ring, lines=110),
            "Eight points on a circle, in the space of x, y and (upwards) r: lines enter through a dome.",
            "Field lines that fall from a dome onto eight points on a circle, for D = 1, 8 and infinity",
        ),
    ]
    return Section("Field lines", text, items)


def _flow(out: Path, steps: int | None, seed: int, watch: Watch) -> Section:
    """A learned field: one cloud of samples on its way from the prior to eight Gaussians."""
    adapter = adapters.find("vectors")()
    data = adapter.dataset("eight-gaussians")
    with watch("training on the toy") as update:
        model = fit(
            adapter,
            data,
            folder=out / "toy",
            on_step=lambda at: update(at.step, at.steps),
            seed=seed,
            dimension=8.0,
            steps=min(steps or TOY_STEPS, TOY_STEPS),
            validation=0.0,
            network={"width": 128, "depth": 3},
        )
    batch = Batch(torch.zeros(CLOUD, 2))
    states = list(model.trajectory(batch, range(CLOUD), seed=seed, evaluations=79))
    wanted = (states[0].sigma, 3.0, 1.0, 0.4, 0.15, 0.0)
    chosen = [min(states, key=lambda state: abs(math.log(state.sigma + 1e-3) - math.log(w + 1e-3))) for w in wanted]
    clouds = [(state.sigma, model.adapter.decode(Batch(state.x.float()))) for state in chosen]
    text = (
        f"A learned field at work: the same {CLOUD:,} samples at six noise levels, from the prior (D = 8) to the data. "
        "A sample has one colour all the way, that of the direction in which it ends; mind that the axes shrink."
    )
    figure = Figure(
        _clouds(clouds),
        "Samples of eight Gaussians, from the prior at the left to the data at the right.",
        "Six scatter plots in which a round cloud becomes eight small clouds on a circle",
    )
    return Section("From prior to data", text, [figure])


def _clouds(clouds: list[tuple[float, Any]]) -> matplotlib.figure.Figure:
    figure, axes = new_figure(9.6, 2.0, 1, len(clouds))
    end = clouds[-1][1]
    eighth = np.round(np.arctan2(end[:, 1], end[:, 0]) / (np.pi / 4)).astype(int) % 8
    colours = np.array(fieldlines.COLOURS)[eighth]
    for ax, (sigma, rows) in zip(axes, clouds, strict=True):
        reach = max(abs(limit) for column in rows.T for limit in robust_limits(column))
        ax.scatter(rows[:, 0], rows[:, 1], s=3, c=colours, linewidths=0, alpha=0.8, rasterized=True)
        ax.set_xlim(-reach, reach)
        ax.set_ylim(-reach, reach)
        ax.set_aspect("equal")
        ax.set_xticks([-_round(reach), 0, _round(reach)])
        ax.set_yticks([])
        label(ax, f"σ = {sigma:.3g}" if sigma >= 1 else f"σ = {sigma:.2f}" if sigma else "σ = 0: data")
    return figure


def _round(reach: float) -> float:
    """A tick inside the axes: one significant digit of three quarters of their reach."""
    value = 0.75 * reach
    scale = 10.0 ** math.floor(math.log10(value))
    return max(1, math.floor(value / scale)) * scale


def _next(out: Path) -> Section:
    commands = "\n".join(
        [
            f"pfgm sample {out / 'digits'} --label 7 --count 100 --out sevens.npz",
            f"pfgm evaluate {out / 'digits'}",
            "pfgm train images my-images.zip --out runs/mine",
            "pfgm --help",
        ]
    )
    return Section("What next", "Sample this model again, or train on images of your own:", [code(commands)])
