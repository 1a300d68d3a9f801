"""Scores of files that any generator wrote: what the metrics say of them, bad records as invalid, the floor."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from benchmarks import graphs, molecules, tables
from modalities.graphs import networks
from modalities.graphs.formats import write
from modalities.graphs.metrics import evaluate
from modalities.graphs.recipes import Planar, Tree
from pfgm_science.cli import LEFT_OUT
from pfgm_science.errors import ConfigError, DataError


def rows(said: str) -> dict[str, list[str]]:
    """First cell -> the others, of the table in what was printed."""
    lines = [line.strip("| ").split(" | ") for line in said.splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines[2:]}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    sets = {"test": Tree((8, 8)).draw(12, 1), "train": Tree((8, 8)).draw(12, 0), "new": Tree((8, 8)).draw(10, 2)}
    sets["other"] = Planar((8, 8)).draw(10, 3)
    for name, found in sets.items():
        write(tmp_path / f"{name}.g6", found)
    return {name: str(tmp_path / f"{name}.g6") for name in sets}


def test_a_score_is_what_the_metrics_say(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    against = ["--test", files["test"], "--train", files["train"], "--valid", "tree"]
    words = ["score", files["new"], files["other"], *against]
    assert graphs.main([*words, "--floor", "tree:nodes=8"]) == 0
    said = rows(capsys.readouterr().out)
    assert list(said) == [files["new"], files["other"], "all", "floor"]
    new, other = Tree((8, 8)).draw(10, 2), Planar((8, 8)).draw(10, 3)
    test, train = Tree((8, 8)).draw(12, 1), Tree((8, 8)).draw(12, 0)
    reports = [evaluate(drawn, test, train, valid="tree").figures() for drawn in (new, other)]
    for path, report in zip((files["new"], files["other"]), reports, strict=True):
        assert said[path] == ["10", *tables.GRAPHS.cells([report])]
    assert said["all"] == ["", *tables.GRAPHS.cells(reports)]
    names = list(tables.GRAPHS.names)
    assert said["floor"][1 + names.index("valid")] == "100 ± 0"
    assert said[files["other"]][1 + names.index("valid")] == "0"

    assert graphs.main(["score", files["new"], *against, "--kernel", "emd"]) == 0
    (cells,) = rows(capsys.readouterr().out).values()
    emd = evaluate(new, test, train, valid="tree", kernel="emd", statistics=("degree", "clustering", "orbit"))
    assert cells == ["10", *tables.GRAPHS.cells([emd.figures()])] and cells[-3] == "-"


def test_records_that_are_no_graphs_count_as_invalid(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.g6").write_text("?\n" * 10 + Path(files["new"]).read_text())
    words = ["--test", files["test"], "--train", files["train"], "--valid", "tree"]
    assert graphs.main(["score", files["new"], *words]) == 0
    good = next(iter(rows(capsys.readouterr().out).values()))
    assert graphs.main(["score", str(tmp_path / "bad.g6"), *words]) == LEFT_OUT
    said = capsys.readouterr()
    bad = next(iter(rows(said.out).values()))
    assert (good[2], bad[2]) == ("100", "50.0") and float(bad[1]) == pytest.approx(float(good[1]) / 2, abs=0.1)
    assert good[3:] == bad[3:] and "no nodes" in said.err


def test_an_sbm_without_graph_tool_says_so(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.graph_scores.missing", lambda kind: f"{kind} needs graph-tool")
    monkeypatch.setattr("modalities.graphs.metrics.missing", lambda kind: f"{kind} needs graph-tool")
    words = ["--test", files["test"], "--train", files["train"], "--valid", "sbm"]
    assert graphs.main(["score", files["new"], *words]) == 0
    said = capsys.readouterr().out
    assert "sbm needs graph-tool" in said and rows(said)[files["new"]][1:3] == ["-", "-"]


def test_what_a_score_lacks_is_told(files: dict[str, str]) -> None:
    for words in (["score"], ["score", files["new"], "--test", files["test"]]):
        with pytest.raises(ConfigError, match="--test DATA and --train DATA"):
            graphs.main(words)
    with pytest.raises(ConfigError, match="for the study score"):
        graphs.main(["sweep", files["new"]])
    with pytest.raises(DataError, match="neither a file"):
        graphs.main(["score", "nowhere.g6", "--test", files["test"], "--train", files["train"]])


def test_molecules_are_judged_as_they_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rdkit")
    pytest.importorskip("fcd")
    (tmp_path / "real.smi").write_text("CCO\nCCN\nc1ccoc1\nCC=O\nCCC\nC1CC1\n")
    # Valid: 3 of 8, one of them in two parts. With one charge N too: 4. The last line is no molecule at all.
    lines = ["CCO", "CC.O", "c1ccoc1", "CN(C)(C)C", "CC(C)(C)(C)C", "CF=C", "COC(C)(C)(C)C", "CC("]
    (tmp_path / "new.smi").write_text("\n".join(lines) + "\n")
    real = str(tmp_path / "real.smi")
    words = ["score", str(tmp_path / "new.smi"), "--test", real, "--train", real, "--floor", real]
    assert molecules.main(words) == LEFT_OUT
    said = capsys.readouterr()
    found = rows(said.out)
    assert found[str(tmp_path / "new.smi")][:3] == ["7", "37.5", "50.0"]
    assert found["floor"][1] == "100" and "line 8" in said.err and "at least 10000" in said.out
    (tmp_path / "none.smi").write_text("CC(\n")
    with pytest.raises(DataError, match="none.smi"):
        molecules.main([words[0], str(tmp_path / "none.smi"), *words[2:]])


def test_networkx_graphs_may_be_scored_from_any_file(tmp_path: Path, files: dict[str, str]) -> None:
    plain = networks(Tree((8, 8)).draw(10, 2))
    assert all(type(graph) is nx.Graph for graph in plain)
    write(tmp_path / "new.json", plain)
    assert graphs.main(["score", str(tmp_path / "new.json"), "--test", files["test"], "--train", files["train"]]) == 0
