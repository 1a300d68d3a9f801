"""Loops drawn anew in a template: what is kept, what is allowed, and the law of what is drawn."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn

import pfgm_science as pfgm
from modalities.sequences import Design, Sequences, edits, imgt, scores
from modalities.sequences.design import asked
from modalities.sequences.frame import Frame
from modalities.sequences.infilling import parts
from modalities.sequences.liabilities import spans, touching
from pfgm_science import shipped
from pfgm_science.batch import Batch, Condition
from pfgm_science.cli import main
from pfgm_science.condition import GIVEN
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.denoiser import Preconditioned
from pfgm_science.errors import ConfigError, PfgmError
from pfgm_science.model import Model

TINY = {"width": 8, "hidden": 8, "depth": 1, "embedding": 8}
FRAME = Frame(tuple(f"H{i}" for i in range(1, 9)), (("FR-H1", 0, 2), ("CDR-H3", 2, 6), ("FR-H2", 6, 8)))
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


@pytest.fixture(scope="module")
def model() -> Model:
    """Two frame columns, a loop of 2 to 4 letters with its gaps in the middle, two columns; a step of training."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(60):
        size = int(rng.integers(2, 5))
        loop = "".join(rng.choice(list(LETTERS), size))
        left = (size + 1) // 2
        texts.append("EV" + loop[:left] + "-" * (4 - size) + loop[left:] + "WG")
    data = Dataset(texts, details={"frame": FRAME.settings()})
    return pfgm.fit(Sequences(), data, steps=2, batch_size=8, network=TINY)


def loops(samples: Sequence[str]) -> list[str]:
    return [text[2:6].replace("-", "") for text in samples]


def test_everything_else_is_the_templates_and_lengths_are_those_asked_for(model: Model) -> None:
    samples = model.sample(60, around=Design("EVAC-DWG", ["CDR-H3"], {"CDR-H3": (2, 4)}), evaluations=3)
    assert {text[:2] + text[6:] for text in samples} == {"EVWG"}
    assert set(map(len, loops(samples))) == {2, 3, 4}
    assert {text[2:6].find("-") for text in samples} == {-1, 1, 2}  # the gaps are in the middle


def test_without_a_length_gaps_stay_where_they_are(model: Model) -> None:
    samples = model.sample(20, around=Design("EVAC-DWG", ["H3"]), evaluations=3)
    assert {text[:2] + text[4] + text[6:] for text in samples} == {"EV-WG"}
    assert len(set(loops(samples))) > 10 and set(map(len, loops(samples))) == {3}


def test_several_regions_at_once(model: Model) -> None:
    design = Design("EVAC-DWG", ["CDR-H3", "FR-H2"], {"H3": (3, 3)}, deny="WG")
    samples = model.sample(20, around=design, evaluations=3)
    assert {text[:2] for text in samples} == {"EV"} and len({text[6:] for text in samples}) > 10


def test_letters_are_among_those_allowed_and_none_that_is_denied(model: Model) -> None:
    design = Design("EVAC-DWG", ["H3"], {"H3": (3, 4)}, allow={"H3:2": "CDE", "H6": "ak"}, deny="cw")
    found = loops(model.sample(40, around=design, evaluations=3))
    assert {loop[1] for loop in found} == {"D", "E"} and {loop[-1] for loop in found} == {"A", "K"}
    assert not set("".join(found)) & set("CW-")


def test_letters_are_denied_at_a_place_and_nowhere_else(model: Model) -> None:
    most = LETTERS.replace("A", "").replace("K", "")
    design = Design("EVAC-DWG", ["H3"], {"H3": (3, 4)}, allow={"H6": "AKD"}, deny_at={"H3:1": most, "H6": "k"})
    found = loops(model.sample(40, around=design, evaluations=3))
    assert {loop[0] for loop in found} == {"A", "K"} and {loop[-1] for loop in found} == {"A", "D"}
    assert len({loop[1] for loop in found}) > 8


def test_a_sample_does_not_depend_on_its_batch(model: Model) -> None:
    design = Design("EVAC-DWG", ["H3"], {"H3": (2, 4)})
    assert model.sample(6, around=design, batch_size=2) == model.sample(6, around=design, batch_size=6)


@pytest.mark.parametrize(
    ("design", "reason"),
    [
        (lambda: Design("EVAC-DWG", []), "every design would be the template"),
        (lambda: Design("EVAC-DWG", ["H3"], temperature=0.0), "must be > 0"),
        (lambda: Design("EVAC-DWG", ["L3"]), r"no region 'L3' in this alignment \(FR-H1, CDR-H3, FR-H2\)"),
        (lambda: Design("EVAC-DW", ["H3"]), "7 columns, this model's sequences have 8"),
        (lambda: Design("EVXC-DWG", ["H3"]), "'X' at position 3"),
        (lambda: Design("EVAC-DWG", ["H3"], {"H3": (3, 5)}), "3 to 5 letters: this model's has 1 to 4"),
        (lambda: Design("EVAC-DWG", ["H3"], {"FR-H1": (1, 2)}), "FR-H1, which is not redesigned"),
        (lambda: Design("EV----WG", ["H3"]), "nothing but gaps"),
        (lambda: Design("EVAC-DWG", ["H3"], allow={"H3:4": "A"}), "3 letters to be drawn"),
        (lambda: Design("EVAC-DWG", ["H3"], allow={"H1": "A"}), "H1 is not drawn: it is E"),
        (lambda: Design("EVAC-DWG", ["H3"], allow={"H5": "A"}), "H5 is not drawn: it is a gap"),
        (lambda: Design("EVAC-DWG", ["H3"], allow={"H3:1": "AB"}), "B is no letter"),
        (lambda: Design("EVAC-DWG", ["H3"], allow={"H3:1": "C"}, deny="C"), "no letter is left for H3"),
        (lambda: Design("EVAC-DWG", ["H3"], allow={"H3:1": "C"}, deny_at={"H3": "C"}), "no letter is left for H3"),
        (lambda: Design("EVAC-DWG", ["H3"], deny_at={"H3:1": "AB"}), "B is no letter"),
        (lambda: Design("EVAC-DWG", ["H3"], {"H3": (2, 2), "CDR-H3": (3, 3)}), "two lengths are given for one region"),
        (lambda: Design("EVAC-DWG", ["H3"], {"H3": (2, 2)}, allow={"H4": "A"}), "a gap, here or in loops of this len"),
        (lambda: Design("EVAC-DWG", ["H3"], allow={"H3:1": "A", "H3:2": "C", "H3:3": "D"}), "nothing to draw"),
    ],
)
def test_what_cannot_be_met_or_changes_nothing_is_refused(model: Model, design: Any, reason: str) -> None:
    with pytest.raises(PfgmError, match=reason):
        model.sample(2, around=design())


def test_sequences_of_free_length_have_no_regions() -> None:
    free = pfgm.fit(Sequences(), ["ACGU", "GG"] * 4, steps=1, batch_size=2, network={"width": 8, "depth": 1})
    with pytest.raises(ConfigError, match="only aligned ones"):
        free.sample(1, around=Design("ACGU", ["H3"]))


def test_nothing_else_may_be_known(model: Model) -> None:
    with pytest.raises(ConfigError, match="goes with nothing else"):
        model.sample(1, around=Design("EVAC-DWG", ["H3"]), graph=True)


class Posterior(nn.Module):
    """Exact logits of the second of two columns, given the first, for the t kernel with N = 4 free coordinates."""

    def __init__(self, adapter: Sequences, law: Tensor, D: float) -> None:
        super().__init__()
        self.codebook, self.law, self.D = adapter.codebook, law, D
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Tensor, level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        assert condition is not None and mask is not None and bool((mask[:, 0] == 0).all())
        sigma = (4 * level.double()).exp()[:, None]
        first = condition[GIVEN][:, 0].argmax(-1)
        place = x[:, 1].double() * (sigma**2 + 0.25).sqrt()
        code = self.codebook.encode(torch.arange(4)).double()
        squared = (place[:, None] - code).square().sum(-1)
        logits = self.law[first].log() - (4 + self.D) / 2 * torch.log1p(squared / (self.D * sigma**2))
        return torch.stack([torch.zeros_like(logits), logits], 1) + self.weight


@pytest.mark.parametrize("D", [2.0, 64.0])
def test_what_is_drawn_has_the_law_of_what_goes_with_the_template(D: float) -> None:
    """800 samples against the exact conditional, by chi squared: p < 1e-4 by chance once in 10,000; seeded."""
    law = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4], [0.4, 0.4, 0.1, 0.1]])
    law = law.double() / law.double().sum(1, keepdim=True)
    frame = Frame(("1", "2"), (("left", 0, 1), ("right", 1, 2)))
    texts = ["AC", "CG", "GU", "UA"] * 5
    data = Dataset(texts, details={"frame": frame.settings()})
    fitted = pfgm.fit(Sequences("rna"), data, steps=1, batch_size=2, network=TINY, dimension=D)
    exact = replace(fitted, denoiser=Preconditioned(Posterior(fitted.adapter, law, D), 0.5), bends=None)
    for letter, row in zip("AG", law[[0, 2]].tolist(), strict=True):
        samples = exact.sample(800, around=Design(letter + "A", ["right"]), seed=3, evaluations=40, solver="heun")
        assert {text[0] for text in samples} == {letter}
        counts = Counter(text[1] for text in samples)
        assert chisquare([counts[each] for each in "ACGU"], [800 * share for share in row]).pvalue > 1e-4
    only = exact.sample(800, around=Design("GA", ["right"], allow={"2": "CU"}), seed=3, evaluations=40, solver="heun")
    counts = Counter(text[1] for text in only)
    assert set(counts) == {"C", "U"}
    assert chisquare([counts["C"], counts["U"]], [800 / 3, 1600 / 3]).pvalue > 1e-4
    cold = Design("GA", ["right"], temperature=0.25)
    colder = Counter(text[1] for text in exact.sample(800, around=cold, seed=3, evaluations=40, solver="heun"))
    assert colder["U"] > 370  # 320 expected without, with deviation 14


def test_a_network_learns_to_heed_what_is_given() -> None:
    """The last letter pairs with the first; after a short training nine in ten are right (chance: one in four)."""
    rng = np.random.default_rng(0)
    partner = dict(zip("ACGU", "UGCA", strict=True))
    texts = ["".join(rng.choice(list("ACGU"), 4)) for _ in range(400)]
    texts = [text + partner[text[0]] for text in texts]
    frame = Frame(tuple("12345"), (("stem", 0, 4), ("CDR-H3", 4, 5)))
    data = Dataset(texts, details={"frame": frame.settings()})
    model = pfgm.fit(
        Sequences("rna"),
        data,
        steps=400,
        batch_size=32,
        network={"width": 32, "hidden": 32, "depth": 2, "dropout": 0.0},
        ema_half_life=500,
    )
    right = [model.sample(25, around=Design(letter + "CAGA", ["H3"]), seed=1) for letter in "ACGU"]
    hits = sum(text[4] == partner[text[0]] for samples in right for text in samples)
    assert hits >= 90


# --- what is given in training ---


def encoded(texts: list[str]) -> tuple[Sequences, Batch]:
    adapter = Sequences().fit(Dataset(texts, details={"frame": FRAME.settings()}))
    return adapter, adapter.encode(texts)


def test_training_is_whole_around_loops_and_around_anything() -> None:
    adapter, batch = encoded(["EVAC-DWG", "EVA--DWG"] * 2000)
    given = adapter.augment(batch, torch.Generator().manual_seed(0))
    assert given.mask is not None and given.condition is not None
    mask = given.mask[..., 0]
    assert torch.equal(given.values, batch.values * given.mask)
    assert torch.equal(given.values + given.condition[GIVEN], batch.values)
    assert bool((mask.sum(1) >= 1).all())
    whole = (mask == 1).all(1).double().mean()
    loop = torch.tensor([0.0, 0, 1, 1, 1, 1, 0, 0])
    letters = loop * (batch.values.argmax(-1) != 20)
    around = ((mask == loop) | (mask == letters)).all(1).double().mean()
    # 4,000 draws of shares .5 and .3 or so: four standard errors are .03
    assert 0.47 < float(whole) < 0.55 and 0.25 < float(around) < 0.4
    told = ((mask == letters).all(1) & ~(mask == loop).all(1)).double().mean()
    assert 0.1 < float(told) < 0.2


def test_what_is_free_depends_on_the_generator_alone() -> None:
    drawn = [parts(FRAME, 20).free(50, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert bool(parts(Frame(tuple("ab")), None).free(50, torch.Generator().manual_seed(0)).shape == (50, 2))


# --- whole jobs ---


def test_a_job_draws_again_until_no_denied_motif_is_left(model: Model) -> None:
    design = Design("EVAC-DWG", ["H3"], {"H3": (3, 4)}, allow={"H3:1": "NA"}, motifs=["n-glycosylation", "DEAMIDATION"])
    found = design.draw(model, 60, seed=2, evaluations=3)
    assert [record.id for record in found[:2]] == ["design-01", "design-02"] and len(found) == 60
    plain = [str(record.seq).replace("-", "") for record in found]
    assert any("N" in text for text in plain)
    assert not any(re.search("N[^P][ST]|N[GS]", text) for text in plain)
    assert len({record.annotations["airr"]["seed"] for record in found}) > 1
    again = design.draw(model, 60, seed=2, evaluations=3)
    assert [str(record.seq) for record in again] == [str(record.seq) for record in found]


def test_a_job_that_cannot_be_met_says_how_far_it_came(model: Model) -> None:
    design = Design("EVAC-DWG", ["H3"], {"H3": (3, 3)}, allow={"H3:1": "N", "H3:2": "GS"}, motifs=["deamidation"])
    with pytest.raises(PfgmError, match="0 of 3 designs are without deamidation after 90 were drawn"):
        design.draw(model, 3, evaluations=2)


def test_the_table_says_how_far_each_design_is_from_the_template_and_the_training_data(model: Model) -> None:
    known = ["EVACADWG", "EVWW--WG"]
    found = Design("EVAC-DWG", ["H3"], {"H3": (2, 4)}).draw(model, 30, training=known, evaluations=3)
    for record in found:
        text, row = str(record.seq), record.annotations["airr"]
        plain, loop = text.replace("-", ""), text[2:6].replace("-", "")
        assert row["cdr3_aa"] == loop
        assert row["template_distance"] == edits.distance(plain, "EVACDWG") == edits.distance(loop, "ACD")
        assert row["training_distance"] == min(edits.distance(plain, each.replace("-", "")) for each in known)
        assert row["cdr3_training_distance"] == min(edits.distance(loop, each) for each in ("ACAD", "WW"))
        assert "humanness" not in row  # FRAME is no antibody's
    assert len({record.annotations["airr"]["training_distance"] for record in found}) > 1
    with pytest.raises(ConfigError, match="training: the sequences must be in the 8 columns"):
        Design("EVAC-DWG", ["H3"]).draw(model, 1, training=["EVA"])


def test_repeated_designs_are_said(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    allow = {"H3:1": "A", "H3:2": "C", "H3:3": "DE"}
    Design("EVAC-DWG", ["H3"], allow=allow).draw(model, 20, evaluations=2)
    assert "2 of 20 designs are distinct" in caplog.text


DOMAIN = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKG"
    "RFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)
CONSTANT = "ASTKGPSVFPLAPSSKSTSGGTAALGCLVKDY"


@pytest.fixture(scope="module")
def antibodies() -> Model:
    """A step of training on domains in IMGT's columns, with loops of 5 to 13 letters."""
    pytest.importorskip("immunum")
    rng = np.random.default_rng(0)
    from modalities.sequences.numbering import framed

    whole = imgt.frame(0)
    start, end = framed(DOMAIN, whole)[:104], DOMAIN[-11:]
    texts = [start + imgt.loop("".join(rng.choice(list(LETTERS), n)), 0) + end for n in rng.integers(5, 14, 40)]
    data = Dataset(texts, details={"frame": whole.settings()})
    return pfgm.fit(Sequences(), data, steps=1, batch_size=8, network=TINY)


@pytest.mark.parametrize("outside", [0, 128 - len(DOMAIN), 31])  # 8: as many letters as there are columns
def test_a_template_is_numbered_whatever_its_number_of_letters(
    antibodies: Model, outside: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "_JUDGES", {})
    design = Design(DOMAIN.lower() + CONSTANT[:outside], ["CDR-H3"], {"CDR-H3": (10, 12)})
    for record in design.draw(antibodies, 5, evaluations=2):
        plain = str(record.seq).replace("-", "")
        assert plain.startswith(DOMAIN[:96]) and plain.endswith(DOMAIN[-11:])
        assert 10 <= len(plain) - 107 <= 12
    assert (f"{outside} letters before or behind" in caplog.text) == (outside > 0)


def test_what_judges_say_stands_in_the_table(
    antibodies: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(texts: tuple[str, ...]) -> Any:
        raise PfgmError("it needs antpack")

    judges = {"humanness": lambda texts: [len(texts[0]) / 1000, float("nan")], "log_likelihood": missing}
    monkeypatch.setattr(scores, "_JUDGES", judges)
    first, second = Design(DOMAIN, ["H3"]).draw(antibodies, 2, evaluations=2)
    assert first.annotations["airr"]["humanness"] == "0.12" and second.annotations["airr"]["humanness"] == ""
    assert "log_likelihood" not in first.annotations["airr"]
    assert caplog.text.count("the table has no column log_likelihood: it needs antpack") == 1


def test_a_cysteine_is_free_where_the_chain_has_an_odd_number() -> None:
    assert touching("free cysteine", "ACDC-AC", {3}) and not touching("free cysteine", "ACDC-AC", {0, 2})
    assert not touching("Free Cysteine", "ACDC-AA", {3})


def test_motifs_are_found_across_gaps_and_only_where_letters_are_drawn() -> None:
    assert spans("N[^P][ST]", "A-N-QSNPSNNTT") == [[2, 4, 5], [9, 10, 11], [10, 11, 12]]
    assert touching("deamidation", "AN--GA", {4}) and not touching("deamidation", "AN--GA", {5})


def test_the_words_of_the_command_line() -> None:
    design = asked(
        "EVAC-DWG", redesign=["H3"], lengths=["10-16"], allow=["H3:3=CDE", "H107=AG"], deny=["CM", "cleavage", "H3:2=W"]
    )
    assert dict(design.lengths) == {"H3": (10, 16)} and dict(design.allow) == {"H3:3": "CDE", "H107": "AG"}
    assert design.deny == "CM" and list(design.motifs) == ["cleavage"] and dict(design.deny_at) == {"H3:2": "W"}
    assert dict(asked("A", redesign=["H1", "H3"], lengths=["H3=7"]).lengths) == {"H3": (7, 7)}
    for words, reason in (
        ({"lengths": ["7"], "redesign": ["H1", "H3"]}, "say which: H1=7"),
        ({"lengths": ["ten"], "redesign": ["H3"]}, "LOW-HIGH"),
        ({"allow": ["H3:3"], "redesign": ["H3"]}, "H3:3=CDE"),
        ({"deny": ["glycans"], "redesign": ["H3"]}, "in capitals\\) nor one of N-glycosylation"),
        ({"allow": ["H3:3=C", "H3:3=D"], "redesign": ["H3"]}, "has a list already"),
        ({"deny": ["H3:3="], "redesign": ["H3"]}, "--deny H3:3=: it must be PLACE=LETTERS"),
        ({"lengths": ["7", "8"], "redesign": ["H3"]}, "H3 has a length already"),
        ({"redesign": []}, "every design would be the template"),
    ):
        with pytest.raises(ConfigError, match=reason):
            asked("A", **words)  # type: ignore[arg-type]


def test_a_design_from_the_command_line(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, template, out = tmp_path / "m.safetensors", tmp_path / "t.fasta", tmp_path / "d.fasta"
    model.save(run)
    template.write_text(">t\nEVAC-DWG\n")
    words = ["--template", str(template), "--redesign", "CDR-H3", "--length", "2-4", "--count", "30", "--deny", "CW"]
    assert main(["sample", str(run), *words, "--evaluations", "4", "--out", str(out)]) == 0
    lines = out.read_text().splitlines()
    assert lines[0] == ">design-01" and len(lines) == 60
    assert all(line.startswith("EV") and line.endswith("WG") for line in lines[1::2])
    table = list(csv.DictReader((tmp_path / "d.tsv").open(), delimiter="\t"))
    assert [row["sequence_aa"] for row in table] == lines[1::2]
    assert all(2 <= len(row["cdr3_aa"]) <= 4 and not set(row["cdr3_aa"]) & set("CW") for row in table)
    assert all(row["sequence_alignment_aa"][2:6].replace("-", "") == row["cdr3_aa"] for row in table)
    capsys.readouterr()
    for extra, reason in (
        (["--length", "H3=9"], "two lengths"),
        (["--sizes", "8"], "neither --from"),
        (["--deny", "what"], "neither letters"),
    ):
        assert main(["sample", str(run), *words, *extra, "--out", str(tmp_path / "e.fasta")]) == 2
        assert reason in capsys.readouterr().err
    assert main(["sample", str(run), "--redesign", "H3"]) == 2
    assert "--redesign needs --template" in capsys.readouterr().err
    assert main(["sample", str(run), *words, "--evaluations", "2", "--out", str(tmp_path / "d.fa")]) == 2
    assert f"{tmp_path / 'd.tsv'} exists" in capsys.readouterr().err  # the table of the other file
    template.write_text(">t\nEVAC-DWG\n>u\nEVAC-DWG\n")
    assert main(["sample", str(run), *words, "--out", str(tmp_path / "e.fasta")]) == 2
    assert "there are 2 objects" in capsys.readouterr().err


def test_distances_are_to_what_the_model_was_trained_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("immunum")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scores, "_JUDGES", {})
    rng = np.random.default_rng(0)
    loops = ["".join(rng.choice(list(LETTERS), 9)) for _ in range(20)]
    data, template = tmp_path / "all.fasta", tmp_path / "t.fasta"
    data.write_text("".join(f">{i}\n{DOMAIN[:96]}{loop}{DOMAIN[-11:]}\n" for i, loop in enumerate(loops)))
    template.write_text(f">t\n{DOMAIN[:96]}{loops[0]}{DOMAIN[-11:]}{CONSTANT}*\n")
    small = [word for name in ("width", "hidden") for word in ("--set", f"network.{name}=8")]
    train = ["train", "sequences", "all.fasta", "--read", "numbering=imgt", "--out", "run", "--steps", "1"]
    assert main([*train, *small, "--set", "validation=0.5"]) == 0
    words = ["sample", "run", "--template", "t.fasta", "--redesign", "H3", "--count", "6", "--evaluations", "2"]
    assert main([*words, "--out", "d.fasta"]) == 0
    rows = list(csv.DictReader((tmp_path / "d.tsv").open(), delimiter="\t"))
    held_out = pfgm.load("run").history["data"]["held_out"]
    seen = Dataset(loops).split(0.5, 0)[0].objects
    assert len(seen) == 20 - held_out
    for row in rows:
        nearest = min(edits.distance(row["cdr3_aa"], loop) for loop in seen)
        assert int(row["training_distance"]) == int(row["cdr3_training_distance"]) == nearest
    assert "stop at the end taken away: 1 records" in capsys.readouterr().err
    assert "32 letters before or behind" in caplog.text
    data.write_text(data.read_text().replace(seen[0], seen[1]))
    assert main([*words, "--out", "e.fasta"]) == 0
    assert "no distances to the training data: all.fasta is not what it was then" in capsys.readouterr().err
    data.unlink()
    assert main([*words, "--out", "f.fasta"]) == 0
    assert "all.fasta is not to be found from here" in capsys.readouterr().err
    assert "training_distance" not in (tmp_path / "f.tsv").read_text()


def test_of_a_set_by_name_all_is_compared_where_a_part_was_used(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Dataset(["EVACADWG", "EVWW--WG", "EVKKKKWG"], name="loops", details={"frame": FRAME.settings()})
    info = DatasetInfo("loops", "loops", "none", "here", "3")
    monkeypatch.setattr(Sequences, "datasets", lambda self: [info])
    monkeypatch.setattr(Sequences, "dataset", lambda self, name: whole)
    part = whole.take(np.array([0, 1]))
    run, template, out = tmp_path / "m.safetensors", tmp_path / "t.fasta", tmp_path / "d.fasta"
    pfgm.fit(Sequences(), part, steps=1, batch_size=2, network=TINY, validation=0.0).save(run)
    template.write_text(">t\nEVACADWG\n")
    words = ["--template", str(template), "--redesign", "H3", "--allow", "H3:1=K", "--evaluations", "2"]
    assert main(["sample", str(run), *words, "--count", "5", "--out", str(out)]) == 0
    assert "distances to the training data are to all 3 of loops: 2 were used" in capsys.readouterr().err
    known = [text.replace("-", "") for text in whole.objects]
    for row in csv.DictReader((tmp_path / "d.tsv").open(), delimiter="\t"):
        assert int(row["training_distance"]) == min(edits.distance(row["sequence_aa"], each) for each in known)


def test_without_a_model_the_shipped_one_designs(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.fasta").write_text(">t\nEVAC-DWG\n")
    words = ["sample", "--template", "t.fasta", "--redesign", "CDR-H3", "--count", "3", "--evaluations", "2"]
    monkeypatch.setattr(shipped, "models", dict)
    assert main(words) == 2
    assert "no model is named, and antibody-vh that designs is not part" in capsys.readouterr().err
    assert main(["sample", "--count", "3"]) == 2
    assert "which model?" in capsys.readouterr().err
    model.save(tmp_path / "vh.safetensors")
    monkeypatch.setattr(shipped, "models", lambda: {"antibody-vh": tmp_path / "vh.safetensors"})
    assert main(words) == 0
    assert "designing with the shipped model antibody-vh" in capsys.readouterr().err
    assert (tmp_path / "antibody-vh-designs-seed0.fasta").is_file()
    assert (tmp_path / "antibody-vh-designs-seed0.tsv").is_file()
