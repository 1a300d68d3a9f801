"""Markdown tables made from the result files, and put between their marks in README and docs.

`python -m benchmarks.tables` rewrites them; a test fails when page and results disagree. A mark is a line
`<!-- table: NAME -->`, the table runs up to the line `<!-- end of table -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import agreement
from benchmarks.agreement import LARGE, SIZED
from benchmarks.runner import RESULTS, Table, dimension_text, published, written
from pfgm_science import spread
from pfgm_science.denoiser import PRECONDITIONINGS
from pfgm_science.files import write_bytes
from pfgm_science.robustness import NONE, dimensions_of, distances
from pfgm_science.robustness import rows as trouble_rows
from pfgm_science.solvers import SOLVERS
from pfgm_science.spread import mean_and_spread

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/benchmarks.md", "docs/physics.md", "docs/dimension.md")
MARK = re.compile(r"(<!-- table: ([\w-]+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)
EVALUATIONS = (35, 19, 9, 5)
IN_TROUBLE = ("digits", "mnist5k", "cytometry", "planar-20", "airrdb", "5s-rrna", "syllables")
CLAIMED = (("step-errors", 0.2), ("weight-bits", 6), ("weight-bits", 5))  # of arXiv 2302.04265, section 5
WAYS = {"trained": "trained at D", "one-network": "one network for every D", "at-dimension": "the D = inf network at D"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the pages; returns 1 when something changed, so that a hook can tell."""
    changed = []
    for name in PAGES:
        page = ROOT / name
        if page.exists():
            before = page.read_text(encoding="utf-8")
            after = filled(before)
            if after != before:
                write_bytes(page, after.encode())
                changed.append(name)
    print("rewritten: " + ", ".join(changed) if changed else "every table is up to date")
    return 1 if changed else 0


def filled(text: str, results: Path = RESULTS) -> str:
    """The text with every marked table made anew."""
    return MARK.sub(lambda m: f"{m[1]}{render(m[2], results)}\n{m[4]}", text)


def render(name: str, results: Path = RESULTS) -> str:
    """One table as Markdown; KeyError for a name that no table has."""
    return TABLES[name](results)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column left and the others right aligned."""
    lines = [list(header), ["---"] + ["---:"] * (len(header) - 1), *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def sweep(metric: str, digits: int = 3) -> Callable[[Path], str]:
    """mnist5k: one metric, a row a D and way, a column a number of evaluations."""

    def made(results: Path) -> str:
        table = Table("images-sweep", results)
        rows = []
        for way, words in WAYS.items():
            for D in _dimensions(table.select(way=way)):
                cells = [_over_seeds(table, metric, digits, way=way, D=D, evaluations=n) for n in EVALUATIONS]
                rows.append([words, dimension_text(D), *cells])
        floor = _over_seeds(table, metric, digits, floor=True)
        rows.append(["held-out images (floor)", "", floor, *[""] * (len(EVALUATIONS) - 1)])
        return markdown(["network", "D", *[f"{n} evaluations" for n in EVALUATIONS]], rows)

    return made


def solvers(task: str) -> Callable[[Path], str]:
    """Frechet distance, a row a D, solver and grid, a column a number of evaluations."""

    def made(results: Path) -> str:
        table = Table(f"solvers-{task}", results)
        columns = sorted({c["key"]["evaluations"] for c in table.cells if "evaluations" in c["key"]})
        rows = []
        for D in _dimensions(table.cells):
            cells = [c["key"] for c in table.select(D=D) if "evaluations" in c["key"]]
            for solver, grid in sorted({(key["solver"], key["grid"]) for key in cells}, key=_by_registry):
                key = {"D": D, "solver": solver, "grid": grid}
                values = [_over_seeds(table, "frechet", 3, **key, evaluations=n) for n in columns]
                rows.append([dimension_text(D), solver, grid, *values])
        return markdown(["D", "solver", "grid", *map(str, columns)], rows)

    return made


def adaptive(task: str) -> Callable[[Path], str]:
    """The solver that chooses its own steps: a row a D and tolerance."""

    def made(results: Path) -> str:
        table = Table(f"solvers-{task}", results)
        rows = [
            [
                dimension_text(D),
                f"{c['key']['tolerance']:g}",
                *(f"{c['figures'][n]:.3g}" for n in ("evaluations", "frechet")),
            ]
            for D in _dimensions(table.cells)
            for c in sorted(table.select(D=D, grid="its own"), key=lambda c: -float(c["key"]["tolerance"]))
        ]
        return markdown(["D", "tolerance", "evaluations", "FD"], rows)

    return made


def headline(results: Path) -> str:
    """mnist5k, the long run: every metric, unconditional and by class."""
    table = Table("images-headline", results)
    columns = {
        "FD classifier": "frechet_classifier",
        "FD EfficientNet-lite0": "frechet_efficientnet",
        "precision": "precision",
        "recall": "recall",
        "class accuracy": "class_accuracy",
    }
    rows = []
    for conditional in (False, True):
        for n in EVALUATIONS:
            key = {"conditional": conditional, "evaluations": n}
            if table.select(**key):
                words = "by class" if conditional else "unconditional"
                rows.append([words, str(n), *[_over_seeds(table, c, 3, **key) for c in columns.values()]])
    floor = [_over_seeds(table, c, 3, floor=True) for c in columns.values()]
    rows.append(["held-out images (floor)", "", *floor])
    return markdown(["samples", "evaluations", *columns], rows)


def guidance(results: Path) -> str:
    """mnist5k by class: a row a way of guiding and figure, a column a weight."""
    table = Table("images-guidance", results)
    weights = sorted({c["key"]["weight"] for c in table.cells})
    rows = []
    for way in ("classifier-free", "in an interval", "autoguidance"):
        for figure, words in {
            "frechet": "FD classifier",
            "class_accuracy": "class accuracy",
            "precision": "precision",
            "recall": "recall",
        }.items():
            key = [{"way": "classifier-free" if w == 1 else way, "weight": w} for w in weights]
            rows.append([way, words, *[_over_seeds(table, figure, 3, **k) for k in key]])
    return markdown(["guidance", "figure", *[f"weight {w:g}" for w in weights]], rows)


def digits(results: Path) -> str:
    """The 8 x 8 digits."""
    table = Table("images-digits", results)
    columns = {
        "FD classifier": "frechet_classifier",
        "precision": "precision",
        "recall": "recall",
        "class accuracy": "class_accuracy",
        "near copies": "near_copies",
    }
    rows = []
    for D in _dimensions(table.select(conditional=True)):
        for conditional in (False, True):
            words = "by class" if conditional else "unconditional"
            values = [_over_seeds(table, c, 3, D=D, conditional=conditional) for c in columns.values()]
            rows.append([words, dimension_text(D), *values])
    rows.append(["held-out images (floor)", "", *[_over_seeds(table, c, 3, floor=True) for c in columns.values()]])
    return markdown(["samples", "D", *columns], rows)


def vectors(results: Path) -> str:
    """Toys, exact density and tables: a row a set, a column a D and the floor."""
    table = Table("vectors", results)
    names = dict.fromkeys(c["key"]["set"] for c in table.cells if "sliced_wasserstein" in c["figures"])
    columns = _dimensions(table.cells)
    rows = []
    for name in names:
        for metric, words in (
            ("sliced_wasserstein", "sliced W1"),
            ("two_sample_accuracy", "two-sample accuracy"),
            ("log_likelihood", "log-likelihood"),
        ):
            if any(metric in c["figures"] for c in table.select(set=name)):
                values = [_over_seeds(table, metric, 3, set=name, D=D) for D in columns]
                rows.append([name, words, *values, _over_seeds(table, metric, 3, set=name, floor=True)])
    return markdown(["set", "figure", *[f"D = {dimension_text(D)}" for D in columns], "floor"], rows)


def simplex(results: Path) -> str:
    """Random categorical laws: a row a number of classes, a column a D and the floor."""
    table = Table("simplex", results)
    columns = _dimensions(table.cells)
    rows = []
    for K in sorted({c["key"]["K"] for c in table.cells}):
        values = [_over_seeds(table, "kl", 2, K=K, D=D) for D in columns]
        rows.append([str(K), *values, _over_seeds(table, "kl", 2, K=K, floor=True)])
    return markdown(["classes", *[f"D = {dimension_text(D)}" for D in columns], "fresh draws (floor)"], rows)


def tails(results: Path) -> str:
    """Heavy tails: log ratio of quantiles of samples to those of fresh data, and the error of their dependence."""
    table = Table("vectors", results)
    names = dict.fromkeys(c["key"]["set"] for c in table.cells if "tail_0.99" in c["figures"])
    columns = _dimensions(table.cells)
    rows = []
    for name in names:
        for level in ("0.99", "0.999", "0.9999"):
            values = [_over_seeds(table, f"tail_{level}", 2, set=name, D=D) for D in columns]
            rows.append(
                [name, f"quantile {level}", *values, _over_seeds(table, f"tail_{level}", 2, set=name, floor=True)]
            )
        for q in ("0.05", "0.01"):
            figure = f"dependence_{q}"
            if any(figure in c["figures"] for c in table.select(set=name)):
                values = [_over_seeds(table, figure, 2, set=name, D=D) for D in columns]
                rows.append([name, f"dependence {q}", *values, _over_seeds(table, figure, 2, set=name, floor=True)])
    return markdown(["set", "tail", *[f"D = {dimension_text(D)}" for D in columns], "floor"], rows)


def preconditioning(results: Path) -> str:
    """Distance to data: a row a network and preconditioning, a column a D."""
    table = Table("dimension-preconditioning", results)
    dimensions = _dimensions(table.cells)
    rows = []
    for data, size in sorted({(c["key"]["data"], c["key"]["network"]) for c in table.cells}, reverse=True):
        for name in PRECONDITIONINGS:
            of = {"data": data, "network": size, "preconditioning": name}
            rows.append(
                [f"{data}, {size}", name, *(_over_seeds(table, SIZED[data].figure, 3, **of, D=D) for D in dimensions)]
            )
    return markdown(["data and network", "preconditioning", *(f"D = {dimension_text(D)}" for D in dimensions)], rows)


def noise(results: Path) -> str:
    """Distance to data: a row for data, evaluations and a solver, a column a D."""
    table = Table("dimension-noise", results)
    rows, dimensions = [], _dimensions(table.cells)
    keys = {(c["key"]["data"], c["key"]["evaluations"], c["key"]["solver"]) for c in table.cells}
    for data, evaluations, solver in sorted(
        keys, key=lambda of: (list(SIZED).index(of[0]), -of[1], list(SOLVERS).index(of[2]))
    ):
        of = {"data": data, "evaluations": evaluations, "solver": solver}
        figures = [_over_seeds(table, SIZED[data].figure, 3, **of, D=D) for D in dimensions]
        rows.append([data, str(evaluations), solver, *figures])
    return markdown(["data", "evaluations", "solver", *map(_named, dimensions)], rows)


def sizes(data: str) -> Callable[[Path], str]:
    """Distance to data: a row a network, budget and way, a column a D, or a level that is told instead."""
    figure = SIZED[data].figure

    def made(results: Path) -> str:
        found = {
            f"{size}, {steps:,} steps": table
            for size, steps in _trained_sizes(data, results)
            if (table := Table(f"dimension-{data}-{size}-{steps}", results)).cells
        }
        columns = _dimensions([cell for table in found.values() for cell in table.select(way="trained")])
        told = sorted({c["key"]["told"] for table in found.values() for c in table.cells if "told" in c["key"]})
        rows = []
        for name, table in found.items():
            for way, words in WAYS.items():
                cells = [_over_seeds(table, figure, 3, way=way, D=D) for D in columns]
                if way == "at-dimension" and columns and columns[-1] == "inf":
                    cells[-1] = "as trained"
                rows.append([name, words, *cells])
            for share in told:
                words = f"the D = inf network at D = inf, told {share:g} sigma"
                there = _over_seeds(table, figure, 3, told=share)
                rows.append([name, words, *[""] * (len(columns) - 1), there])
        return markdown(["network", "way", *map(_named, columns)], rows)

    return made


def _trained_sizes(data: str, results: Path) -> list[tuple[str, int]]:
    """Networks and budgets that a folder of results has of data, the small network first."""
    found = [path.stem.rsplit("-", 2)[1:] for path in (results or RESULTS).glob(f"dimension-{data}-*-*.json")]
    return sorted(((size, int(steps)) for size, steps in found), key=lambda of: (of[0] == LARGE, of))


def rule(results: Path) -> str:
    """Errors of known size on the exact field: what D they suggest, and the distance to data at each D."""
    table = Table("dimension-rule", results)
    dimensions = _dimensions(table.cells)
    rows = []
    for N, alpha in sorted({(c["key"]["N"], c["key"]["alpha"]) for c in table.cells if "N" in c["key"]}):
        of = {"N": N, "alpha": alpha}
        way = {**of, "errors": "along the way"}
        e2, *told = [_over_seeds(table, figure, 2, **way) for figure in ("second moment", "D", "first guess")]
        there = [_over_seeds(table, "frechet", 3, **of, at=rule) for rule in ("D", "first guess")]
        suggested = [f"{D}: {distance}" for D, distance in zip(told, there, strict=True)]
        rows.append(
            [f"{N}", f"{alpha:g}", e2, *suggested, *(_over_seeds(table, "frechet", 3, **of, D=D) for D in dimensions)]
        )
    blank = [""] * (len(dimensions) - 1)
    rows.append(["fresh data (floor)", *[""] * 4, _over_seeds(table, "frechet", 3, floor=True), *blank])
    return markdown(["N", "alpha", "e^2", "D suggested: distance", "2/e^2: distance", *map(_named, dimensions)], rows)


def _named(D: float | str) -> str:
    return f"D = {dimension_text(D)}"


def troubles(name: str) -> Callable[[Path], str]:
    """Trained networks in trouble: a row a trouble and strength, a column a D; in brackets: over what it is without."""

    def made(results: Path) -> str:
        table = Table(name, results)
        dimensions = dimensions_of(table)
        rows = []
        for trouble, strength, found in trouble_rows(table):
            cells = []
            for D, (mean, deviation) in zip(dimensions, found, strict=True):
                lost = _lost(table, trouble, strength, D)
                factor = f" ({mean_and_spread(lost)[0]:.2f})" if lost else ""
                there = distances(table, trouble, strength, D)
                cells.append(f"{spread.written(mean, deviation, 2)}{factor}" if there else "-")
            rows.append([trouble if trouble == NONE else f"{trouble} {strength:g}", *cells])
        return markdown(["trouble and strength", *(f"D = {dimension_text(D)}" for D in dimensions)], rows)

    return made


def claims(results: Path) -> str:
    """What the authors say of networks, over all domains: how many times as far from data samples are, at each D."""
    rows = []
    for of in IN_TROUBLE:
        table = Table(f"robustness-{of}", results)
        protocol = table.about.get("protocol", {})
        if protocol.get("solver") != "heun":  # what was measured otherwise is no row beside these
            continue
        every = dimensions_of(table)
        trainings = "one" if protocol["once"] else f"{len({c['key']['seed'] for c in table.cells})}"
        for trouble, strength in CLAIMED:
            if table.select(trouble=trouble, strength=strength):
                lost = [f"D = {dimension_text(D)}: {written(_lost(table, trouble, strength, D), 2)}" for D in every]
                rows.append([of, trainings, f"{trouble} {strength:g}", lost[0], ", ".join(lost[1:-1]), lost[-1]])
    return markdown(["data", "trainings", "trouble", "smallest D", "between", "largest D"], rows)


def _lost(table: Table, trouble: str, strength: float, D: float) -> list[float]:
    """The distance in trouble over that without, of each seed that has both."""
    found = []
    for cell in table.select(trouble=trouble, strength=strength):
        if float(cell["key"]["D"]) == D:
            for calm in table.select(trouble=NONE, D=cell["key"]["D"], seed=cell["key"]["seed"]):
                found.append(float(cell["figures"]["distance"]) / float(calm["figures"]["distance"]))
    return found


def robustness(results: Path) -> str:
    """Errors injected into sampling with the exact field: a row an alpha, a column a D."""
    table = Table("robustness", results)
    columns = _dimensions(table.cells)
    alphas = sorted({c["key"]["alpha"] for c in table.cells if "alpha" in c["key"]})
    rows = [[f"{a:g}", *[_over_seeds(table, "frechet", 3, alpha=a, D=D) for D in columns]] for a in alphas]
    rows.append(["fresh data (floor)", _over_seeds(table, "frechet", 3, floor=True), *[""] * (len(columns) - 1)])
    return markdown(["alpha", *[f"D = {dimension_text(D)}" for D in columns]], rows)


def constraints(results: Path) -> str:
    """Kept coordinates and measurements: a row a task and method, a column a D."""
    table = Table("constraints", results)
    columns = _dimensions(table.cells)
    rows = []
    for task in dict.fromkeys(c["key"]["task"] for c in table.cells):
        names = dict.fromkeys(c["key"]["method"] for c in table.select(task=task) if "method" in c["key"])
        for figure, words in {
            "accuracy": "two-sample accuracy",
            "agree": "at a point that agrees",
            "variation": "total variation of the choice",
            "off_measurement": "size of A y - z",
        }.items():
            if any(c["figures"].get(figure, 0) > 1e-9 for c in table.select(task=task)):  # what is met is met
                floor = _over_seeds(table, figure, 3, task=task, floor=True)
                for method in names:
                    values = [_over_seeds(table, figure, 3, task=task, method=method, D=D) for D in columns]
                    rows.append([task, words, method, *values, floor])
    return markdown(["task", "figure", "method", *[f"D = {dimension_text(D)}" for D in columns], "exact draws"], rows)


def speed(results: Path) -> str:
    """Ratios to peers."""
    rows = []
    for cell in Table("speed", results).cells:
        f = cell["figures"]
        rows.append([f["what"], f"{f['value']:.3f}", f"{f['low']:.3f} to {f['high']:.3f}", f"<= {f['goal']:g}"])
    return markdown(["measure", "ratio", "range of the pairs", "goal"], rows)


@dataclass(frozen=True)
class Figures:
    """Columns of a table. names: heading -> name of the figure; percent: figures in [0, 1] that are shown in percent.

    exact: figures with three digits, where the others have two; none: all have three.
    """

    names: Mapping[str, str]
    percent: Sequence[str]
    exact: Sequence[str] = ()

    def cells(self, found: Sequence[Mapping[str, float]]) -> list[str]:
        """Mean and spread of each over several measurements, such as seeds."""
        cells = []
        for figure in self.names.values():
            values = [100 * f[figure] if figure in self.percent else f[figure] for f in found if figure in f]
            cells.append(written(values, 3 if figure in (self.exact or self.names.values()) else 2))
        return cells


GRAPH_FIGURES = {
    "V.U.N.": "vun",
    "valid": "valid",
    "unique": "unique",
    "novel": "novel",
    "ratio": "ratio",
    "degree": "degree",
    "clustering": "clustering",
    "orbit": "orbit",
    "spectral": "spectral",
    "wavelet": "wavelet",
    "GIN MMD": "gin_mmd",
    "GIN FD": "gin_frechet",
}
GRAPH_JUDGED = ("degree", "clustering", "orbit", "spectral", "wavelet", "ratio", "gin_mmd", "vun")
_SHARES = ("vun", "valid", "unique", "novel")  # shown in percent, as the field does
GRAPHS = Figures(GRAPH_FIGURES, _SHARES, exact=(*_SHARES, "ratio"))


def graph_sweep(name: str) -> Callable[[Path], str]:
    """One set of graphs: a row a way and D, over seeds."""

    def made(results: Path) -> str:
        table = Table(f"graphs-sweep-{name}", results)
        rows = [
            [words, dimension_text(D), *_graph_figures(table, way=way, D=D)]
            for way, words in WAYS.items()
            for D in _dimensions(table.select(way=way))
        ]
        rows.append(["the true generator (floor)", "", *_graph_figures(table, floor=True)])
        return markdown(["network", "D", *GRAPH_FIGURES], rows)

    return made


def graph_headline(results: Path) -> str:
    """The long runs: a row a set, number of evaluations and guidance, with the floor below."""
    rows = []
    for path in sorted(results.glob("graphs-headline-*.json")):
        table, name = Table(path.stem, results), path.stem.removeprefix("graphs-headline-")
        for key in _headline_ways(table):
            rows.append([name, _headline_words(key), *_graph_figures(table, **key)])
        rows.append([name, "true generator (floor)", *_graph_figures(table, floor=True)])
    return markdown(["graphs", "samples", *GRAPH_FIGURES], rows)


def _headline_ways(table: Table) -> list[dict[str, Any]]:
    """Evaluations and guidance of the samples in the table of a long run."""
    ways = {(c["key"]["evaluations"], c["key"]["guidance"]) for c in table.cells if "evaluations" in c["key"]}
    return [{"evaluations": n, "guidance": weight} for n, weight in sorted(ways)]


def _headline_words(key: Mapping[str, Any]) -> str:
    weight = key["guidance"]
    return f"{key['evaluations']} evaluations" + ("" if weight == 1 else f", autoguidance {weight:g}")


def graphs_tried(results: Path) -> str:
    """V.U.N. of what was tried where a goal was missed: the long runs, and runs that no command repeats."""
    rows = []
    for name in ("planar-20", "planar", "tree"):
        table = Table(f"graphs-headline-{name}", results)
        for run in published("graphs")["tried"]:
            if run["graphs"] == name:
                count = "-" if run["samples"] is None else str(run["samples"])
                rows.append([name, run["what"], f"{run['vun']:g}", count, "no command"])
        size = table.about.get("protocol", {}).get("count")
        for key in _headline_ways(table):
            cells = table.select(**key)
            share = written([100 * cell["figures"]["vun"] for cell in cells])
            rows.append([name, _headline_words(key), share, f"{len(cells)} x {size}", "`graphs headline`"])
    return markdown(["graphs", "tried", "V.U.N.", "samples", "from"], rows)


def graph_judges(results: Path) -> str:
    """Our metrics and those of other packages on the same graphs, and how often faster ours are."""
    rows = []
    for cell in Table("graph-judges", results).cells:
        f = cell["figures"]
        for who in ("ours", "synthetic", "polygraph"):
            values = [f.get(f"{who} {name}") for name in GRAPH_JUDGED]
            seconds = f["seconds"] if who == "ours" else f.get(f"{who} seconds")
            shown = "" if seconds is None else f"{seconds:.2f}"
            rows.append([cell["key"]["set"], who, *["-" if v is None else f"{v:.6f}" for v in values], shown])
    return markdown(["graphs", "package", *GRAPH_JUDGED, "seconds"], rows)


def graph_completion(results: Path) -> str:
    """Samples around a given part: a row a set, share of the nodes given and takes of each step."""
    rows = []
    for path in sorted(results.glob("graphs-completion-*.json")):
        for cell in Table(path.stem, results).cells:
            key, f = cell["key"], cell["figures"]
            kept = f"{f['kept']} of {f['of']}", f"{f['sized']} of {f['of']}"
            shares = [f"{100 * f[n]:.1f}" for n in ("valid", "vun")]
            name = path.stem.removeprefix("graphs-completion-")
            rows.append([name, f"{key['share']:.0%}", str(key["repeats"]), *kept, *shares])
    return markdown(["graphs", "given", "takes of a step", "part kept", "size as asked", "valid", "V.U.N."], rows)


def graph_curve(results: Path) -> str:
    """V.U.N. over training: a row a set, a column a checkpoint."""
    found = [Table(path.stem, results) for path in sorted(results.glob("graphs-curve-*.json"))]
    steps = sorted({cell["key"]["step"] for table in found for cell in table.cells})
    rows = []
    for table in found:
        name = table.path.stem.removeprefix("graphs-curve-")
        shares = {cell["key"]["step"]: 100 * cell["figures"]["vun"] for cell in table.cells}
        rows.append([name, *[f"{shares[step]:.1f}" if step in shares else "-" for step in steps]])
    return markdown(["V.U.N. after steps", *[f"{step:,}" for step in steps]], rows)


def published_graphs(results: Path) -> str:
    """V.U.N. and ratio as published, of graphs of 64 nodes and more."""
    document = published("graphs")

    def shown(pair: Sequence[float | None] | None) -> str:
        return "-" if pair is None else ", ".join("-" if value is None else f"{value:g}" for value in pair)

    rows = [[r["method"], *[shown(r.get(name)) for name in ("planar", "tree", "sbm")]] for r in document["rows"]]
    return markdown(["V.U.N., ratio", "Planar", "Tree", "SBM"], rows) + f"\n\nSource: {document['source']}."


MOLECULE_FIGURES = {
    "valid": "valid",
    "valid without correction": "valid_without_correction",
    "unique": "unique",
    "novel": "novel",
    "FCD": "fcd",
    "NSPDK": "nspdk",
    "scaffolds": "scaffolds",
    "W1 logP": "W1 logP",
    "W1 QED": "W1 QED",
}
MOLECULES = Figures(MOLECULE_FIGURES, ("valid", "valid_without_correction", "unique", "novel"))


def molecules(study: str) -> Callable[[Path], str]:
    """QM9: a row a D and guidance, over seeds, with the floor below."""

    def made(results: Path) -> str:
        table = Table(f"molecules-{study}", results)
        rows = []
        weights = sorted({cell["key"]["guidance"] for cell in table.cells if "guidance" in cell["key"]})
        for D, weight in product(_dimensions(table.cells), weights):
            if table.select(D=D, guidance=weight):
                figures = _molecule_figures(table, D=D, guidance=weight)
                rows.append([dimension_text(D), "none" if weight == 1 else f"autoguidance {weight:g}", *figures])
        rows.append(["real molecules (floor)", "", *_molecule_figures(table, floor=True)])
        return markdown(["D", "guidance", *MOLECULE_FIGURES], rows)

    return made


ANTIBODY_STUDIES = ("sweep", "headline", "sweep-abnativ-vh", "headline-abnativ-vh", "tried", "tried-abnativ-vh")
RNA_SETS = ("trna", "5s-rrna", "rnase-p", "cobalamin")
RNA_STUDIES = [f"{study}-{name}" for study, name in product(("sweep", "headline"), RNA_SETS)]
ANTIBODY_FIGURES = {
    "valid": "valid",
    "unique": "unique",
    "copies": "copies",
    "OASis": "OASis",
    "W1 OASis": "W1 OASis",
    "log likelihood": "log likelihood",
    "W1 log likelihood": "W1 log likelihood",
    "diversity": "diversity",
    "columns": "columns",
    "correlations": "correlations",
    "distance": "distance",
    "bits": "bits",
    "W1 bits": "W1 bits",
    "W1 properties": "W1 mean",
}
GERMLINE_FIGURES = {  # what no V gene holds
    "mutations": "mutations",
    "W1 mutations": "W1 mutations",
    "mutated columns": "mutated columns",
    "mutation correlations": "mutation correlations",
    "non-germline distance": "non-germline distance",
    "CDR3 columns": "CDR3 columns",
    "CDR-H3 distance": "CDR-H3 distance",
    "W1 CDR-H3 length": "W1 CDR-H3 length",
}
RNA_FIGURES = {
    "bits": "bits",
    "W1 bits": "W1 bits",
    "members": "members",
    "genes": "genes",
    "energy": "energy",
    "W1 energy": "W1 energy",
    "covariation kept": "covariation kept",
    "unique": "unique",
    "copies": "copies",
    "distance": "distance",
    "diversity": "diversity",
    "columns": "columns",
    "3-mers": "3-mers",
    "W1 properties": "W1 mean",
}


def sequences(name: str, figures: Mapping[str, str]) -> Callable[[Path], str]:
    """A set of sequences: a row a way and D, or a D and a baseline, over seeds. figures: column -> figure."""

    def made(results: Path) -> str:
        table = Table(name, results)
        rows = []

        def row(said: str, **key: Any) -> None:
            rows.append([said, *(_over_seeds(table, metric, 3, **key) for metric in figures.values())])

        for way, D in product((*WAYS, None), _dimensions(table.cells)):
            key = {"D": D} if way is None else {"way": way, "D": D}
            cells = table.select(**key)
            if cells and (way is None) == ("way" not in cells[0]["key"]):
                said = f"D = {dimension_text(D)}" if way is None else f"{WAYS[way]}, D = {dimension_text(D)}"
                for solver in dict.fromkeys(c["key"].get("solver") for c in cells):
                    row(f"{said}, {solver}" if solver else said, **key, **({"solver": solver} if solver else {}))
        for baseline in dict.fromkeys(c["key"]["baseline"] for c in table.cells if "baseline" in c["key"]):
            row(baseline, baseline=baseline)
        return markdown(["sequences", *figures], rows)

    return made


AUDIO_STUDIES = ("representations", "sweep", "headline")
AUDIO_SPEED = {"samples a second": "a second", "seconds of sound a second": "real time"}
AUDIO_JUDGED = (
    "Frechet speech",
    "Frechet aisfx",
    "to floor",
    "log-mel to floor",
    "class accuracy",
    "F0 agreement",
    "noise",
)  # beside speed
AUDIO_FIGURES = {
    "syllables": {
        "Frechet speech": "speech Frechet",
        "to floor": "speech Frechet ratio",
        "log-mel to floor": "log-mel Frechet ratio",
        "kernel speech": "speech kernel",
        "FID": "FID",
        "IS": "IS",
        "mIS": "mIS",
        "AM": "AM",
        "class accuracy": "class accuracy",
        "F0 agreement": "F0 agreement",
        "classes missing": "missing classes",
        "voice": "voice",
        "nearest training": "speech nearest training clip",
        "near copies": "speech near copies",
        "level": "level",
        "level spread": "level spread",
        "noise": "noise",
    },
    "drums": {
        "Frechet aisfx": "effects Frechet",
        "to floor": "effects Frechet ratio",
        "kernel aisfx": "effects kernel",
        "log-mel to floor": "log-mel Frechet ratio",
        "class accuracy": "class accuracy",
        "FID": "FID",
        "classes missing": "missing classes",
        "nearest training": "effects nearest training clip",
        "near copies": "effects near copies",
        "level": "level",
        "noise": "noise",
    },
}


def _beside_speed(data: str) -> dict[str, str]:
    """The columns of a table of speed."""
    return AUDIO_SPEED | {name: figure for name, figure in AUDIO_FIGURES[data].items() if name in AUDIO_JUDGED}


def audio(name: str, figures: Mapping[str, str]) -> Callable[[Path], str]:
    """A set of sounds: a row for what is real, a representation, a D, a network or a number of evaluations."""

    def made(results: Path) -> str:
        table = Table(name, results)
        keys = [{k: v for k, v in cell["key"].items() if k != "seed"} for cell in table.cells]
        keys = [key for i, key in enumerate(keys) if key not in keys[:i]]
        rows = []
        for key in sorted(keys, key=_audio_order):
            cells = [cell for cell in table.cells if {k: v for k, v in cell["key"].items() if k != "seed"} == key]
            found = [[c["figures"][metric] for c in cells if metric in c["figures"]] for metric in figures.values()]
            rows.append([_audio_row(key), *(written(values, 3) if values else "-" for values in found)])
        return markdown(["sounds", *figures], rows)

    return made


def _audio_row(key: Mapping[str, Any]) -> str:
    """What a row of sounds is, in words."""
    if "real" in key:
        return str(key["real"])
    words = [WAYS[key["way"]] if key.get("way") in WAYS else key.get("way"), key.get("representation"), key.get("peer")]
    if "D" in key:
        words.append(f"D = {dimension_text(key['D'])}")
    if "evaluations" in key:
        words.append(f"{key['evaluations']} evaluations")
    if key.get("guidance", 1) != 1:
        words.append(f"guidance {key['guidance']:g}")
    if key.get("finished"):
        words.append("at the loudness of training")
    return ", ".join(str(word) for word in words if word)


def _audio_order(key: Mapping[str, Any]) -> tuple[Any, ...]:
    """Models first, by way and D, then other networks, then what is real."""
    D = float(key.get("D", 0))
    return "real" in key, "peer" in key, str(key.get("way", "")), D, key.get("guidance", 1), -key.get("evaluations", 0)


def audio_gaps(name: str, judge: str) -> Callable[[Path], str]:
    """Gaps filled in: a row a way, over seeds. judge: whose embedding the Frechet distance is in."""

    def made(results: Path) -> str:
        table = Table(name, results)
        columns = (f"{judge} Frechet", "log-spectral distance", "kept")
        ways = dict.fromkeys(cell["key"]["way"] for cell in table.cells)
        rows = [[way, *(_over_seeds(table, figure, 3, way=way) for figure in columns)] for way in ways]
        return markdown(["gaps filled by", f"Frechet {judge}", "log-spectral distance, dB", "kept, dB"], rows)

    return made


def audio_control(results: Path) -> str:
    """Tones of a pitch and a loudness that are asked for, over seeds."""
    table = Table("audio-control", results)
    drawn = dict.fromkeys(cell["key"]["drawn"] for cell in table.cells)
    figures = ("semitones", "within half a semitone", "dB")
    rows = [[who, *(_over_seeds(table, figure, 3, drawn=who) for figure in figures)] for who in drawn]
    return markdown(["tones", "pitch off, semitones", "within half a semitone", "level off, dB"], rows)


def structures(results: Path) -> str:
    """RNAs to a target structure: a row a strength, over seeds."""
    table = Table("rna-structures", results)
    columns = ("as the target", "pairs apart", "unique", "GC")
    rows = []
    for strength in sorted({c["key"]["strength"] for c in table.cells}, key=lambda s: -1 if s is None else s):
        said = "not told the target" if strength is None else f"told, strength {strength:g}"
        rows.append([said, *(_over_seeds(table, name, 3, strength=strength) for name in columns)])
    return markdown(["samples", *columns], rows)


DESIGN_WAYS = ("templates", "the model", "IgLM", "natural loops (floor)", "letter frequencies")
DESIGN_COUNTS = ("rest kept", "length as asked")
DESIGN_SHARES = {"recovery": "recovery", "unique": "unique", "loops of training": "copies"}
DESIGN_PGEN = ("log10 Pgen", "W1 log10 Pgen")


def designs(results: Path) -> str:
    """CDR-H3 designs in held-out templates: a row a way, counts over all seeds."""
    table = Table("designs-h3", results)
    rows = []
    for way in (name for name in DESIGN_WAYS if table.select(way=name)):
        drawn = [cell["figures"] for cell in table.select(way=way)]
        total = sum(f["designs"] for f in drawn)
        counts = [f"{sum(f[name] for f in drawn):,} of {total:,}" for name in DESIGN_COUNTS]
        shares = [written([100 * f[name] for f in drawn], 3) for name in DESIGN_SHARES.values()]
        pgen = [_over_seeds(table, name, 3, way=way) for name in DESIGN_PGEN]
        rows.append([way, *counts, *shares, *pgen])
    return markdown(["loops", *DESIGN_COUNTS, *DESIGN_SHARES, *DESIGN_PGEN], rows)


def designs_throughput(results: Path) -> str:
    """Sequences a second, and IgLM's in the same run."""
    table = Table("designs-throughput", results)
    rows = []
    for cell in table.cells:
        figures = cell["figures"]
        numbers = [f"{figures[name]:.3g}" if name in figures else "-" for name in ("ours", "IgLM", "ratio")]
        rows.append([cell["key"]["what"], *numbers])
    return markdown(["sequences a second", "the model", "IgLM", "ratio"], rows)


def published_molecules(results: Path) -> str:
    """QM9 as published."""
    document = published("graphs")["molecules"]
    rows = [
        [r["method"], *["-" if r[name] is None else f"{r[name]:g}" for name in ("valid", "unique", "fcd")]]
        for r in document["rows"]
    ]
    return markdown(["QM9", "valid without correction", "unique", "FCD"], rows)


def _molecule_figures(table: Table, **key: Any) -> list[str]:
    return MOLECULES.cells([cell["figures"] for cell in table.select(**key)])


def _graph_figures(table: Table, **key: Any) -> list[str]:
    return GRAPHS.cells([cell["figures"] for cell in table.select(**key)])


def pfgmpp(results: Path) -> str:
    """What PFGM++ and EDM published."""
    document = published("pfgmpp")
    rows = [[r["data"], r["method"], str(r["evaluations"]), f"{r['fid']:.2f}"] for r in document["rows"]]
    return markdown(["data", "method", "evaluations", "FID"], rows) + f"\n\nSource: {document['source']}."


TABLES: dict[str, Callable[[Path], str]] = {
    "sweep-frechet": sweep("frechet_classifier"),
    "sweep-efficientnet": sweep("frechet_efficientnet"),
    "sweep-precision": sweep("precision"),
    "sweep-recall": sweep("recall"),
    "solvers-mnist5k": solvers("mnist5k"),
    "solvers-mnist5k-headline": solvers("mnist5k-headline"),
    "adaptive-mnist5k": adaptive("mnist5k"),
    "headline": headline,
    "guidance": guidance,
    "digits": digits,
    "vectors": vectors,
    "tails": tails,
    "robustness": robustness,
    "constraints": constraints,
    "speed": speed,
    "pfgmpp": pfgmpp,
    "graphs-sweep-planar-20": graph_sweep("planar-20"),
    "graphs-sweep-tree-20": graph_sweep("tree-20"),
    "graphs-headline": graph_headline,
    "graphs-completion": graph_completion,
    "graphs-curve": graph_curve,
    "graphs-tried": graphs_tried,
    "graphs-published": published_graphs,
    "graph-judges": graph_judges,
    "simplex": simplex,
    **{f"antibody-{study}": sequences(f"antibody-{study}", ANTIBODY_FIGURES) for study in ANTIBODY_STUDIES},
    **{f"antibody-{study}-germline": sequences(f"antibody-{study}", GERMLINE_FIGURES) for study in ANTIBODY_STUDIES},
    "rna-structures": structures,
    **{f"audio-{study}": audio(f"audio-{study}", AUDIO_FIGURES["syllables"]) for study in AUDIO_STUDIES},
    **{f"audio-{study}-drums": audio(f"audio-{study}-drums", AUDIO_FIGURES["drums"]) for study in AUDIO_STUDIES},
    "audio-speed": audio("audio-speed", _beside_speed("syllables")),
    "audio-speed-drums": audio("audio-speed-drums", _beside_speed("drums")),
    **{f"robustness-{of}": troubles(f"robustness-{of}") for of in IN_TROUBLE},
    "robustness-claims": claims,
    "dimension-preconditioning": preconditioning,
    "dimension-noise": noise,
    "dimension-rule": rule,
    **{f"dimension-{data}": sizes(data) for data in SIZED},
    "dimension-agreement": lambda results: markdown(agreement.HEADER, agreement.rows(results)),
    "audio-gaps": audio_gaps("audio-gaps", "speech"),
    "audio-control": audio_control,
    "audio-gaps-drums": audio_gaps("audio-gaps-drums", "effects"),
    **{f"rna-{study}": sequences(f"rna-{study}", RNA_FIGURES) for study in RNA_STUDIES},
    "designs": designs,
    "designs-throughput": designs_throughput,
    "molecules-sweep": molecules("sweep"),
    "molecules-headline": molecules("headline"),
    "molecules-published": published_molecules,
}


def _over_seeds(table: Table, metric: str, digits: int, **key: Any) -> str:
    values = [c["figures"][metric] for c in table.select(**key) if metric in c["figures"]]
    return written(values, digits) if values else "-"


def _by_registry(row: tuple[str, str]) -> tuple[int, str]:
    return list(SOLVERS).index(row[0]), row[1]


def _dimensions(cells: Sequence[dict[str, Any]]) -> list[Any]:
    return sorted({c["key"]["D"] for c in cells if "D" in c["key"]}, key=float)


if __name__ == "__main__":
    sys.exit(main())
