"""Designs beside baselines and IgLM, with stand-ins for the judges and for IgLM."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import antibody, designs, iglm_infill, iglm_peer, tables
from benchmarks.runner import Table
from modalities.sequences import imgt
from modalities.sequences.objects import records
from pfgm_science.data import Dataset
from pfgm_science.errors import PfgmError

START = "EVQLVQSGA-EVKKPGASVKVSCKASGYTF----TSYYMHWVRQAPGQGLEWMGIINPS--GGSTSYAQKFQ-GRVTMTRDTSTSTVYMELSSLRSEDTAVYYC"
END = "WGQGTLVTVSS"
IGLM = """
class IgLM:
    def __init__(self, model_name):
        assert model_name == "IgLM"
        self.model = self.tokenizer = self
        self.pad_token_id = 0

    def infill(self, sequence, chain, species, infill_range, num_to_generate):
        print("loading", chain, species)
        low, high = infill_range
        return {sequence[:low] + "A" * n + sequence[high:] for n in range(high - low, high - low + num_to_generate)}

    def generate(self, chain, species, prompt_sequence=None, num_to_generate=1000):
        return {"E" * n for n in range(num_to_generate)}
"""


def few(seed: int, count: int) -> Dataset:
    """Domains whose loops of 5 to 7 letters are drawn at random."""
    rng = np.random.default_rng(seed)
    loops = ["".join(rng.choice(list("ADGRSYW"), rng.integers(5, 8))) for _ in range(count)]
    return Dataset(
        records([START + imgt.loop(loop, 0) + END for loop in loops]),
        {"v_gene": rng.choice(["IGHV1-2", "IGHV1-8"], count), "j_gene": rng.choice(["IGHJ4", "IGHJ6"], count)},
        details={"alphabet": "protein", "frame": imgt.frame(0).settings()},
    )


def forget() -> None:
    designs.templates.cache_clear()
    designs.training_loops.cache_clear()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    tiny: dict[str, Any] = {"steps": 3, "batch_size": 8, "network": {"width": 4, "hidden": 8, "depth": 1}}
    task = antibody.Task(few(0, 60), few(1, 20), few(2, 20))
    monkeypatch.setattr(antibody, "task_named", lambda name: task)
    monkeypatch.setattr(antibody, "LONG", antibody.LONG | tiny)
    for name, value in {"TEMPLATES": 5, "EACH": 4, "EVALUATIONS": 3, "SPEED_COUNT": 6, "PEER_COUNT": 2}.items():
        monkeypatch.setattr(designs, name, value)
    ways = [(name, 4, way) for name, _, way in designs.BASELINES]
    monkeypatch.setattr(designs, "BASELINES", ways)
    # the length in the place of the exponent of Pgen
    monkeypatch.setattr(designs.antibody_judges, "log10_pgen", lambda loops: -np.array([len(each) for each in loops]))
    forget()
    yield
    forget()


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that another Python finds, with a stand-in of torch, whose import takes seconds."""
    folder = tmp_path / "peers"
    folder.mkdir()
    (folder / "torch.py").write_text("def manual_seed(seed): pass\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def iglm_python(peers: Path) -> str:
    """A Python that has a stand-in of IgLM."""
    (peers / "iglm.py").write_text(IGLM)
    return sys.executable


def words(tmp_path: Path, *more: str) -> list[str]:
    return [*more, "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]


def test_designs_stand_beside_baselines_and_iglm(tmp_path: Path, iglm_python: str) -> None:
    assert designs.main(words(tmp_path, "h3", "--seeds", "0", "1", "--iglm", iglm_python)) == 0
    table = Table("designs-h3", tmp_path)
    assert len(table.cells) == 1 + 2 * 4
    ours = table.find({"way": "the model", "each": 4, "seed": 0})
    assert ours is not None
    assert (ours["designs"], ours["rest kept"], ours["length as asked"]) == (20, 20, 20)
    assert ours["W1 log10 Pgen"] == 0 and ours["judged"] == 15  # three of each template
    peer = table.find({"way": "IgLM", "each": 3, "seed": 1})
    assert peer is not None and peer["rest kept"] == 15 and peer["length as asked"] == 5
    assert peer["W1 log10 Pgen"] == pytest.approx(1)
    shown = tables.render("designs", tmp_path).splitlines()
    assert [line.split(" | ")[0] for line in shown[2:]] == [f"| {way}" for way in tables.DESIGN_WAYS]
    assert "| the model | 40 of 40 | 40 of 40 |" in shown[3] and "| IgLM | 30 of 30 | 10 of 30 |" in shown[4]


def test_without_iglm_its_row_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert designs.main(words(tmp_path, "h3", "--seeds", "0")) == 0
    assert "IgLM is left out" in capsys.readouterr().out
    assert "| IgLM |" not in tables.render("designs", tmp_path)


def test_an_environment_without_iglm_is_named(tmp_path: Path, peers: Path) -> None:
    with pytest.raises(PfgmError, match=r"--iglm .*No module named 'iglm'.* transformers below 5"):
        iglm_peer.ask(sys.executable, [{"count": 1}], 0)
    with pytest.raises(PfgmError, match="it cannot be run"):
        iglm_peer.ask(str(tmp_path / "none"), [], 0)


def test_several_at_a_time_are_handed_out_one_by_one_without_padding() -> None:
    calls = []

    def generate(tokens: np.ndarray, num_return_sequences: int, top_p: float) -> np.ndarray:
        calls.append((tokens.tolist(), num_return_sequences, top_p))
        return np.array([[7, 1, 9, 0], [7, 2, 3, 9]])

    draw = iglm_infill.Several(generate, 2, 0)
    found = [draw(np.array([[7]]), top_p=1).tolist() for _ in range(3)]
    assert found == [[[7, 1, 9]], [[7, 2, 3, 9]], [[7, 1, 9]]]
    assert calls == [([[7]], 2, 1)] * 2


def test_jobs_say_how_chains_begin_and_how_many_are_drawn_at_a_time(peers: Path) -> None:
    (peers / "iglm.py").write_text(
        "class Part:\n"
        "    pad_token_id = 0\n"
        "    def generate(self): return 'alone'\n"
        "class IgLM:\n"
        "    def __init__(self, model_name): self.model, self.tokenizer = Part(), Part()\n"
        "    def generate(self, chain, species, prompt_sequence=None, num_to_generate=1):\n"
        "        return [str(prompt_sequence) + type(self.model.generate).__name__]\n"
    )
    jobs = [{"count": 1, "prompt": "EVQ", "batch": 5}, {"count": 1, "prompt": "QVQ"}, {"count": 1}]
    found = iglm_peer.ask(sys.executable, jobs, 0)["sequences"]
    assert found == [["EVQSeveral"], ["QVQmethod"], ["Nonemethod"]]


def test_a_changed_rest_is_counted_and_judged_no_further() -> None:
    whole = [[t.plain, t.before + "A" * len(t.loop) + t.after] for t in designs.templates()]
    whole[0] = [whole[0][0][1:], whole[0][0][:-1] + "A"]
    found = designs.judged(whole)
    assert found["designs"] == 10 and found["rest kept"] == found["length as asked"] == 8
    shares = [np.mean([letter == "A" for letter in t.loop]) for t in designs.templates()[1:]]
    assert found["recovery"] == pytest.approx((1 + np.mean(shares)) / 2)
    assert designs.templates()[0].loop_of(designs.templates()[0].before) is None


def test_recovery_is_counted_from_both_ends() -> None:
    assert designs.recovery("ARDY", "ARDY") == 1 and designs.recovery("ARWWDY", "ARDY") == 1
    assert designs.recovery("AY", "ARDY") == 0.5 and designs.recovery("", "ARDY") == 0


def test_baselines_have_the_lengths_and_letters_of_training_loops() -> None:
    known = designs.training_loops()

    def loops(drawn: Sequence[Sequence[str]]) -> list[list[str]]:
        pairs = zip(designs.templates(), drawn, strict=True)
        return [[loop for text in texts if (loop := t.loop_of(text)) is not None] for t, texts in pairs]

    for t, found in zip(designs.templates(), loops(designs.natural(9, 0)), strict=True):
        assert len(found) == 9 and set(found) <= set(known[len(t.loop)])
    for t, found in zip(designs.templates(), loops(designs.frequencies(200, 0)), strict=True):
        first = [loop[0] for loop in known[len(t.loop)]]
        expected = first.count("A") / len(first)
        # 200 draws: four standard errors are at most .14
        assert abs(np.mean([loop[0] == "A" for loop in found]) - expected) < 0.15
        assert {len(loop) for loop in found} == {len(t.loop)}
    assert designs.natural(3, 0) == designs.natural(3, 0) != designs.natural(3, 1)


def test_throughput_is_a_ratio_in_one_run(tmp_path: Path, iglm_python: str) -> None:
    assert designs.main(words(tmp_path, "throughput", "--iglm", iglm_python)) == 0
    cells = Table("designs-throughput", tmp_path).cells
    assert {cell["key"]["what"] for cell in cells} == {"whole domains", "CDR-H3 designs"}
    for cell in cells:
        figures = cell["figures"]
        assert figures["ratio"] == pytest.approx(figures["ours"] / figures["IgLM"])
    assert "| CDR-H3 designs |" in tables.render("designs-throughput", tmp_path)
    assert designs.main(words(tmp_path / "alone", "throughput")) == 0
    assert tables.render("designs-throughput", tmp_path / "alone").count("| - | - |") == 2
