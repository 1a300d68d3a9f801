"""CDR-H3 design: loops drawn into held-out templates by the long antibody model, beside baselines and IgLM; and speed.

Each template gets loops of its own length. What is drawn is judged from the outside: is the rest the template's, letter
by letter, is the length the one asked for, how many letters are the template's, and how likely does V(D)J recombination
make such loops (OLGA's Pgen)? Natural loops of the same length, from training clones, are the floor; letters drawn
with the frequencies of each place in loops of that length are what a model must beat.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from benchmarks import antibody, iglm_peer, tables
from benchmarks.runner import Benchmark, Table, machine, parser
from modalities.sequences import Design, antibody_judges, imgt
from modalities.sequences.alphabet import GAP
from modalities.sequences.frame import Frame
from modalities.sequences.objects import text_of, without_gaps
from pfgm_science.errors import PfgmError
from pfgm_science.model import Model
from pfgm_science.progress import progress

SET, REGION = antibody.SETS[0], "CDR-H3"
TEMPLATES, EACH = 100, 20
JUDGED = 3  # designs of each template that OLGA judges, at 2.5 a second, and all that IgLM draws
EVALUATIONS = 35
SPEED_COUNT, PEER_COUNT, REPEATS = 500, 10, 3  # sequences that are timed, and how often

EXAMPLES = """  pfgm benchmark designs h3                              the long run of `antibody`, and baselines
  pfgm benchmark designs h3 --iglm iglm-env/bin/python   beside IgLM, which is installed there
  pfgm benchmark designs throughput --iglm iglm-env/bin/python"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark designs`."""
    built = parser("designs", "CDR-H3 design in held-out templates, beside baselines; and speed.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to measure")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of what is drawn")
    iglm_peer.argument(built)
    built.set_defaults(runs=Path("runs/benchmarks/antibody"), data=SET)
    arguments = built.parse_args(argv)
    STUDIES[arguments.study](arguments)
    return 0


@dataclass(frozen=True)
class Template:
    """aligned: in the columns of the frame. before, loop, after: its letters up to CDR-H3, in it, and behind it."""

    aligned: str
    before: str
    loop: str
    after: str

    @property
    def plain(self) -> str:
        return self.before + self.loop + self.after

    def loop_of(self, text: str) -> str | None:
        """The loop of a design, without gaps; None where anything else differs from the template."""
        end = len(text) - len(self.after)
        kept = end >= len(self.before) and text.startswith(self.before) and text.endswith(self.after)
        return text[len(self.before) : end] if kept else None


Way = Callable[[int, int], list[list[str]]]  # designs of each template, seed -> designs of each template


def h3(arguments: argparse.Namespace) -> None:
    """The model and the baselines, and IgLM where it is there, with as many designs as OLGA judges of the others."""
    table = _table("h3", arguments, {"templates": TEMPLATES, "each": EACH, "judged by OLGA, of each": JUDGED})
    ways: list[tuple[str, int, Way]] = [("the model", EACH, partial(model_designs, arguments)), *BASELINES]
    if arguments.iglm is None:
        print("IgLM is left out: --iglm PYTHON names an environment that has it")
    else:
        ways.append(("IgLM", JUDGED, partial(iglm_designs, arguments.iglm)))
    table.cell({"way": "templates", "each": 1}, lambda: judged([[t.plain] for t in templates()]))
    for seed in arguments.seeds:
        for name, each, way in ways:
            key = {"way": name, "each": each, "seed": seed}
            table.cell(key, partial(_measured, way, each, seed))
    print(tables.render("designs", arguments.results))


def throughput(arguments: argparse.Namespace) -> None:
    """Sequences a second on all cores, whole domains and CDR-H3 designs, and IgLM's by turns where it is there."""
    table = _table("throughput", arguments, {"count": SPEED_COUNT, "IgLM's count": PEER_COUNT, "repeats": REPEATS})
    for what in ("whole domains", "CDR-H3 designs"):
        key = {"what": what, "beside IgLM": arguments.iglm is not None}
        table.cell(key, partial(_speed, arguments, templates()[0] if what == "CDR-H3 designs" else None))
    print(tables.render("designs-throughput", arguments.results))


def judged(designs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Figures of designs without gaps, as many of each template; of those with another rest nothing but their number.

    recovery: mean share of the template's letters that stand in the same IMGT position. unique: share of distinct loops
    of a template. copies: share of loops that a training sequence has. log10 Pgen: its mean over the first JUDGED of
    each template, and W1 to the templates' own; loops that OLGA rules out are counted apart.
    """
    found = [[t.loop_of(text) for text in texts] for t, texts in zip(templates(), designs, strict=True)]
    pairs = [(t, loop) for t, loops in zip(templates(), found, strict=True) for loop in loops if loop is not None]
    figures: dict[str, Any] = {
        "designs": sum(map(len, designs)),
        "rest kept": len(pairs),
        "length as asked": sum(len(loop) == len(t.loop) for t, loop in pairs),
        "recovery": float(np.mean([recovery(loop, t.loop) for t, loop in pairs])),
        "unique": sum(len(set(loops) - {None}) for loops in found) / max(len(pairs), 1),
        "copies": float(np.mean([loop in training_loops()[len(loop)] for _, loop in pairs])),
    }
    try:
        ours = _log10_pgen([loops[:JUDGED] for loops in found])
        theirs = _log10_pgen([[t.loop] for t in templates()])
    except PfgmError as error:
        return figures | {"judges": str(error)}
    possible = ours[np.isfinite(ours)]
    return figures | {
        "judged": len(ours),
        "ruled out": len(ours) - len(possible),
        "log10 Pgen": float(possible.mean()),
        "W1 log10 Pgen": float(wasserstein_distance(possible, theirs[np.isfinite(theirs)])),
    }


def recovery(loop: str, template: str) -> float:
    """The share of a template's letters that a loop has in the same position, where both are laid out as IMGT does."""
    insertions = imgt.insertions(max(len(loop), len(template)))
    places = zip(imgt.loop(loop, insertions), imgt.loop(template, insertions), strict=True)
    return sum(ours == theirs != GAP for ours, theirs in places) / len(template)


def _log10_pgen(loops: Sequence[Sequence[str | None]]) -> np.ndarray:
    """Of loops of each template, with the two letters of it that stand around them."""
    whole = [
        t.before[-1] + loop + t.after[0]
        for t, some in zip(templates(), loops, strict=True)
        for loop in some
        if loop is not None
    ]
    return antibody_judges.log10_pgen(whole)


@cache
def templates() -> tuple[Template, ...]:
    """Held-out domains drawn once for all, with loops of lengths that training clones have too."""
    order = np.random.default_rng(0).permutation(len(antibody.task_named(SET).real))
    chosen: list[Template] = []
    for template in _templates(text_of(antibody.task_named(SET).real.objects[i]) for i in order):
        if len(chosen) < TEMPLATES and template.loop and training_loops()[len(template.loop)]:
            chosen.append(template)
    return tuple(chosen)


@cache
def training_loops() -> dict[int, list[str]]:
    """The loops of training sequences by length, as often as they occur."""
    found: dict[int, list[str]] = defaultdict(list)
    for template in _templates(text_of(record) for record in antibody.task_named(SET).train.objects):
        found[len(template.loop)].append(template.loop)
    return found


def _templates(texts: Iterator[str]) -> Iterator[Template]:
    columns = Frame.restore(antibody.task_named(SET).train.details["frame"]).region(REGION)
    for text in texts:
        parts = (text[: columns.start], text[columns.start : columns.stop], text[columns.stop :])
        yield Template(text, *map(without_gaps, parts))


def natural(each: int, seed: int) -> list[list[str]]:
    """Loops of training sequences that have the template's length."""
    rng = np.random.default_rng([seed, 1])
    loops = [rng.choice(training_loops()[len(t.loop)], each).tolist() for t in templates()]
    return [[t.before + loop + t.after for loop in found] for t, found in zip(templates(), loops, strict=True)]


def frequencies(each: int, seed: int) -> list[list[str]]:
    """Each letter by itself, as often as it stands in that place of training loops of the template's length."""
    rng = np.random.default_rng([seed, 2])
    designs = []
    for t in templates():
        known = np.array([list(loop) for loop in training_loops()[len(t.loop)]])
        drawn = np.stack([rng.choice(known[:, place], each) for place in range(known.shape[1])], 1)
        designs.append([t.before + "".join(row) + t.after for row in drawn])
    return designs


BASELINES: tuple[tuple[str, int, Way], ...] = (
    ("natural loops (floor)", EACH, natural),
    ("letter frequencies", EACH, frequencies),
)


def model_designs(arguments: argparse.Namespace, each: int, seed: int) -> list[list[str]]:
    """Of the long antibody model, without V and J gene: all that it is told is the rest of the template."""
    model = antibody.headline_model(arguments)
    designs = []
    with progress("designing") as update:
        for number, t in enumerate(templates()):
            job = Design(t.aligned, [REGION], {REGION: (len(t.loop), len(t.loop))})
            samples = model.sample(each, around=job, seed=1000 * (seed + 1) + number, evaluations=EVALUATIONS)
            designs.append([without_gaps(text_of(sample)) for sample in samples])
            update(number + 1, len(templates()))
    return designs


def iglm_designs(python: str, each: int, seed: int) -> list[list[str]]:
    """IgLM's infilling of the loop's span; it chooses the length itself, and draws until all are distinct."""
    jobs = [_span(t, each) for t in templates()]
    designs: list[list[str]] = iglm_peer.ask(python, jobs, seed)["sequences"]
    return designs


def _span(t: Template, count: int) -> dict[str, Any]:
    start = len(t.before)
    return {"sequence": t.plain, "start": start, "end": start + len(t.loop), "count": count}


def _measured(way: Way, each: int, seed: int) -> dict[str, Any]:
    started = time.monotonic()
    designs = way(each, seed)
    return {"seconds": round(time.monotonic() - started, 1)} | judged(designs)


def _speed(arguments: argparse.Namespace, template: Template | None) -> dict[str, float]:
    """Sequences a second, of whole domains or of designs in a template: the fastest of repeats by turns with IgLM's.

    A few are drawn before, which are not timed.
    """
    model = antibody.headline_model(arguments)
    jobs = [{"count": n} if template is None else _span(template, n) for n in (1, PEER_COUNT)]
    ours, theirs = [], []
    _drawn(model, template, 8)
    for repeat in range(REPEATS):
        started = time.perf_counter()
        _drawn(model, template, SPEED_COUNT)
        ours.append(time.perf_counter() - started)
        if arguments.iglm is not None:
            theirs.append(iglm_peer.ask(arguments.iglm, jobs, repeat)["seconds"][-1])
    figures = {"ours": SPEED_COUNT / min(ours)}
    if theirs:
        figures["IgLM"] = PEER_COUNT / min(theirs)
        figures["ratio"] = figures["ours"] / figures["IgLM"]
    return figures


def _drawn(model: Model, template: Template | None, count: int) -> None:
    around = None if template is None else Design(template.aligned, [REGION])
    model.sample(count, around=around, evaluations=EVALUATIONS)


def _table(study: str, arguments: argparse.Namespace, protocol: dict[str, Any]) -> Table:
    table = Table(f"designs-{study}", arguments.results)
    table.describe(
        {
            "data": {"name": SET, "held out": antibody.HELD_OUT, "split": "by clones"},
            "region": REGION,
            "evaluations": EVALUATIONS,
            "model": "pfgm benchmark antibody headline",
            "training": antibody.LONG,
            **protocol,
        },
        again=arguments.again,
        command=f"pfgm benchmark designs {study}",
        machine=machine(arguments.device),
    )
    return table


STUDIES: dict[str, Callable[[argparse.Namespace], None]] = {"h3": h3, "throughput": throughput}
BENCHMARK = Benchmark("designs", "CDR-H3 design in held-out templates, beside baselines and IgLM; speed", main)
