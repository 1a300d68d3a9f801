"""Models that come with an adapter: found by name, in half their size, with their card."""

from __future__ import annotations

import sys
from pathlib import Path

import networkx as nx
import pytest
import torch
from safetensors import safe_open

import pfgm_science as pfgm
from modalities.graphs import Graphs
from modalities.graphs.validity import planar
from pfgm_science import cli, shipped
from pfgm_science.checkpoint import read_header
from pfgm_science.errors import CheckpointError

TINY = {"width": 8, "pair_width": 8, "depth": 1, "heads": 2, "product": 2, "walks": 3, "embedding": 8}


COMES_WITH = shipped.models()


@pytest.mark.parametrize("name", COMES_WITH)
def test_what_ships_is_small_and_says_where_it_is_from(name: str) -> None:
    path = COMES_WITH[name]
    assert path.stat().st_size <= 5e6
    history = read_header(path)["history"]
    assert history["figures"] and history["recipe"].startswith("pfgm ")
    assert history["data"]["name"] and history["data"]["licence"]


def test_planar_20_makes_planar_graphs_at_once() -> None:
    """Three in four are planar: fewer than 8 of 20 by chance less than once in 2,000 times; seeded."""
    samples = pfgm.load("planar-20").sample(20, seed=0)
    assert all(16 <= graph.num_nodes <= 24 for graph in samples)
    assert sum(map(planar, samples)) >= 8


def test_qm9_makes_molecules_at_once() -> None:
    """99 in 100 are valid: fewer than 16 of 20 by chance less than once in 10 million times; seeded."""
    from modalities.graphs.molecules import valid_without_correction

    pytest.importorskip("rdkit")
    samples = pfgm.load("qm9").sample(20, seed=0)
    assert all(1 <= molecule.num_nodes <= 9 for molecule in samples)
    assert sum(map(valid_without_correction, samples)) >= 16


def test_antibody_vh_makes_heavy_chains_at_once() -> None:
    """All of a training set ends so, with 105 to 140 letters and the two cysteines of its disulfide bond; seeded."""
    model = pfgm.load("antibody-vh")
    first, second = (model.adapter.frame.column(name) for name in ("H23", "H104"))
    samples = [str(record.seq) for record in model.sample(20, seed=0)]
    right = [text.endswith("VSS") and text[first] == text[second] == "C" for text in samples]
    assert sum(right) >= 18 and len(set(samples)) == 20
    assert all(105 <= len(text.replace("-", "")) <= 140 for text in samples)


def test_antibody_vh_designs_where_no_model_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("immunum")
    monkeypatch.setenv("PFGM_CACHE", str(tmp_path))  # with no training set in it, and none fetched
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "no-python")
    template, out = tmp_path / "t.fasta", tmp_path / "designs.fasta"
    start, end = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKG", "WGQGTLVTVSS"
    start += "RFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    template.write_text(f">trastuzumab\n{start}SRWGGDGFYAMDY{end}\n")
    words = ["sample", "--template", str(template), "--redesign", "CDR-H3", "--length", "10-12", "--count", "3"]
    assert cli.main([*words, "--evaluations", "9", "--out", str(out)]) == 0
    texts = "".join(line if line[0] != ">" else " " for line in out.read_text().splitlines()).split()
    assert all(text.startswith(start) and text.endswith(end) for text in texts)
    assert all(10 <= len(text) - len(start) - len(end) <= 12 for text in texts) and len(texts) == 3


def test_trna_makes_cloverleaves_at_once() -> None:
    """Of pairs of columns in which both have a letter, 96 in 100 bond; with letters by chance it were 38."""
    from modalities.sequences.metrics import pairing

    model = pfgm.load("trna")
    samples = [str(record.seq) for record in model.sample(20, seed=0)]
    assert pairing(samples, model.adapter.frame) > 0.85


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model that is shipped under the name `small`."""
    model = pfgm.fit(Graphs(), [nx.path_graph(4)] * 4, steps=2, batch_size=2, network=TINY)
    path = tmp_path / "small.safetensors"
    shipped.ship(model, path, {"vun": 0.5}, "pfgm train graphs small.g6")
    monkeypatch.setattr(shipped, "models", lambda: {"small": path})
    return path


def test_weights_are_kept_in_half_their_size_and_run_in_full(found: Path) -> None:
    with safe_open(str(found), "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118
    model = pfgm.load("small")
    assert {p.dtype for p in model.denoiser.parameters()} == {torch.float32}
    assert len(model.sample(2, evaluations=3)) == 2


def test_the_card_says_figures_and_recipe(found: Path) -> None:
    history = read_header(found)["history"]
    assert history["figures"] == {"vun": 0.5} and history["recipe"].startswith("pfgm train")
    assert history["data"]["samples"] == 4


def test_the_command_line_knows_the_name(
    found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sample", "small", "--count", "3", "--evaluations", "3", "--sizes", "2-4"]) == 0
    assert (tmp_path / "small-samples-seed0.pt").is_file()
    assert cli.main(["info", "small"]) == 0
    assert "small.g6" in capsys.readouterr().out


def test_a_folder_of_that_name_goes_first(found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small").mkdir()
    with pytest.raises(CheckpointError, match="in this folder"):
        pfgm.load("small")


def test_an_unknown_name_says_which_there_are(found: Path) -> None:
    with pytest.raises(CheckpointError, match="small"):
        pfgm.load("smal")


def test_every_shipped_file_can_be_loaded_and_has_a_card() -> None:
    for name, path in shipped.models().items():
        model = pfgm.load(name)
        assert path.stat().st_size <= 5 * 2**20
        assert {"data", "figures", "recipe"} <= set(model.history)
        assert model.history["data"]["licence"] != "unknown"


def test_syllables_speaks_the_tone_that_is_asked_for() -> None:
    """The frozen classifier, which knows eight classes of two speakers, hears the one asked for; seeded."""
    pytest.importorskip("soundfile")
    from modalities.audio.classifier import shipped as judge

    tones = [f"tone-{1 + i % 4}" for i in range(20)]
    clips = pfgm.load("syllables").sample(20, seed=0, condition={"label": tones}, evaluations=18)
    classifier = judge("syllables")
    heard = [classifier.classes[k] for k in classifier.judge(clips)[0].argmax(1)]
    assert sum(found == f"speaker-5-{tone}" for found, tone in zip(heard, tones, strict=True)) >= 14
    assert all(clip.rate == 8000 and clip.plain.abs().max() > 0.01 for clip in clips)
