"""Antibodies in the columns of numbering schemes, against what their authors publish."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from modalities.sequences import Design, Sequences, imgt
from modalities.sequences.formats import read
from modalities.sequences.frame import Frame
from modalities.sequences.numbering import CONSTANT, PAIRED, SCHEMES, aligned, framed, heavy_columns, number, pair
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError

pytest.importorskip("immunum")

# Trastuzumab, from its published sequence (DrugBank DB00072).
HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRY"
    "ADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)
LIGHT = "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK"
LINKER = "GGGGSGGGGSGGGGS"
# cAb-Lys3 of PDB 1MEL, the heavy domain of a camel.
CAMEL = (
    "DVQLQASGGGSVQAGGSLRLSCAASGYTIGPYCMGWFRQAPGKEREGVAAINMGGGITYYADSVKG"
    "RFTISQDNAKNTVYLLMNSLEPEDTAIYYCAADSTIYASYYECGHGLSTGGYGYDSWGQGTQVTVSS"
)
LONG = HEAVY.replace("SRWGGDGFYAMDY", "ARDLGYCSSTSCLYYYYYMDV")


def region(frame: Frame, text: str, name: str) -> str:
    columns = frame.region(name)
    return text[columns.start : columns.stop].replace("-", "")


@pytest.mark.parametrize(
    ("scheme", "loops"),
    [
        ("imgt", ("GFNIKDTY", "IYPTNGYT", "SRWGGDGFYAMDY")),
        ("kabat", ("DTYIH", "RIYPTNGYTRYADSVKG", "WGGDGFYAMDY")),
        ("chothia", ("GFNIKDT", "YPTNGY", "GGDGFYAMD")),
    ],
)
def test_the_loops_of_trastuzumab(scheme: str, loops: tuple[str, str, str]) -> None:
    frame, (text,) = aligned([HEAVY], scheme)
    assert frame is not None and isinstance(text, str) and text.replace("-", "") == HEAVY
    assert tuple(region(frame, text, f"H{i}") for i in (1, 2, 3)) == loops


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_keeps_the_letters_in_their_order(scheme: str) -> None:
    frame, texts = aligned([HEAVY, LONG], scheme)
    assert frame is not None and frame.scheme == scheme
    assert [str(text).replace("-", "") for text in texts] == [HEAVY, LONG]
    assert [framed(text, frame) for text in (HEAVY, LONG)] == texts


def test_long_first_and_second_loops_keep_their_order_too() -> None:
    """IMGT has insertions before 33 and 61, as before 112: the last letter first."""
    long = HEAVY.replace("GFNIKDTY", "GFNIKDAGQRSWTVTY").replace("IYPTNGYT", "IYPTNQRSWGSYT")
    frame, texts = aligned([HEAVY, long], "imgt")
    assert frame is not None and {"H33A", "H33B", "H61A"} <= set(frame.columns)
    assert [str(text).replace("-", "") for text in texts] == [HEAVY, long]


def test_the_frame_is_imgts() -> None:
    frame, _ = aligned([LONG], "imgt")
    assert frame is not None
    wide = imgt.frame(4)
    assert [column for column in wide.columns if column in set(frame.columns)] == list(frame.columns)
    assert [name for name, _, _ in frame.regions] == [name for name, _, _ in wide.regions]


def test_what_is_around_a_domain_is_taken_away_and_counted() -> None:
    changed: Counter[str] = Counter()
    frame, (text, other) = aligned([f"MKHLWFFLLLVAAPRWVLS{HEAVY}ASTKGPSVFP", HEAVY], "imgt", changed=changed)
    assert frame is not None and text == other and changed == {CONSTANT: 1}
    assert number(HEAVY, "imgt").outside == 0


def test_a_domain_of_a_camel_is_a_heavy_one() -> None:
    assert number(CAMEL, "imgt").locus == "IGH"
    assert number(LIGHT, "imgt").locus == "IGK" and number(LIGHT, "imgt").chain == "L"
    frame, (_, text) = aligned([HEAVY, CAMEL], "imgt", "H")
    assert frame is not None and isinstance(text, str)
    assert region(frame, text, "H3") == "AADSTIYASYYECGHGLSTGGYGYDS"


@pytest.mark.parametrize(
    "text", [f"{HEAVY}:{LIGHT}", f"{LIGHT}/{HEAVY}", HEAVY + LINKER + LIGHT, LIGHT + LINKER + HEAVY, HEAVY + LIGHT]
)
def test_a_pair_is_its_heavy_columns_then_its_light_ones(text: str) -> None:
    changed: Counter[str] = Counter()
    frame, (row,) = aligned([text], "imgt", PAIRED, changed)
    assert frame is not None and row == HEAVY + LIGHT
    assert heavy_columns(frame) == len(HEAVY) and frame.columns[len(HEAVY)] == "L1"
    assert [name for name, _, _ in frame.regions][4:9] == ["FR-H3", "CDR-H3", "FR-H4", "FR-L1", "CDR-L1"]
    assert region(frame, row, "H3") == "SRWGGDGFYAMDY" and region(frame, row, "CDR-L3") == "QQHYTTPPT"
    assert changed == ({CONSTANT: 1} if LINKER in text else {})
    assert framed(text, frame) == row
    with pytest.raises(DataError, match="1 heavy and 0 light variable domains"):
        framed(HEAVY, frame)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAVY, "1 heavy and 0 light variable domains: a pair is one of each"),
        (f"{LIGHT}:{LIGHT}", "0 heavy and 2 light"),
        (f"{HEAVY}:GGGGS", "no variable domain"),
        (f"{HEAVY}:{LIGHT}:{LIGHT}", "1 heavy and 2 light"),
        (f"{HEAVY + LINKER + LIGHT}:{LIGHT}", "2 variable domains"),
    ],
)
def test_what_is_no_pair_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        pair(text, "imgt")


def test_what_is_no_single_domain_is_refused() -> None:
    with pytest.raises(DataError, match="no variable domain"):
        number("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ", "imgt")
    with pytest.raises(DataError, match="2 variable domains.*chain=paired"):
        number(HEAVY + "GGGGSGGGGSGGGGS" + LIGHT, "imgt")
    with pytest.raises(ConfigError, match="imgt, aho"):
        number(HEAVY, "eu")


def test_a_file_of_mixed_chains_keeps_those_of_most(tmp_path: Path) -> None:
    path = tmp_path / "mixed.fasta"
    path.write_text(f">h\n{HEAVY}\n>l\n{LIGHT}\n>long\n{LONG}AST\n>no\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIE\n")
    data = read(path, numbering="imgt")
    assert [record.id for record in data.objects] == ["h", "long"]
    assert [record.record for record in data.rejected] == ["record 2 (l)", "record 4 (no)"]
    assert "it is a light chain, the others are heavy ones" in data.rejected[0].reason
    assert data.details["changed"] == {CONSTANT: 1}
    adapter = Sequences().fit(data)
    assert adapter.frame is not None and adapter.frame.scheme == "imgt"
    light = read(path, numbering="imgt", chain="L")
    assert [record.id for record in light.objects] == ["l"]


def test_each_trouble_of_a_file_is_counted_or_named(tmp_path: Path) -> None:
    """One file with all of them: what can be mended is, and nothing else is lost."""
    whole = "".join(
        f">{name}\n{text}\n"
        for name, text in (
            ("good", HEAVY),
            ("lower", HEAVY.lower()),
            ("stop", HEAVY + "*"),
            ("constant", HEAVY + "ASTKGPSVFPLAPSSKSTSGGTAALGCLVKDYFPEPVTVSWNSGALTSGVHTFPAVLQSSGLYSLSSVVTVPSSSLGTQ"),
            ("camel", CAMEL),
            ("unknown", HEAVY[:50] + "X" + HEAVY[51:]),
            ("inside", HEAVY[:50] + "*" + HEAVY[51:]),
            ("light", LIGHT),
            ("both", HEAVY + LINKER + LIGHT),
            ("dna", "GAGGTGCAGCTGGTGGAGTCTGGGGGAGGCTTGGTCAAGCCTGGAGGG"),
            ("digit", HEAVY[:50] + "1" + HEAVY[51:]),
            ("empty", ""),
            ("last", HEAVY),
        )
    )
    path = tmp_path / "mixed.fasta.gz"
    path.write_bytes(gzip.compress(whole.encode()))
    data = read(path, numbering="imgt")
    assert [record.id for record in data.objects] == ["good", "lower", "stop", "constant", "camel", "last"]
    assert data.details["changed"] == {
        "lower case made upper case": 1,
        "stop at the end taken away": 1,
        CONSTANT: 1,
    }
    reasons = {bad.record.split("(")[1][:-1]: bad.reason for bad in data.rejected}
    assert {name: text[:25] for name, text in reasons.items()} == {
        "unknown": "'X' at position 51 stands",
        "inside": "'*' at position 51: a sto",
        "digit": "'1' at position 51 is no ",
        "empty": "it is empty",
        "light": "it is a light chain, the ",
        "both": "it has 2 variable domains",
        "dna": "it is no variable domain ",
    }


def test_of_a_packed_file_that_is_cut_what_was_whole_is_numbered(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    loops = ["".join(rng.choice(list("ADEFGHIKLMNPQRSTVWY"), 13)) for _ in range(400)]
    texts = [HEAVY.replace("SRWGGDGFYAMDY", loop) for loop in loops]
    packed = gzip.compress("".join(f">r{i}\n{text}\n" for i, text in enumerate(texts)).encode())
    path = tmp_path / "cut.fasta.gz"
    path.write_bytes(packed[: len(packed) // 2])
    data = read(path, numbering="imgt")
    assert 50 < len(data) < 400
    assert [str(record.seq).replace("-", "") for record in data.objects] == texts[: len(data)]
    assert "the compressed file ends too early" in data.rejected[-1].reason


def test_a_template_without_gaps_is_numbered() -> None:
    frame, texts = aligned([HEAVY, LONG], "imgt")
    assert frame is not None
    adapter = Sequences().fit(Dataset(texts, details={"frame": frame.settings()}))
    (row,) = Design(HEAVY, ["CDR-H3"]).rows(adapter, 1)
    assert row.replace("-", "") == HEAVY.replace("SRWGGDGFYAMDY", "?" * 13)
    rows = Design(HEAVY, ["H3"], {"H3": (15, 15)}).rows(adapter, 2)
    assert {row.count("?") for row in rows} == {15}
    with pytest.raises(DataError, match="light chain, this model makes heavy"):
        Design(LIGHT, ["H3"]).rows(adapter, 1)
    with pytest.raises(DataError, match="where no sequence that this model knows has any"):
        Design(LONG.replace("DLGYC", "DLGYCDLGYC"), ["H3"]).rows(adapter, 1)


def test_longer_loops_fill_columns_in_the_order_of_the_scheme() -> None:
    """IMGT has its gaps in the middle of CDR3, Kabat before the last two columns."""
    texts = [HEAVY.replace("GGDGFYAM", "GGDGFYAM"[: 8 - i] or "G") for i in range(6)] + [LONG]
    for scheme in ("imgt", "kabat"):
        frame, found = aligned(texts, scheme)
        assert frame is not None
        adapter = Sequences().fit(Dataset(found, details={"frame": frame.settings()}))
        for text in found:
            assert isinstance(text, str)
            columns = frame.region("H3")
            own = text[columns.start : columns.stop]
            order = adapter.layout(columns)
            assert {i for i, letter in enumerate(own) if letter != "-"} == set(order[: len(own.replace("-", ""))])
