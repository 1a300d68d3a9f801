"""Antibodies in the columns of numbering schemes, against what their authors publish."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from modalities.sequences import Design, Sequences, imgt
from modalities.sequences.formats import read
from modalities.sequences.frame import Frame
from modalities.sequences.numbering import CONSTANT, SCHEMES, aligned, framed, number
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError

pytest.importorskip("immunum")

# Trastuzumab, from its published sequence (DrugBank DB00072).
HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRY"
    "ADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)
LIGHT = "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK"
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


def test_what_is_no_single_domain_is_refused() -> None:
    with pytest.raises(DataError, match="no variable domain"):
        number("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ", "imgt")
    with pytest.raises(DataError, match="2 variable domains"):
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
