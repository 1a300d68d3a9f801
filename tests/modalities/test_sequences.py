"""Alphabets, frames, files and sets of sequences."""

from __future__ import annotations

import gzip
import io
import math
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.sequences import Sequences, formats, imgt
from modalities.sequences.alphabet import DNA, PROTEIN, RNA, guessed
from modalities.sequences.files.stockholm import brackets
from modalities.sequences.formats import read, write
from modalities.sequences.frame import Frame, common_columns, pairs_of
from modalities.sequences.imgt import domain, translated
from modalities.sequences.objects import records
from pfgm_science.cli import main
from pfgm_science.condition import describe
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError


def texts(data: Dataset) -> list[str]:
    return [str(record.seq) for record in data.objects]


@pytest.mark.parametrize(
    ("alphabet", "given_text", "expected", "said"),
    [
        (PROTEIN, "evql.~_", "EVQL---", "lower case made upper case"),
        (PROTEIN, "EVQL*", "EVQL", "stop at the end taken away"),
        (RNA, "ACGT", "ACGU", "T made U"),
        (DNA, "ACGU", "ACGT", "U made T"),
    ],
)
def test_letters_are_made_normal_and_counted(alphabet: Any, given_text: str, expected: str, said: str) -> None:
    changed: Counter[str] = Counter()
    assert alphabet.normal(given_text, changed) == expected
    assert changed == {said: 1}


@pytest.mark.parametrize(
    ("alphabet", "text", "reason"),
    [
        (PROTEIN, "EVXQL", "'X' at position 3 stands for several"),
        (PROTEIN, "EV*QL", "'*' at position 3: a stop within"),
        (PROTEIN, "EV1QL", "'1' at position 3 is no letter of protein"),
        (RNA, "ACGN", "'N' at position 4 stands for several"),
        (RNA, "ACGE", "'E' at position 4 is no letter of rna"),
        (DNA, "", "it is empty"),
        (DNA, "--", "nothing but gaps"),
        (DNA, "ACÄ", "'Ä' at position 3"),
    ],
)
def test_other_letters_are_refused_with_their_place(alphabet: Any, text: str, reason: str) -> None:
    with pytest.raises(DataError) as error:
        alphabet.normal(text)
    assert reason in str(error.value)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.text(PROTEIN.symbols, min_size=1, max_size=40))
def test_numbers_and_letters_are_each_others_inverse(text: str) -> None:
    assert PROTEIN.text(PROTEIN.numbers(text)) == text


def test_the_alphabet_is_guessed() -> None:
    assert guessed(["ACGU", "GGNA"]) is RNA
    assert guessed(["ACGTTT", "acg"]) is DNA
    assert guessed(["MGAC", "TTGE"]) is PROTEIN


@pytest.mark.parametrize(
    ("structure", "pairs"),
    [("((..))", ((0, 5), (1, 4))), ("([)]", ((0, 2), (1, 3))), ("...", ())],
)
def test_pairs_of_a_structure(structure: str, pairs: tuple[tuple[int, int], ...]) -> None:
    assert pairs_of(structure) == pairs


@pytest.mark.parametrize(("structure", "place"), [("(()", "at 1"), ("())", "at 3"), ("(]", "at 2")])
def test_brackets_that_do_not_match_are_refused(structure: str, place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        pairs_of(structure)


def test_a_frame_of_fewer_columns_keeps_regions_and_whole_pairs() -> None:
    frame = Frame(tuple("abcdef"), (("left", 0, 3), ("right", 3, 6)), "((..))", "mine")
    less = frame.take([0, 2, 4, 5])
    assert less == Frame(tuple("acef"), (("left", 0, 2), ("right", 2, 4)), "(..)", "mine")
    assert Frame.restore(less.settings()) == less
    assert list(less.region("RIGHT")) == [2, 3] and less.column("e") == 2
    with pytest.raises(ConfigError, match="left, right"):
        less.region("middle")
    with pytest.raises(ConfigError, match="a to f"):
        less.column("b")


def test_frames_beside_each_other_have_the_regions_of_both() -> None:
    frame = Frame(("H1", "H2"), (("heavy", 0, 2),), scheme="imgt")
    both = frame.beside(Frame(("L1",), (("light", 0, 1),), scheme="imgt"))
    assert both == Frame(("H1", "H2", "L1"), (("heavy", 0, 2), ("light", 2, 3)), scheme="imgt")
    with pytest.raises(ConfigError, match="with a structure"):
        frame.beside(Frame(("a", "b"), structure="()"))


# --- IMGT ---


def test_the_imgt_frame_has_128_positions_and_insertions_around_the_middle_of_cdr3() -> None:
    plain = imgt.frame(0)
    assert len(plain) == 128 and plain.columns[0] == "H1" and plain.columns[-1] == "H128"
    assert [name for name, _, _ in plain.regions] == ["FR-H1", "CDR-H1", "FR-H2", "CDR-H2", "FR-H3", "CDR-H3", "FR-H4"]
    assert [end - first for _, first, end in plain.regions] == [26, 12, 17, 10, 39, 13, 11]
    wide = imgt.frame(2)
    loop = [wide.columns[column] for column in wide.region("CDR-H3")]
    assert loop[5:12] == ["H110", "H111", "H111A", "H111B", "H112B", "H112A", "H112"]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(1, 40))
def test_a_loop_fills_its_columns_from_both_ends(length: int) -> None:
    insertions = imgt.insertions(length)
    letters = "".join(PROTEIN.letters[i % 20] for i in range(length))
    columns = imgt.loop(letters, insertions)
    assert len(columns) == imgt.LOOP + 2 * insertions and columns.replace("-", "") == letters
    assert columns[: (length + 1) // 2] == letters[: (length + 1) // 2]


@pytest.mark.parametrize(
    ("length", "used"),
    [(12, [*range(105, 111), *range(112, 118)]), (11, [*range(105, 111), *range(113, 118)]), (13, [*range(105, 118)])],
)
def test_gaps_of_a_short_loop_are_where_imgt_has_them(length: int, used: list[int]) -> None:
    columns = imgt.loop("A" * length, 0)
    assert [105 + place for place, letter in enumerate(columns) if letter == "A"] == used


def test_codons_are_translated_with_their_gaps() -> None:
    assert translated("GAGGTG...CAGCT") == "EV-Q"
    assert translated("GAGTAA") is None
    assert translated("GAGGNN") is None


def test_a_domain_is_taken_apart_or_left_out() -> None:
    v, loop, fr4 = "GAG" + "GTG" * 102 + "TGT", "GCGAGA", "TGGGGCCAGGGAACCCTGGTCACCGTCTCCTCA"
    junction = len("TGT" + loop + "TGG")
    assert domain(v + loop + fr4, junction) == ("E" + "V" * 102 + "C", "AR", "WGQGTLVTVSS")
    for text, nucleotides, reason in (
        (v + loop + fr4, junction + 1, f"its junction has {junction + 1} nucleotides: out of frame"),
        (v + loop + fr4[:-6], junction, "its FR4 is WGQGTLVTV, not"),
        (v[:-3] + "GTG" + loop + fr4, junction, "E at 1 and V at 104, not Q or E, and C"),
        (v[:30] + "TAG" + v[33:] + loop + fr4, junction, "a stop codon"),
        (v + loop + "N" + fr4[1:], junction, "an unknown base"),
        ("", junction, "it has - at 1 and - at 104"),
    ):
        with pytest.raises(DataError, match=reason):
            domain(text, nucleotides)


def test_columns_of_one_chain_have_imgts_regions() -> None:
    assert imgt.frame_of(imgt.frame(2, "L").columns) == imgt.frame(2, "L")
    assert imgt.frame_of(["H104", "H105", "H112A", "H118"]).regions == (
        ("FR-H3", 0, 1),
        ("CDR-H3", 1, 3),
        ("FR-H4", 3, 4),
    )


def test_rare_columns_go_and_with_them_the_sequences_that_have_letters_there() -> None:
    many = ["AC-D"] * 2000
    frame, kept, which = common_columns(Frame(tuple("wxyz")), [*many, "ACCD"])
    assert frame.columns == ("w", "x", "z") and kept == ["ACD"] * 2000 and which == [True] * 2000 + [False]


# --- files ---


def test_stockholm_brings_its_structure_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "family.sto"
    path.write_text("# STOCKHOLM 1.0\n\none  GGAa.CC\ntwo  GCAAUGC\n#=GC SS_cons  <<__,>>\n//\n")
    data = read(path)
    assert texts(data) == ["GGAA-CC", "GCAAUGC"]
    assert data.details["frame"]["structure"] == "<<...>>"
    adapter = Sequences().fit(data)
    assert adapter.frame is not None and adapter.frame.pairs == ((0, 6), (1, 5))
    adapter.write(str(tmp_path / "out.sto"), data.objects)
    again = read(tmp_path / "out.sto")
    assert texts(again) == texts(data) and again.details["frame"] == data.details["frame"]


def test_wuss_becomes_dot_bracket() -> None:
    assert brackets("((<<_-,:~>>))AAaa") == "((<<.....>>))...."


def test_dot_bracket_is_read_and_its_mistakes_named(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    path.write_text(
        ">one\nGGAACC\n((..)) (-1.20)\n>two\nGGA\n((..))\n>three\nGGAAC\n((..)\n>four\nGGGAAACCC\n(((...)))\n"
    )
    data = read(path)
    assert texts(data) == ["GGAACC", "GGGAAACCC"]
    assert data.objects[0].letter_annotations["secondary_structure"] == "((..))"
    assert [record.record for record in data.rejected] == ["record 2 (two)", "record 3 (three)"]
    assert "3 letters and 6 brackets" in data.rejected[0].reason and "not closed" in data.rejected[1].reason


def test_an_airr_table_prefers_what_is_aligned_and_gives_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(
        "sequence_id\tsequence\tsequence_alignment_aa\tlocus\n"
        "a\tGAGGTG\tEV.L\tIGH\nb\tGAG\tQVQL\tIGK\nc\tGAG\t\tIGK\nd\tGAG\n"
    )
    data = read(path, label="locus")
    assert texts(data) == ["EV-L", "QVQL"] and data.condition["locus"].tolist() == ["IGH", "IGK"]
    assert [str(record) for record in data.rejected] == [
        "a.tsv, line 4 (c): its sequence_alignment_aa is empty",
        "a.tsv, line 5 (d): it has not the 4 columns of the header",
    ]
    assert texts(read(path, column="sequence")) == ["GAGGTG", "GAG", "GAG"]
    with pytest.raises(DataError, match="no column 'sequences'"):
        read(path, column="sequences")
    with pytest.raises(ConfigError, match=r"has no 'colour' to be its label \(sequence_id, sequence"):
        read(path, label="colour")


def test_several_columns_are_several_conditions(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(
        "sequence_id\tsequence_aa\tlocus\tv_call\tj_call\tv_identity\tclone_id\tj_gene\n"
        "a\tEVQL\tIGH\tIGHV1-69D*01,IGHV1-2*02\tIGHJ4*02\t0.97\t7\tmine\n"
        "b\tDIQM\tIGK\tHomsap IGKV3/OR2-268*01 F\tIGKJ1*01\t1\tx\tours\n"
        "c\tDIQL\tIGK\t\tIGKJ1*01\t.5\t8\tours\n"
    )
    data = read(path, label="locus, v_family,v_gene,j_family,j_gene,v_identity,clone_id")
    assert {name: values.tolist() for name, values in data.condition.items()} == {
        "locus": ["IGH", "IGK"],
        "v_family": ["IGHV1", "IGKV3"],
        "v_gene": ["IGHV1-69D", "IGKV3/OR2-268"],
        "j_family": ["IGHJ4", "IGKJ1"],
        "j_gene": ["mine", "ours"],
        "v_identity": [0.97, 1.0],
        "clone_id": ["7", "x"],
    }
    assert str(data.rejected[0]) == "a.tsv, line 4 (c): its v_family is empty: it has no label"
    for values, kept in ((["1", "2.5e-1"], [1.0, 0.25]), (["1_2", "3"], ["1_2", "3"]), (["1", "nan"], ["1", "nan"])):
        assert formats._numbers_or_classes(values).tolist() == kept
    kinds = {spec.name: spec.kind for spec in describe(data.condition)}
    assert kinds["v_identity"] == "vector" and kinds["clone_id"] == kinds["v_family"] == "class"
    assert len(read(path, label="v_identity")) == 3
    for label, reason in (
        ("locus,,v_gene", "each once"),
        ("locus,locus", "each once"),
        ("locus,d_gene", r"line 2 \(a\) has no 'd_gene' to be its label \(sequence_id, sequence_aa"),
        ("colour", "has no 'colour'"),
    ):
        with pytest.raises(ConfigError, match=reason):
            read(path, label=label)


def test_the_command_line_trains_with_several_labels(tmp_path: Path) -> None:
    path, run = tmp_path / "a.tsv", str(tmp_path / "run")
    kinds = (("EVQL", "IGH", "IGHV1-2*01"), ("DIQM", "IGK", "IGHV2-5*01"), ("DIQL", "IGK", "IGHV2-5*02"))
    rows = "".join("\t".join((f"r{i}", *kinds[i % 3], f"0.{i}")) + "\n" for i in range(9))
    path.write_text("sequence_id\tsequence_aa\tlocus\tv_call\tv_identity\n" + rows)
    steps = ["--steps", "2", "--batch-size", "4", "--set", "network.width=8", "--set", "network.depth=1"]
    labels = ["--label", "locus,v_family,v_identity"]
    assert main(["train", "sequences", str(path), "--out", run, *labels, *steps]) == 0
    out = tmp_path / "new.fasta"
    asked = ["--condition", "locus=IGK", "--condition", "v_family=IGHV2", "--condition", "v_identity=0.9"]
    assert main(["sample", run, "--count", "2", *asked, "--out", str(out)]) == 0
    assert len(read(out, alphabet="protein")) == 2


def test_fastq_gz_and_a_file_that_ends_too_early(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"@r{i}\nACGTACGT{'ACGT'[i % 4]}\n+\nIIIIIIIII\n" for i in range(5000)).encode(), 1)
    (tmp_path / "a.fastq.gz").write_bytes(whole)
    assert len(read(tmp_path / "a.fastq.gz")) == 5000
    (tmp_path / "b.fastq.gz").write_bytes(whole[: len(whole) // 2])
    cut = read(tmp_path / "b.fastq.gz")
    assert 100 < len(cut) < 5000
    (record,) = cut.rejected
    assert record.record.startswith("after record") and "ends too early" in record.reason


def test_gapped_sequences_of_another_length_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(">a\nAC-D\n>b\nACED\n>c\nACEDE\n")
    data = read(path)
    assert texts(data) == ["AC-D", "ACED"]
    assert str(data.rejected[0]) == "a.fasta, record 3 (c): it has 5 columns, the alignment has 4"


def test_the_wrong_alphabet_is_named_record_by_record(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text(">a\nACGUGGCUAAGCUAGGCUAAGCUAAGGCUUAGC\n>b\nMLPE\n>c\nacgtgg\n")
    data = read(path)
    assert data.details["alphabet"] == "rna" and texts(data) == ["ACGUGGCUAAGCUAGGCUAAGCUAAGGCUUAGC", "ACGUGG"]
    assert data.details["changed"] == {"lower case made upper case": 1, "T made U": 1}
    assert "is no letter of rna" in data.rejected[0].reason
    with pytest.raises(DataError, match="no sequence of"):
        read(path, alphabet="protein", longest=1)


def test_of_too_many_sequences_a_uniform_sample_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "many.fasta"
    with path.open("w") as file:
        for i in range(3000):
            file.write(f">r{i}\n{'ACGT'[i % 4] * 5}A\n")
    data = read(path, limit=300)
    assert len(data) == 300
    numbers = [int(record.id[1:]) for record in data.objects]
    assert len(set(numbers)) == 300
    # the mean of 300 of 0..2999 is 1499.5 with deviation 47.4: beyond 4.5 of them once in 150,000
    assert abs(np.mean(numbers) - 1499.5) < 213
    assert "300 of 3000 are kept" in data.rejected[-1].reason


def test_endless_bad_records_are_counted_and_not_kept_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "bad.fasta"
    path.write_text(">good\nACGT\n" + "".join(f">b{i}\nAC1T\n" for i in range(5000)))
    data = read(path, alphabet="dna")
    assert len(data) == 1 and len(data.rejected) == 1001
    assert data.rejected[-1].record == "4000 more"


class _Endless(io.RawIOBase):
    """So many records as bytes, made when they are read: good ones, and one in three with a letter that is none.

    Memory is traced from the record `traced` on: before that it would only cost time.
    """

    def __init__(self, count: int, traced: int) -> None:
        self.count, self.traced, self.next = count, traced, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.next >= self.traced and not tracemalloc.is_tracing():
            tracemalloc.start()
        numbers = range(self.next, min(self.next + len(buffer) // 20, self.count))
        self.next = numbers.stop
        text = "".join(f">r{i:07}\n{'ACGT'[i % 4] * 5}{'1' if i % 3 == 0 else 'A'}\n" for i in numbers).encode()
        buffer[: len(text)] = text
        return len(text)


def test_memory_does_not_grow_with_the_number_of_records(monkeypatch: pytest.MonkeyPatch) -> None:
    count, last = 300_000, 20_000
    stream = io.TextIOWrapper(io.BufferedReader(_Endless(count, count - last)))
    monkeypatch.setattr(sys, "stdin", stream)
    try:
        data = read("-", limit=500, alphabet="dna")
        grown = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data) == 500
    assert [(bad.record, bad.reason.split(";")[0]) for bad in data.rejected[-2:]] == [
        ("99000 more", "bad records that are not named one by one"),
        ("199500 sequences", "500 of 200000 are kept, drawn at random"),
    ]
    assert grown < 3e6  # the last 20,000 records as objects are above 10 MB


def test_columns_of_a_table_that_nobody_asks_for_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("sequence_id\tsequence_aa\tlocus\tgermline\na\tEVQL\tIGH\tGAGGTG\nb\tDIQM\tIGK\tGAC\n")
    kept: list[Any] = []
    real = formats._condition
    monkeypatch.setattr(formats, "_condition", lambda items, *rest: kept.extend(items) or real(items, *rest))
    read(path, label="locus")
    assert [dict(item.values) for item in kept] == [{"locus": "IGH"}, {"locus": "IGK"}]


def test_standard_input_is_read_whatever_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (b">a\nACGT\n>b\nAC\n", gzip.compress(b"@a\nACGT\n+\nIIII\n@b\nAC\n+\nII\n")):
        stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(body)))  # type: ignore[arg-type]
        monkeypatch.setattr(sys, "stdin", stream)
        assert texts(read("-")) == ["ACGT", "AC"]


def test_folders_are_labels(tmp_path: Path) -> None:
    for name in ("heavy", "light"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.fasta").write_text(">a\nEVQL\n>b\nQVQLE\n")
    data = read(tmp_path)
    assert data.condition["label"].tolist() == ["heavy", "heavy", "light", "light"]


def test_files_are_written_as_their_names_say(tmp_path: Path) -> None:
    aligned = records(["AC-D", "ACED"])
    write(tmp_path / "a.fasta", aligned, labels=["x", "y"])
    assert (tmp_path / "a.fasta").read_text() == ">sequence-1 x\nACD\n>sequence-2 y\nACED\n"
    write(tmp_path / "a.afa", aligned)
    assert (tmp_path / "a.afa").read_text() == ">sequence-1\nAC-D\n>sequence-2\nACED\n"
    write(tmp_path / "a.tsv", aligned, alphabet="protein")
    assert (tmp_path / "a.tsv").read_text().splitlines() == [
        "sequence_id\tsequence_aa\tsequence_alignment_aa",
        "sequence-1\tACD\tAC-D",
        "sequence-2\tACED\tACED",
    ]
    with pytest.raises(ConfigError, match="must end in"):
        write(tmp_path / "a.fastq", aligned)
    with pytest.raises(ConfigError, match="no alignment"):
        write(tmp_path / "b.afa", records(["AC", "A"]))


# --- the adapter ---


def test_text_in_gives_text_out() -> None:
    adapter = Sequences().fit(Dataset(["ACGU", "GG", "AUUC"]))
    assert adapter.alphabet == "rna" and not adapter.aligned and adapter.sizes == ((2, 1), (4, 2))
    assert adapter.decode(adapter.encode(["GG", "AUUC"])) == ["GG", "AUUC"]


def test_sizes_are_honoured_and_their_limits_said() -> None:
    adapter = Sequences().fit(Dataset(["ACGU", "GG", "AUUC"]))
    mask = adapter.sized(np.array([1, 3])).mask
    assert mask is not None and mask[..., 0].sum(1).tolist() == [1, 3]
    with pytest.raises(ConfigError, match="1 to 4 letters"):
        adapter.sized(np.array([5]))
    with pytest.raises(ConfigError, match="come with their gaps"):
        Sequences().fit(Dataset(["AC-D"])).sized(np.array([3]))


def test_before_training_the_network_says_what_columns_hold() -> None:
    adapter = Sequences().fit(Dataset(["A-C"] * 300 + ["AEC"] * 100))
    network = adapter.network({"width": 8, "hidden": 8, "depth": 1}, ())
    logits = network(torch.zeros(1, 3, 21), torch.zeros(1))
    shares = logits.detach().softmax(-1)[0]
    gap, e = shares[1, 20], shares[1, PROTEIN.letters.index("E")]
    assert abs(float(gap) - 0.75) < 0.03 and abs(float(e) - 0.25) < 0.03
    assert float(shares[0, 0]) > 0.97


def test_a_frame_of_other_columns_is_refused() -> None:
    frame = Frame(tuple("ab")).settings()
    with pytest.raises(DataError, match="2 columns and the sequences 3"):
        Sequences().fit(Dataset(["ACD", "AC-"], details={"frame": frame}))


def test_the_command_line_trains_from_standard_input_and_counts_what_it_made_normal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "".join(f">r{i}\nacg{'acgt'[i % 4]}a\n" for i in range(40)) + ">bad\nAC1T\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(body.encode()))))  # type: ignore[arg-type]
    run = str(tmp_path / "run")
    steps = ["--steps", "2", "--batch-size", "4", "--set", "network.width=8", "--set", "network.depth=1"]
    assert main(["train", "sequences", "-", "--out", run, *steps]) == 3
    said = capsys.readouterr().err
    assert "lower case made upper case: 40 records" in said
    assert "left out: standard input, record 41 (bad): '1' at position 3" in said
    out = tmp_path / "new.fasta"
    assert main(["sample", run, "--count", "3", "--out", str(out)]) == 0
    assert len(read(out)) == 3


def test_fewer_sequences_hold_the_network_back_more() -> None:
    few, some, many = (Sequences(alphabet="rna").recipe(count)["network"] for count in (500, 5000, 50_000))
    assert few["dropout"] > some["dropout"] > 0 and many == {}
    assert few["self_conditioning"] is some["self_conditioning"] is False


def test_trajectories_end_where_letters_are_decided_and_the_network_has_been_trained() -> None:
    for alphabet in ("protein", "rna"):
        adapter = Sequences(alphabet=alphabet)
        levels = adapter.recipe(5000)["levels"]
        assert levels["sigma_min"] < adapter.codebook.distance / 20  # a letter is 10 deviations from half way
        assert math.log(levels["sigma_min"]) > levels["mean"] - 3.5 * levels["std"]
