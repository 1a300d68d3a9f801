"""Graphs through the command line: bad records named and left out, sizes and parts as asked, molecules and reports."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from modalities.graphs import Graphs
from modalities.graphs.objects import to_networkx
from pfgm_science import cli

TINY = ["--steps", "2", "--batch-size", "4", "--set", "network.width=8", "--set", "network.pair_width=8"]
TINY += ["--set", "network.depth=1", "--set", "network.heads=2", "--set", "network.product=2"]


def g6(graph: nx.Graph) -> str:
    return nx.to_graph6_bytes(graph, header=False).decode().strip()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on trees of 5 to 8 nodes."""
    folder = tmp_path_factory.mktemp("graphs")
    trees = [nx.random_labeled_tree(5 + i % 4, seed=i) for i in range(24)]
    (folder / "trees.g6").write_text("\n".join(map(g6, trees)) + "\n")
    assert cli.main(["train", "graphs", str(folder / "trees.g6"), "--out", str(folder / "run"), *TINY]) == 0
    return folder / "run"


def graphs_in(path: Path) -> list[nx.Graph]:
    return [to_networkx(graph) for graph in Graphs().read(str(path)).objects]


BAD = {
    "self-loop": ('{"nodes": [{"id": 0}, {"id": 1}], "edges": [{"source": 0, "target": 0}]}', "self-loop"),
    "multi-edge": (
        '{"nodes": [{"id": 0}, {"id": 1}], "edges": [{"source": 0, "target": 1}, {"source": 1, "target": 0}]}',
        "twice",
    ),
    "directed": ('{"directed": true, "nodes": [{"id": 0}, {"id": 1}], "edges": []}', "directed"),
    "empty": ('{"nodes": [], "edges": []}', "no nodes"),
    "broken": ('{"nodes": [{"id": 0}', ""),
    "large": (
        '{"nodes": [' + ", ".join(f'{{"id": {i}}}' for i in range(1001)) + '], "edges": []}',
        "1,?000",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_graph_is_named_and_the_rest_is_used(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, words = BAD[kind]
    good = '{"nodes": [{"id": 0}, {"id": 1}, {"id": 2}], "edges": [{"source": 0, "target": 2}]}'
    apart = '{"nodes": [{"id": 0}, {"id": 1}, {"id": 2}, {"id": 3}], "edges": []}'
    (tmp_path / "graphs.jsonl").write_text("\n".join([good, text, apart, good]) + "\n")
    out = tmp_path / "run"
    assert cli.main(["train", "graphs", str(tmp_path / "graphs.jsonl"), "--out", str(out), *TINY]) == cli.LEFT_OUT
    said = capsys.readouterr().err
    assert "graphs.jsonl" in said and "line 2" in said and "1 records left out, 3 used" in said
    import re

    assert re.search(words, said)


def test_disconnected_graphs_are_left_out_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "g.g6").write_text(f"{g6(nx.path_graph(4))}\n{g6(nx.empty_graph(3))}\n{g6(nx.path_graph(3))}\n")
    words = ["data", "check", str(tmp_path / "g.g6"), "--adapter", "graphs"]
    assert cli.main(words) == 0
    assert cli.main([*words, "--read", "connected=true"]) == cli.LEFT_OUT
    assert "not connected" in capsys.readouterr().out


def test_nothing_that_can_be_used_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "million.edges").write_text("# nodes 1000000\n0 1\n")
    assert cli.main(["train", "graphs", str(tmp_path / "million.edges"), *TINY]) == cli.USER_ERROR
    said = capsys.readouterr().err
    assert "million.edges" in said and "1000000" in said.replace(",", "") and "Traceback" not in said


@pytest.mark.parametrize("name", ["new.g6", "new.json", "new.edges", "new.pt", "new.graphml"])
def test_samples_have_the_sizes_and_the_format_that_are_asked_for(run: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    words = ["sample", str(run), "--count", "6", "--evaluations", "3", "--sizes", "5-6", "--out", str(out)]
    assert cli.main(words) == 0
    assert {len(graph) for graph in graphs_in(out)} <= {5, 6} and len(graphs_in(out)) == 6


def test_a_given_part_is_in_every_sample(run: Path, tmp_path: Path) -> None:
    (tmp_path / "part.g6").write_text(g6(nx.cycle_graph(4)) + "\n")
    out = tmp_path / "done.g6"
    words = ["sample", str(run), "--from", str(tmp_path / "part.g6"), "--sizes", "7", "--repeats", "2"]
    assert cli.main([*words, "--count", "5", "--evaluations", "6", "--out", str(out)]) == 0
    for graph in graphs_in(out):
        assert len(graph) == 7 and nx.utils.graphs_equal(nx.Graph(graph.subgraph(range(4))), nx.cycle_graph(4))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sizes", "9"], "5 to 8|2 to 8"),
        (["--sizes", "many"], "LOW-HIGH"),
        (["--sizes", "8-5"], "LOW <= HIGH"),
        (["--out", "new.csv.xyz"], "xyz"),
    ],
)
def test_mistakes_are_told(
    run: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import re

    words = [str(tmp_path / word) if word.startswith("new") else word for word in words]
    assert cli.main(["sample", str(run), "--count", "2", *words]) == cli.USER_ERROR
    assert re.search(said, capsys.readouterr().err)


def test_two_graphs_are_no_part(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.g6").write_text(f"{g6(nx.path_graph(3))}\n{g6(nx.path_graph(4))}\n")
    assert cli.main(["sample", str(run), "--from", str(tmp_path / "two.g6")]) == cli.USER_ERROR
    assert "One good object" in capsys.readouterr().err


def test_sets_are_listed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "graphs"]) == 0
    said = capsys.readouterr().out
    for name in ("planar-20", "tree-20", "community-small", "qm9", "moses", "ego-small", "enzymes", "sbm"):
        assert name in said
    out = tmp_path / "trees.g6"
    assert cli.main(["data", "graphs", "tree:nodes=9:count=4", "--out", str(out)]) == 0
    assert all(nx.is_tree(graph) and len(graph) == 9 for graph in graphs_in(out)) and len(graphs_in(out)) == 4


def test_molecules_from_smiles_to_smiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rdkit")
    lines = ["CCO", "c1ccccc1", "CC(", "C*C", "CC(=O)O", "[Na+].[Cl-]", "CCN"]
    (tmp_path / "few.smi").write_text("\n".join(lines) + "\n")
    out = tmp_path / "run"
    assert cli.main(["train", "graphs", str(tmp_path / "few.smi"), "--out", str(out), *TINY]) == cli.LEFT_OUT
    said = capsys.readouterr().err
    assert all(f"line {line}" in said for line in (3, 4, 6)) and "3 records left out, 4 used" in said
    words = ["sample", str(out), "--count", "3", "--evaluations", "3", "--out", str(tmp_path / "new.smi")]
    assert cli.main(words) == 0
    assert len((tmp_path / "new.smi").read_text().splitlines()) == 3
