"""Heavy chains with their light ones: read from files of many kinds, written, and read back."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from modalities.sequences import Design, Sequences, datasets
from modalities.sequences.files.item import Item
from modalities.sequences.files.pairs import joined
from modalities.sequences.formats import read
from modalities.sequences.frame import Frame
from modalities.sequences.numbering import CONSTANT, heavy_columns
from modalities.sequences.scores import airr_name
from pfgm_science.cli import main
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError, DataError

pytest.importorskip("immunum")

# Trastuzumab (DrugBank DB00072), and the germline genes IGLV1-40 and IGLJ3.
HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRY"
    "ADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)
KAPPA = "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK"
LAMBDA = (
    "QSVLTQPPSVSGAPGQRVTISCTGSSSNIGAGYDVHWYQQLPGTAPKLLIYGNSNRPSGVPDRFSGSKSGTSASLAITGLQAEDEADYYCQSYDSSLSGWVFGGGTKLTVL"
)
LINKER = "GGGGSGGGGSGGGGS"


def halves(data: Dataset) -> list[tuple[str, str, str]]:
    """Id, heavy and light letters of each sample."""
    cut = heavy_columns(Frame.restore(data.details["frame"]))
    texts = [(record.id, str(record.seq)) for record in data.objects]
    return [(name, text[:cut].replace("-", ""), text[cut:].replace("-", "")) for name, text in texts]


def pairs_of(path: Path) -> Dataset:
    return read(path, numbering="imgt", chain="paired")


@pytest.mark.parametrize(("heavy", "light"), [("H", "L"), ("VH", "VL"), ("heavy", "light"), ("h", "l")])
def test_records_whose_names_differ_in_the_ending_are_a_pair(tmp_path: Path, heavy: str, light: str) -> None:
    path = tmp_path / "pairs.fasta"
    path.write_text(f">a_{heavy} of one\n{HEAVY}\n>a_{light}\n{KAPPA}\n>b_{light}\n{LAMBDA}\n>b_{heavy}\n{HEAVY}AST\n")
    data = pairs_of(path)
    assert halves(data) == [("a", HEAVY, KAPPA), ("b", HEAVY, LAMBDA)]
    assert data.details["changed"] == {CONSTANT: 1} and not data.rejected


def test_one_record_can_hold_both_chains(tmp_path: Path) -> None:
    path = tmp_path / "scfv.fasta.gz"
    texts = [HEAVY + LINKER + KAPPA, f"{HEAVY}:{LAMBDA.lower()}", f"{KAPPA}/{HEAVY}*", LAMBDA + LINKER + HEAVY]
    path.write_bytes(
        gzip.compress("".join(f">{name}\n{text}\n" for name, text in zip("abcd", texts, strict=True)).encode())
    )
    data = pairs_of(path)
    lights = [KAPPA, LAMBDA, KAPPA, LAMBDA]
    assert halves(data) == [(name, HEAVY, light) for name, light in zip("abcd", lights, strict=True)]
    assert data.details["changed"] == {
        "lower case made upper case": 1,
        "stop at the end taken away": 1,
        CONSTANT: 2,
    }


def test_what_makes_no_pair_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.fasta"
    bad = KAPPA[:20] + "X" + KAPPA[21:]
    path.write_text(
        f">a_H\n{HEAVY}\n>b_H\n{HEAVY}\n>b_L\n{KAPPA}\n>c_H\n{HEAVY}\n>c_L\n{bad}\n>d_H\n{HEAVY}\n>d_L\n{HEAVY}\n"
        f">e_L\n{KAPPA}\n>e_L\n{KAPPA}\n"
    )
    data = pairs_of(path)
    assert halves(data) == [("b", HEAVY, KAPPA)]
    assert [(bad.record, bad.reason.split(":")[0]) for bad in data.rejected] == [
        ("record 4 (c_H) and record 5 (c_L)", "'X' at position 21 stands for several letters, or none that is known"),
        ("record 1 (a_H)", "it has 1 heavy and 0 light variable domains"),
        ("record 6 (d_H) and record 7 (d_L)", "it has 2 heavy and 0 light variable domains"),
        ("record 8 (e_L)", "it has 0 heavy and 1 light variable domains"),
        ("record 9 (e_L)", "it has 0 heavy and 1 light variable domains"),
    ]
    with pytest.raises(ConfigError, match="chain=paired is for antibodies that are numbered"):
        read(path, chain="paired")


def test_rows_of_one_cell_are_a_pair_and_have_columns_of_both(tmp_path: Path) -> None:
    path = tmp_path / "cells.tsv"
    path.write_text(
        "sequence_id\tsequence_aa\tlocus\tv_call\tcell_id\tdonor\n"
        f"1\t{KAPPA}\tIGK\tIGKV1-39*01\tc1\tx\n2\t{HEAVY}\tIGH\tIGHV3-66*01\tc1\tx\n"
        f"3\t{HEAVY}\tIGH\tIGHV3-66*01\t\tx\n4\t{LAMBDA}\tIGL\tIGLV1-40*01\t\tx\n"
        f"5\t{HEAVY}\tIGH\tIGHV3-66*01\tc3\ty\n6\t{LAMBDA}\tIGL\tIGLV1-40*01\tc3\ty\n"
    )
    data = read(path, numbering="imgt", chain="paired", label="locus_light")
    assert halves(data) == [("c1", HEAVY, KAPPA), ("c3", HEAVY, LAMBDA)]
    assert data.condition["locus_light"].tolist() == ["IGK", "IGL"]
    assert read(path, numbering="imgt", chain="paired", label="donor").condition["donor"].tolist() == ["x", "y"]
    assert [bad.record for bad in data.rejected] == ["line 4 (3)", "line 5 (4)"]


def test_a_table_with_columns_of_both_chains(tmp_path: Path) -> None:
    path = tmp_path / "oas.tsv"
    path.write_text(
        "sequence_id_heavy\tsequence_alignment_aa_heavy\tsequence_alignment_aa_light\tv_call_light\n"
        f"1\t{HEAVY}\t{KAPPA}\tIGKV1-39*01\n2\t{HEAVY}\t\tIGKV1-39*01\n"
    )
    data = pairs_of(path)
    assert halves(data) == [("1", HEAVY, KAPPA)]
    assert [str(bad) for bad in data.rejected] == ["oas.tsv, line 3 (2): its sequence_alignment_aa_light is empty"]
    assert halves(read(path, numbering="imgt", chain="paired", column="sequence_alignment_aa")) == halves(data)


def test_records_are_joined_within_a_file_and_none_is_lost() -> None:
    names = ["a_H", "a_L", "b", "c_H", "d_L", "d_H", "e_H", "e_H", "e_L"]
    stream = [("one", Item(str(i), name, text="A")) for i, name in enumerate(names)]
    stream += [("one", Item("9", "f_H", text="A")), ("two", Item("0", "f_L", text="A", reason="it is bad"))]
    found = list(joined(stream))
    assert [(item.name, item.text) for _, item in found] == [
        ("a", "A:A"), ("b", "A"), ("c_H", "A"), ("d", "A:A"), ("e_H", "A"), ("e", "A:A"), ("f_H", "A"), ("f_L", "A"),
    ]  # fmt: skip
    assert [item.record for _, item in found][3] == "4 and 5"
    (_, bad), *_ = joined([("x", Item("1", "a_H", text="A")), ("x", Item("2", "a_L", reason="it is cut"))])
    assert bad.reason == "one of its chains: it is cut"


@pytest.mark.parametrize("name", ["out.fasta", "out.fasta.gz", "out.tsv", "out.afa", "out.sto"])
def test_pairs_that_are_written_read_back_as_the_same_pairs(tmp_path: Path, name: str) -> None:
    path = tmp_path / "in.fasta"
    path.write_text(f">a_H\n{HEAVY}\n>a_L\n{KAPPA}\n>b_H\n{HEAVY}\n>b_L\n{LAMBDA}\n")
    data = pairs_of(path)
    adapter = Sequences().fit(data)
    out = tmp_path / name
    adapter.write(str(out), data.objects)
    again = pairs_of(out)
    assert halves(again) == halves(data) and again.details["frame"] == data.details["frame"]
    assert [str(record.seq) for record in again.objects] == [str(record.seq) for record in data.objects]


def test_how_pairs_stand_in_files(tmp_path: Path) -> None:
    path = tmp_path / "in.fasta"
    path.write_text(f">a\n{HEAVY}:{KAPPA}\n>b\n{HEAVY}:{LAMBDA}\n")
    data = pairs_of(path)
    adapter = Sequences().fit(data)
    adapter.write(str(tmp_path / "out.fasta"), data.objects, labels=["x", "y"])
    lines = (tmp_path / "out.fasta").read_text().splitlines()
    assert [line for line in lines if line.startswith(">")] == [">a_H x", ">a_L x", ">b_H y", ">b_L y"]
    adapter.write(str(tmp_path / "out.tsv"), data.objects, labels=["x", "y"])
    header, first, _ = (line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines())
    assert header == [
        "sequence_id", "sequence_aa_heavy", "sequence_aa_light",
        "sequence_alignment_aa_heavy", "sequence_alignment_aa_light", "label",
    ]  # fmt: skip
    cut = heavy_columns(adapter.frame)
    row = str(data.objects[0].seq)
    assert first == ["a", HEAVY, KAPPA, row[:cut], row[cut:], "x"]


def test_a_template_of_a_design_may_be_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "in.fasta"
    path.write_text(f">a\n{HEAVY}:{KAPPA}\n>b\n{HEAVY}:{LAMBDA}\n")
    adapter = Sequences().fit(pairs_of(path))
    (row,) = Design(HEAVY + LINKER + KAPPA, ["CDR-L3"]).rows(adapter, 1)
    assert row.replace("-", "") == HEAVY + KAPPA.replace("QQHYTTPPT", "?" * 9)
    assert Design(f"{HEAVY}AST:{KAPPA}RTVA", ["CDR-L3"]).rows(adapter, 1) == [row]
    with pytest.raises(DataError, match="1 heavy and 0 light"):
        Design(HEAVY, ["CDR-H3"]).rows(adapter, 1)


def test_the_command_line_trains_on_pairs_and_samples_two_records_each(tmp_path: Path) -> None:
    path = tmp_path / "in.fasta"
    lights = [KAPPA, LAMBDA]
    path.write_text("".join(f">p{i}_VH\n{HEAVY}\n>p{i}_VL\n{lights[i % 2]}\n" for i in range(20)))
    run, out = str(tmp_path / "run"), tmp_path / "new.fasta"
    small = ["--set", "network.width=8", "--set", "network.depth=1", "--steps", "2", "--batch-size", "4"]
    read_as = ["--read", "numbering=imgt", "--read", "chain=paired"]
    assert main(["train", "sequences", str(path), *read_as, "--out", run, *small]) == 0
    assert main(["sample", run, "--count", "3", "--out", str(out)]) == 0
    names = [line[1:] for line in out.read_text().splitlines() if line.startswith(">")]
    assert names == [f"sequence-{i}_{side}" for i in (1, 2, 3) for side in "HL"]


def test_sets_of_pairs_are_written_out_as_two_records_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.fasta"
    path.write_text(f">a\n{HEAVY}:{KAPPA}\n>b\n{HEAVY}:{LAMBDA}\n")
    data = pairs_of(path)
    info = DatasetInfo("mine", "pairs", "CC0", "here", "2")
    monkeypatch.setitem(datasets._LOADERS, "mine", (info, lambda info: data))
    out = tmp_path / "out.fasta"
    assert main(["data", "sequences", "mine", "--out", str(out)]) == 0
    assert halves(pairs_of(out)) == halves(data)


def test_the_table_of_designs_tells_the_loops_of_both_chains_apart() -> None:
    assert [airr_name(name) for name in ("CDR-H3", "H3", "FR-L1", "stem")] == ["cdr3_aa", "cdr3_aa", "fwr1_aa", "stem"]
    assert airr_name("CDR-H3", paired=True) == "cdr3_aa_heavy"
    assert airr_name("FR-L1", paired=True) == "fwr1_aa_light"
