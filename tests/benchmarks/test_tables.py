"""README and docs say what the result files say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.runner import Table
from benchmarks.tables import MARK, PAGES, ROOT, TABLES, filled, render


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_of_a_page_are_those_of_the_results(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert filled(text) == text, f"{name} is out of date: run `make tables`"


def test_every_marked_table_exists_and_the_pages_have_some() -> None:
    marked = [m[2] for name in PAGES for m in MARK.finditer((ROOT / name).read_text())]
    assert marked
    assert set(marked) <= set(TABLES)


def test_a_changed_figure_changes_the_page(tmp_path: Path) -> None:
    for D, value in ((16.0, 5.0), (math.inf, 7.0)):
        for seed in (0, 1):
            key = {"way": "trained", "D": D, "seed": seed, "evaluations": 35}
            Table("images-sweep", tmp_path).cell(key, lambda v=value, s=seed: {"frechet_classifier": v + s})  # type: ignore[misc]
    text = render("sweep-frechet", tmp_path)
    assert "| trained at D | 16 | 5.50 ± 0.71 | - | - | - |" in text
    assert text.index("| 16 |") < text.index("| inf |")
    page = "before\n<!-- table: sweep-frechet -->\nold\n<!-- end of table -->\nafter\n"
    assert filled(page, tmp_path) == f"before\n<!-- table: sweep-frechet -->\n{text}\n<!-- end of table -->\nafter\n"


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        render("no-such-table")


def test_what_was_tried_is_told_apart_from_what_a_command_measures(tmp_path: Path) -> None:
    table = Table("graphs-headline-tree", tmp_path)
    table.describe({"count": 40})
    for seed, share in ((0, 0.4), (1, 0.5)):
        key = {"evaluations": 79, "guidance": 2.0, "seed": seed}
        table.cell(key, lambda share=share: {"vun": share})  # type: ignore[misc]
    text = render("graphs-tried", tmp_path)
    assert "| tree | 79 evaluations, autoguidance 2 | 45.0 ± 7.1 | 2 x 40 | `graphs headline` |" in text
    assert "| planar | whole graphs from the start, 6,400 steps of 16; 35 evaluations | 0 | 40 | no command |" in text
    assert len(text.splitlines()) == 2 + 7 + 1
