"""Sets of antibodies by name, on stand-ins of the packages that they ship in."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archives import wheel

from modalities.sequences import antibody_sets, datasets, numbered
from modalities.sequences.clusters import nearest_difference
from modalities.sequences.frame import Frame
from modalities.sequences.numbering import heavy_columns
from modalities.sequences.simulated_sets import _global_seed
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, PfgmError
from pfgm_science.packages import CACHE_VARIABLE

# Trastuzumab (DrugBank DB00072), and the germline genes IGLV1-40 and IGLJ3.
HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRY"
    "ADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)
KAPPA = "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK"
LAMBDA = (
    "QSVLTQPPSVSGAPGQRVTISCTGSSSNIGAGYDVHWYQQLPGTAPKLLIYGNSNRPSGVPDRFSGSKSGTSASLAITGLQAEDEADYYCQSYDSSLSGWVFGGGTKLTVL"
)
NO_ANTIBODY = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ"


def table(rows: Sequence[dict[str, str]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def texts(data: Dataset) -> list[str]:
    return [str(record.seq) for record in data.objects]


def changed(text: str, letters: str, places: Sequence[int]) -> str:
    """The text with these letters at these places."""
    found = list(text)
    for letter, place in zip(letters, places, strict=True):
        found[place] = letter
    return "".join(found)


@pytest.fixture
def abnativ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in of the package abnativ in a folder of its own."""
    pytest.importorskip("immunum")
    other = changed(HEAVY, "K", [10])
    rows = {
        "vh": [("1", HEAVY), ("2", other), ("bad", NO_ANTIBODY), ("light", KAPPA), ("3", HEAVY)],
        "vl": [("1", KAPPA), ("2", LAMBDA), ("heavy", HEAVY)],
        "vhh": [("1", HEAVY)],
    }
    files = {
        f"abnativ/model/percentiles/test_{kind}_v2_abnativ_seq_scores.csv": table(
            [{"seq_id": name, "input_seq": text, "aligned_seq": "-"} for name, text in entries]
        )
        for kind, entries in rows.items()
    }
    pairs = [(HEAVY, KAPPA), (other, LAMBDA), (HEAVY, HEAVY)]
    files["abnativ/model/percentiles/test_vpaired_v2_abnativ_seq_scores.csv"] = table(
        [{"seq_id": f"p{i}", "input_seq_vh": vh, "input_seq_vl": vl} for i, (vh, vl) in enumerate(pairs)]
    )
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(antibody_sets, "ABNATIV", wheel(tmp_path, files))
    return tmp_path


def test_heavy_chains_are_numbered_and_what_is_none_is_counted(abnativ: Path) -> None:
    data = datasets.load("abnativ-vh")
    assert [text.replace("-", "") for text in texts(data)] == [HEAVY, changed(HEAVY, "K", [10])]
    assert [record.id for record in data.objects] == ["1", "2"] and not data.condition
    frame = Frame.restore(data.details["frame"])
    assert frame.scheme == "imgt" and len(frame.region("CDR-H3")) == 13
    assert data.details["changed"] == {"left out: no variable domain": 2, antibody_sets.AGAIN: 1}
    assert data.groups is not None and len(set(data.groups.tolist())) == 1
    assert "forbids commercial use" in data.licence


def test_light_chains_have_their_locus(abnativ: Path) -> None:
    data = datasets.load("abnativ-vl")
    assert data.condition["locus"].tolist() == ["IGK", "IGL"]
    assert [text.replace("-", "") for text in texts(data)] == [KAPPA, LAMBDA]


def test_pairs_have_the_columns_of_both_chains(abnativ: Path) -> None:
    data = datasets.load("abnativ-paired")
    frame = Frame.restore(data.details["frame"])
    cut = heavy_columns(frame)
    halves = [(text[:cut].replace("-", ""), text[cut:].replace("-", "")) for text in texts(data)]
    assert halves == [(HEAVY, KAPPA), (changed(HEAVY, "K", [10]), LAMBDA)]
    assert data.condition["locus"].tolist() == ["IGK", "IGL"]
    assert data.details["changed"] == {"left out: no variable domain": 1}


def test_what_is_numbered_is_kept_and_made_anew_where_it_is_damaged(
    abnativ: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = datasets.load("abnativ-vh")
    (kept,) = abnativ.glob("abnativ-vh-*-imgt.tsv.gz")
    real = numbered.number
    asked: list[str] = []

    def number(text: str, scheme: str) -> Any:
        asked.append(text)
        return real(text, scheme)

    monkeypatch.setattr(numbered, "number", number)
    again = datasets.load("abnativ-vh")
    assert not asked and texts(again) == texts(first) and again.details == first.details
    content = kept.read_bytes()
    for damage in (content[:-20], b"no file", gzip.compress(gzip.decompress(content).replace(b"WGQGT", b"WGQG", 1))):
        kept.write_bytes(damage)
        asked.clear()
        assert texts(datasets.load("abnativ-vh")) == texts(first) and len(asked) == 5
        assert gzip.decompress(kept.read_bytes()) == gzip.decompress(content)
    monkeypatch.setattr(numbered, "_immunum", lambda: "another")
    asked.clear()
    assert texts(datasets.load("abnativ-vh")) == texts(first) and len(asked) == 5


def test_without_the_package_the_file_to_bring_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    for name, file in (("abnativ-vhh", "abnativ-2.0.9"), ("alakazam", "pyalakazam-0.1.1"), ("airrdb", "pytigger-")):
        with pytest.raises(PfgmError, match=f"put the file {file}.* into {tmp_path}"):
            datasets.load(name)


def test_no_two_groups_hold_what_is_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leak test: with CDR3s of one length, sequences of two groups differ in more than a tenth of the columns."""
    pytest.importorskip("immunum")
    rng = np.random.default_rng(0)
    families = [HEAVY]
    for _ in range(3):  # ancestors a fifth apart, in frameworks and loops but not in what numbering hangs on
        places = rng.choice([i for i in range(12, 95) if HEAVY[i] not in "CW"], 25, replace=False)
        families.append(changed(HEAVY, "".join(rng.choice(list("STNQADEK"), 25)), places.tolist()))
    entries = []
    for i in range(60):
        places = rng.choice(range(97, 108), 4, replace=False).tolist()
        text = changed(families[i % 4], "".join(rng.choice(list("AGSTY"), 4)), places)
        entries.append({"seq_id": str(i), "input_seq": text[:104] + "G" * (i % 3 == 0) + text[104:]})
    file = {"abnativ/model/percentiles/test_vh_v2_abnativ_seq_scores.csv": table(entries)}
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(antibody_sets, "ABNATIV", wheel(tmp_path, file))
    data = datasets.load("abnativ-vh")
    assert data.groups is not None and len(data) > 40 and len(set(data.groups.tolist())) > 4
    train, test = data.split(0.3)
    frame = Frame.restore(data.details["frame"])
    span = frame.region("CDR-H3")
    for length in (13, 14):
        ours, theirs = (
            [text for text in texts(part) if len(text[span.start : span.stop].replace("-", "")) == length]
            for part in (test, train)
        )
        assert bool((nearest_difference(ours, theirs) > antibody_sets.ALIKE).all())


# --- tables of rearrangements ---

V, LOOP, FR4 = "GAG" + "GTG" * 102 + "TGT", "GCGAGA", "TGGGGCCAGGGAACCCTGGTCACCGTCTCCTCA"


def rearrangement(name: str, v: str = V, loop: str = LOOP, fr4: str = FR4, **more: str) -> dict[str, str]:
    given = {"sequence_id": name, "sequence_alignment": v + loop + fr4, "junction_length": str(len(loop) + 6)}
    calls = {"v_call": "Homsap IGHV3-11*05 F", "j_call": "Homsap IGHJ4*03 F, or Homsap IGHJ5*01 F", "c_call": "IGHM"}
    return given | calls | more


def test_rearrangements_of_alakazam_are_translated_and_bad_ones_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        rearrangement("a"),
        rearrangement("again"),
        rearrangement("b", loop="GCGTGGTACGGG", c_call="IGHG"),
        rearrangement("cut", fr4=FR4[:-9]),
        rearrangement("stop", v=V[:30] + "TAG" + V[33:]),
        rearrangement("none", junction_length=""),
    ]
    file = {"pyalakazam/data/ExampleDb.tsv.gz": gzip.compress(table(rows, "\t"))}
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(antibody_sets, "PYALAKAZAM", wheel(tmp_path, file))
    data = datasets.load("alakazam")
    domain = "E" + "V" * 102 + "C{}WGQGTLVTVSS"
    assert [text.replace("-", "") for text in texts(data)] == [domain.format("AR"), domain.format("AWYG")]
    assert [record.id for record in data.objects] == ["a", "b"]
    assert {name: values.tolist() for name, values in data.condition.items()} == {
        "v_gene": ["IGHV3-11"] * 2,
        "j_gene": ["IGHJ4"] * 2,
        "isotype": ["IGHM", "IGHG"],
    }
    assert [bad.record for bad in data.rejected] == ["line 5 (cut)", "line 6 (stop)", "line 7 (none)"]
    assert "its FR4 is" in data.rejected[0].reason and "0 nucleotides" in data.rejected[2].reason
    assert data.details["changed"] == {antibody_sets.INCOMPLETE: 3, antibody_sets.AGAIN: 1}


def test_airrdb_has_clones_for_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loops = {"a": "GCGAGAGCGAGAGCG", "b": "GCGAGAGCGAGATGG", "c": "TGGTGGTGGTGGTGG"}
    rows = [rearrangement(name, loop=loop) for name, loop in loops.items()]
    rows.append(rearrangement("d", loop=loops["a"], v_call="IGHV1-2*02,IGHV1-2*04"))
    file = {"pytigger/data/AIRRDb.csv.gz": gzip.compress(table(rows))}
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(antibody_sets, "PYTIGGER", wheel(tmp_path, file))
    data = datasets.load("airrdb")
    assert data.groups is not None and data.groups.tolist() == [0, 0, 1] and not data.rejected
    assert data.condition["v_gene"].tolist() == ["IGHV3-11"] * 3
    assert data.details["changed"] == {antibody_sets.AGAIN: 1}


# --- sets that are drawn ---


def test_olga_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "olga", None)
    with pytest.raises(PfgmError, match=r"drawn by OLGA .*pip install olga==1.3.0"):
        datasets.load("olga-h3:count=3")


class _Draws:
    """What OLGA's generator does, in small: nucleotides, amino acids, V and J by number, of global random numbers."""

    def __init__(self, *model: Any) -> None:
        assert [part.files for part in model] == [1, 3]

    def gen_rnd_prod_CDR3(self) -> tuple[str, str, int, int]:
        number = np.random.randint(1000)
        return "TGT", f"C{'AS'[number % 2] * (number % 9)}W", number % 2, 0


class _Loads:
    genV, genJ = [["IGHV1-2*01"], ["IGHV3-7*02"]], [["IGHJ4*01"]]

    def load_igor_genomic_data(self, *paths: str) -> None:
        assert [Path(path).name[0] for path in paths] == ["m", "V", "J"]
        self.files = len(paths)

    def load_and_process_igor_model(self, *paths: str) -> None:
        self.files = len(paths)


def test_olga_draws_with_a_seed_and_leaves_global_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    load_model: Any = types.ModuleType("olga.load_model")
    load_model.__file__ = "/olga/load_model.py"
    load_model.GenomicDataVDJ = load_model.GenerativeModelVDJ = _Loads
    generation: Any = types.ModuleType("olga.sequence_generation")
    generation.SequenceGenerationVDJ = _Draws
    olga: Any = types.ModuleType("olga")
    olga.load_model = load_model
    for module in (olga, load_model, generation):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    data = datasets.load("olga-h3:count=40:seed=1")
    assert np.random.random(3).tolist() == expected.tolist()
    assert texts(data) == texts(datasets.load("olga-h3:count=40:seed=1"))
    assert texts(data) != texts(datasets.load("olga-h3:count=40:seed=2"))
    assert data.name == "olga-h3:count=40:seed=1" and len(data) == 40
    assert set(data.condition["v_gene"].tolist()) == {"IGHV1-2", "IGHV3-7"}
    assert set(data.condition["j_gene"].tolist()) == {"IGHJ4"}


def test_a_global_seed_is_taken_back_after_an_error_too() -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[union-attr,index]
    with pytest.raises(ValueError, match="no"), _global_seed(3):
        raise ValueError("no")
    assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr,index]


def test_olgas_own_draws_are_productive_loops() -> None:
    pytest.importorskip("olga.sequence_generation")
    data = datasets.load("olga-h3:count=50")
    assert all(text[0] == "C" and text[-1] in "FVW" and "*" not in text for text in texts(data))
    assert all(name.startswith("IGHV") for name in data.condition["v_gene"])
    assert texts(data) == texts(datasets.load("olga-h3:count=50"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("olga-h3:count=0", "count is 0"),
        ("olga-h3:seed=-1", "seed -1"),
        ("olga-h3:number=3", "'number=3' is no setting.*count=20000, seed=0"),
        ("antpack-mixture:count=many", "cannot be read"),
        ("airrdb:count=3", "'count=3' is no setting.*defaults: none"),
    ],
)
def test_wrong_settings_are_told_what_is_allowed(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        datasets.load(name)


def test_hairpins_have_settings() -> None:
    data = datasets.load("hairpins:count=5:seed=2")
    assert len(data) == 5 and texts(data) != texts(datasets.load("hairpins:count=5"))
