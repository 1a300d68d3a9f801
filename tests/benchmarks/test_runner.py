"""Cells that are kept, joined, resumed and summarised."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.runner import Table, dimension_argument, dimension_text, mean_and_spread, published, written
from pfgm_science.errors import PfgmError


def test_a_cell_is_measured_once_and_kept(tmp_path: Path) -> None:
    calls = []

    def measure() -> dict[str, float]:
        calls.append(1)
        return {"value": 3.0}

    key = {"D": math.inf, "seed": 0}
    assert Table("t", tmp_path).cell(key, measure) == {"value": 3.0}
    assert Table("t", tmp_path).cell(key, measure) == {"value": 3.0}
    assert len(calls) == 1
    assert json.loads((tmp_path / "t.json").read_text())["cells"][0]["key"] == {"D": "inf", "seed": 0}


def test_cells_of_several_processes_are_joined(tmp_path: Path) -> None:
    first, second = Table("t", tmp_path), Table("t", tmp_path)
    first.cell({"seed": 0}, lambda: {"value": 1.0})
    second.cell({"seed": 1}, lambda: {"value": 2.0})
    assert [c["figures"]["value"] for c in Table("t", tmp_path).cells] == [1.0, 2.0]


def test_of_two_processes_that_measure_one_cell_the_first_counts(tmp_path: Path) -> None:
    first, second = Table("t", tmp_path), Table("t", tmp_path)
    assert first.cell({"seed": 0}, lambda: {"value": 1.0}) == {"value": 1.0}
    assert second.cell({"seed": 0}, lambda: {"value": 2.0}) == {"value": 1.0}
    assert len(Table("t", tmp_path).cells) == 1


def test_a_description_keeps_the_cells_of_another_process(tmp_path: Path) -> None:
    first, second = Table("t", tmp_path), Table("t", tmp_path)
    first.cell({"seed": 0}, lambda: {"value": 1.0})
    second.describe({}, command="pfgm benchmark t")
    table = Table("t", tmp_path)
    assert len(table.cells) == 1
    assert table.about == {"command": "pfgm benchmark t", "protocol": {}}


def test_figures_of_another_protocol_are_not_mixed_in(tmp_path: Path) -> None:
    table = Table("t", tmp_path)
    table.describe({"training": {"steps": 4000}}, command="pfgm benchmark t")
    table.cell({"seed": 0}, lambda: {"value": 1.0})
    Table("t", tmp_path).describe({"training": {"steps": 4000}}, command="the same")
    with pytest.raises(PfgmError, match=r"training.steps \(4000, not 2000\) now.*--again"):
        Table("t", tmp_path).describe({"training": {"steps": 2000}})
    assert len(Table("t", tmp_path).cells) == 1
    Table("t", tmp_path).describe({"training": {"steps": 2000}}, again=True)
    assert Table("t", tmp_path).cells == []


def test_a_cell_that_is_discarded_is_measured_again(tmp_path: Path) -> None:
    table = Table("t", tmp_path)
    for seed in (0, 1):
        table.cell({"seed": seed}, lambda: {"value": 1.0})
    table.discard(seed=1)
    assert Table("t", tmp_path).cell({"seed": 1}, lambda: {"value": 2.0}) == {"value": 2.0}
    assert Table("t", tmp_path).cell({"seed": 0}, lambda: {"value": 2.0}) == {"value": 1.0}


def test_a_failed_measure_leaves_what_was_there(tmp_path: Path) -> None:
    table = Table("t", tmp_path)
    table.cell({"seed": 0}, lambda: {"value": 1.0})
    with pytest.raises(ZeroDivisionError):
        table.cell({"seed": 1}, lambda: {"value": 1 / 0})
    assert len(Table("t", tmp_path).cells) == 1


def test_select_takes_cells_that_hold_the_entries(tmp_path: Path) -> None:
    table = Table("t", tmp_path)
    for D in (16.0, math.inf):
        for seed in (0, 1):
            table.cell({"D": D, "seed": seed}, lambda seed=seed: {"value": seed})  # type: ignore[misc]
    assert [c["figures"]["value"] for c in table.select(D=math.inf)] == [0, 1]
    assert len(table.select(seed=1)) == 2


def test_spread_is_the_sample_deviation() -> None:
    assert mean_and_spread([1.0, 3.0]) == (2.0, pytest.approx(math.sqrt(2)))
    assert math.isnan(mean_and_spread([1.0])[1])


@pytest.mark.parametrize(
    ("values", "digits", "text"),
    [
        ([1.2345], 3, "1.23"),
        ([123.45], 3, "123"),
        ([0.01234], 2, "0.012"),
        ([1.0, 3.0], 3, "2.00 ± 1.41"),
        ([], 3, "-"),
    ],
)
def test_written_rounds_to_significant_digits(values: list[float], digits: int, text: str) -> None:
    assert written(values, digits) == text


def test_dimensions_are_read_and_shown() -> None:
    assert dimension_argument("inf") == math.inf
    assert [dimension_text(D) for D in (16.0, "inf", math.inf, 0.5)] == ["16", "inf", "inf", "0.5"]
    with pytest.raises(Exception, match="must be > 0"):
        dimension_argument("-1")


def test_published_figures_name_their_source() -> None:
    document = published("pfgmpp")
    assert "2302.04265" in document["source"]
    assert {"data": "CIFAR-10 unconditional", "method": "PFGM++ D = 2048", "evaluations": 35, "fid": 1.91} in document[
        "rows"
    ]
