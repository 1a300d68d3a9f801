"""Graphs and molecules in files, made by any generator, judged by the published protocols.

`pfgm benchmark graphs score`, `pfgm benchmark molecules score`. Records that cannot be read are named, and count as
invalid.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import tables
from modalities.graphs import Graphs
from modalities.graphs.metrics import Suite
from modalities.graphs.molecule_metrics import evaluate, floor
from modalities.graphs.molecules import SMILES_SUFFIXES, as_written, read_smiles, to_smiles
from modalities.graphs.statistics import STATISTICS, Statistic
from modalities.graphs.validity import missing
from pfgm_science.cli import LEFT_OUT
from pfgm_science.commands import open_data, report_rejected
from pfgm_science.data import Dataset, nothing_usable
from pfgm_science.errors import BadRecord, ConfigError, DataError

FLOOR_SEEDS = range(100, 105)
STATISTICS_OF: Mapping[str, Sequence[Statistic]] = {"tv": STATISTICS, "emd": ("degree", "clustering", "orbit")}


@dataclass(frozen=True)
class Given:
    """The objects of a file or a set by name, and how many of its records could not be used."""

    objects: Sequence[Any]
    lost: int

    @property
    def share(self) -> float:
        """Of the records that can be used."""
        return len(self.objects) / (len(self.objects) + self.lost)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a score is told: files of samples, and what they are compared with."""
    group = parser.add_argument_group("score", "of files that any generator wrote; DATA is a file or a set by name")
    group.add_argument("files", nargs="*", metavar="FILE", help="samples, a file for each seed")
    group.add_argument("--test", metavar="DATA", help="to compare with")
    group.add_argument("--train", metavar="DATA", help="what the generator was trained on: for novelty and ratio")
    group.add_argument(
        "--floor", metavar="DATA", help="what a perfect generator is: of graphs a recipe, such as planar"
    )


def check(arguments: argparse.Namespace) -> None:
    """ConfigError where a score lacks what it is of, or another study is given files."""
    if arguments.study != "score":
        if arguments.files:
            raise ConfigError(f"{arguments.files[0]}: files are for the study score")
    elif not arguments.files or arguments.test is None or arguments.train is None:
        raise ConfigError("a score needs files of samples, --test DATA and --train DATA: files or sets by name")


def graphs(arguments: argparse.Namespace) -> int:
    """Print the figures of every file of graphs, of all together, and of the true generator where it is named."""
    test, train = opened(arguments.test), opened(arguments.train)
    suite = Suite(
        test.objects,
        train.objects,
        valid=arguments.valid,
        kernel=arguments.kernel,
        statistics=STATISTICS_OF[arguments.kernel],
    )
    samples = [opened(path) for path in arguments.files]
    if arguments.valid is not None and (reason := missing(arguments.valid)):
        print(reason)
    found = [scaled(suite(given.objects).figures(), given.share, ("valid", "vun")) for given in samples]
    count = len(samples[0].objects)
    floor = [] if arguments.floor is None else [suite(drawn(arguments.floor, count, seed)) for seed in FLOOR_SEEDS]
    print(f"{len(test.objects)} test and {len(train.objects)} training graphs, kernel {arguments.kernel}\n")
    print(table(arguments.files, samples, found, [report.figures() for report in floor], tables.GRAPHS))
    return LEFT_OUT if any(given.lost for given in (test, train, *samples)) else 0


def molecules(arguments: argparse.Namespace) -> int:
    """Print the figures of every file of molecules, of all together, and of real ones where they are given."""
    test, train = opened(arguments.test), opened(arguments.train)
    references = smiles(train.objects), smiles(test.objects)
    samples = [generated(path) for path in arguments.files]
    names = ("valid", "valid_without_correction", "valid_with_correction")
    reports = [evaluate(given.objects, *references) for given in samples]
    for path, report in zip(arguments.files, reports, strict=True):
        for note in report.notes:
            print(f"{path}: {note}")
    found = [scaled(report.rows(), given.share, names) for report, given in zip(reports, samples, strict=True)]
    real = [] if arguments.floor is None else [opened(arguments.floor)]
    count = len(samples[0].objects)
    floors = [floor(held_out.objects, *references, count=count).rows() for held_out in real]
    print(f"{len(test.objects)} test and {len(train.objects)} training molecules\n")
    print(table(arguments.files, samples, found, floors, tables.MOLECULES))
    return LEFT_OUT if any(given.lost for given in (test, train, *samples, *real)) else 0


def table(
    files: Sequence[str],
    samples: Sequence[Given],
    found: Sequence[Mapping[str, float]],
    floor: Sequence[Mapping[str, float]],
    figures: tables.Figures,
) -> str:
    """A row a file, one of all files if there are several, and the floor if it is known."""
    rows = [
        [path, str(len(given.objects)), *figures.cells([own])]
        for path, given, own in zip(files, samples, found, strict=True)
    ]
    if len(found) > 1:
        rows.append(["all", "", *figures.cells(found)])
    if floor:
        rows.append(["floor", str(len(samples[0].objects)), *figures.cells(floor)])
    return tables.markdown(["samples", "count", *figures.names], rows)


def opened(data: str) -> Given:
    """A file or a set by name; what cannot be used is named on stderr."""
    found: Dataset = open_data(Graphs(), data, {})
    return Given(found.objects, report_rejected(found))


def generated(path: str) -> Given:
    """Molecules of a file of samples; those of SMILES as they are written, since it is to be judged who is valid."""
    if not path.lower().removesuffix(".gz").endswith(SMILES_SUFFIXES):
        return opened(path)
    found = list(read_smiles(path, as_written))
    lost = [BadRecord(path, place, reason) for place, reason in found if isinstance(reason, str)]
    kept = [molecule for _, molecule in found if not isinstance(molecule, str)]
    if not kept:
        raise DataError(nothing_usable(path, "molecule", lost))
    return Given(kept, report_rejected(Dataset(kept, rejected=tuple(lost))))


def scaled(figures: Mapping[str, float], share: float, names: Sequence[str]) -> dict[str, float]:
    """Those figures of the readable share as figures of all."""
    return {name: share * value if name in names else value for name, value in figures.items()}


def drawn(recipe: str, count: int, seed: int) -> Sequence[Any]:
    objects: Sequence[Any] = Graphs().dataset(f"{recipe}:count={count}:seed={seed}").objects
    return objects


def smiles(found: Sequence[Any]) -> tuple[str, ...]:
    """SMILES of the valid ones among molecules."""
    return tuple(text for molecule in found if (text := to_smiles(molecule)) is not None)
