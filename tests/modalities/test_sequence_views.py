"""What a person looks at of sequences: logos, structures, histograms, novelty and the table of samples."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from scipy.spatial.distance import pdist

import pfgm_science as pfgm
from modalities.sequences import Sequences, histograms, novelty, samples, structures, views
from modalities.sequences.alphabet import DNA, PROTEIN, RNA
from modalities.sequences.colours import colours
from modalities.sequences.edits import distance
from modalities.sequences.frame import Frame, numbered, pairs_of
from modalities.sequences.logos import ROW, heights, logos, stretches
from modalities.sequences.metrics import pairing
from modalities.sequences.novelty import candidates, nearest_columns, nearest_edits
from modalities.sequences.objects import records
from modalities.sequences.views import emergence
from pfgm_science.data import Dataset
from pfgm_science.figures import CSS_INCH, png
from pfgm_science.report import Figure, Table
from pfgm_science.walk import walk

CLOVERLEAF = "(((((((..((((........)))).((((.........)))).....(((((.......))))))))))))...."
YEAST = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"
VH = Frame(tuple(f"H{i}" for i in range(1, 13)), (("FR-H1", 0, 3), ("CDR-H1", 3, 6), ("CDR-H3", 8, 12)), scheme="imgt")


@pytest.fixture
def unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if ViennaRNA were not installed."""
    for module in (structures, histograms):
        monkeypatch.setattr(module, "can_fold", lambda: False)


def antibodies(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    loops = ["".join(rng.choice(list("GYTNS"), 3)) for _ in range(count)]
    return [f"QVQ{loop}WVA{rng.choice(['R-', 'RD'])}Y" for loop in loops]


def fitted(texts: list[str], frame: Frame | None = None, alphabet: str = "") -> Sequences:
    details = {} if frame is None else {"frame": frame.settings()}
    return Sequences(alphabet).fit(Dataset(records(texts), details=details))


# Logos


def test_letters_are_as_high_as_what_they_tell() -> None:
    texts = ["ACA-", "ACC-", "ACGA", "ACUA"] * 25
    found = heights(texts, RNA)
    correction = 3 / (2 * math.log(2) * 100)
    assert found.shape == (4, 4)
    assert found[0] == pytest.approx([2 - correction, 0, 0, 0])
    assert found[2] == pytest.approx([0, 0, 0, 0]), "four letters equally often tell nothing"
    assert found[3] == pytest.approx([(2 - 2 * correction) / 2, 0, 0, 0]), "half of them are gaps"


def test_stretches_are_all_columns_in_order() -> None:
    found = stretches(VH)
    assert [name for name, _ in found] == ["FR-H1", "CDR-H1", "", "CDR-H3"]
    assert [column for _, columns in found for column in columns] == list(range(12))
    assert stretches(numbered(5)) == [("", range(5))]


def test_a_logo_for_each_region_with_its_name_and_columns() -> None:
    found = logos(VH, PROTEIN, antibodies(20), antibodies(20, 1))
    assert [name for name, _ in found] == ["FR-H1", "CDR-H1", "", "CDR-H3"]
    figure = found[1][1]
    said = [text.get_text() for text in figure.texts]
    assert said == ["CDR-H1", "H4", "H5", "H6"]
    assert [ax.get_ylabel().split("\n")[0] for ax in figure.axes] == ["real", "generated"]
    assert all(ax.get_xlim() == (0, 3) for ax in figure.axes)
    assert png(figure).startswith(b"\x89PNG")


def test_the_consensus_structure_stands_under_its_columns() -> None:
    frame = Frame(numbered(100).columns, structure="((" + "." * 96 + "))")
    ((_, figure),) = logos(frame, RNA, ["ACGUA" * 20] * 3, ["ACGUA" * 20] * 3)
    assert len(figure.axes) == 2 * math.ceil(100 / ROW)
    brackets = [text for text in figure.texts if text.get_text() in "(.)"]
    assert "".join(text.get_text() for text in brackets) == frame.structure
    assert brackets[0].get_color() == brackets[99].get_color() != brackets[50].get_color()
    numbers = {text.get_text(): text.get_position()[0] for text in figure.texts}
    assert brackets[10].get_position()[0] == numbers["11"], "a bracket is above the name of its column"
    assert figure.get_size_inches()[0] * CSS_INCH < 940


# Structures


def test_stems_end_where_something_else_pairs() -> None:
    assert structures.stems(pairs_of("((.(...)))..(.)")) == [[(0, 9), (1, 8), (3, 7)], [(12, 14)]]
    assert [len(stem) for stem in structures.stems(pairs_of(CLOVERLEAF))] == [7, 4, 4, 5]
    assert structures.stems(pairs_of("(([[))]]")) == [[(0, 5), (1, 4)], [(2, 7), (3, 6)]]


def test_pairs_that_cross_are_left_out_of_the_plane() -> None:
    assert structures.nested(pairs_of("(([[))]]")) == [(0, 5), (1, 4)]
    assert structures.nested(pairs_of("([])")) == [(0, 3), (1, 2)]


@st.composite
def brackets(draw: st.DrawFn) -> str:
    """Nested structures of at most 80 places."""
    text, depth = "", 0
    for kind in draw(st.lists(st.sampled_from("((.))."), max_size=60)):
        if kind == ")" and not depth:
            continue
        depth += {"(": 1, ")": -1}.get(kind, 0)
        text += kind
    return text + ")" * depth


@settings(deadline=None, derandomize=True, max_examples=150)
@given(brackets())
def test_no_two_bases_stand_on_one_spot_and_pairs_are_equally_far_apart(structure: str) -> None:
    pairs = pairs_of(structure)
    places = structures.radial(len(structure), pairs)
    assert places.shape == (len(structure), 2)
    assert np.isfinite(places).all()
    if len(structure) > 1:
        assert pdist(places).min() > 0.9
    for low, high in pairs:
        assert math.dist(places[low], places[high]) == pytest.approx(structures.WIDTH)
        if low + 1 in dict(pairs) and dict(pairs)[low + 1] == high - 1:
            assert math.dist(places[low], places[low + 1]) == pytest.approx(1), "a step of the ladder"


def test_a_cloverleaf_is_drawn_as_in_books() -> None:
    places = structures.radial(len(CLOVERLEAF), pairs_of(CLOVERLEAF))
    five, three, left, foot, right = (places[i] for i in (0, 72, 17, 34, 56))
    assert min(five[1], three[1]) > max(left[1], right[1]) > foot[1], "ends on top, the anticodon below"
    assert left[0] < five[0] < three[0] < right[0]


def test_without_a_folder_the_consensus_is_drawn(unfolded: None) -> None:
    frame = Frame(numbered(12).columns, structure="((((....))))")
    found = structures.fold("GGA-AAAACUUC", frame)
    assert found is not None
    assert found.letters == "GGAAAAACUUC"
    assert found.pairs == ((0, 10), (1, 9), (2, 8)), "what pairs with a gap is left out"
    assert found.note == "3 of 3 consensus pairs can form"
    assert structures.fold("GGAAAAAACUUA", frame).note == "2 of 4 consensus pairs can form"  # type: ignore[union-attr]
    assert structures.fold("GGAAAAAACUUC", numbered(12)) is None
    assert structures.fold("GGAAAAAACUUC", None) is None


def test_with_a_folder_the_structure_of_least_energy_is_drawn() -> None:
    pytest.importorskip("RNA")
    frame = Frame(numbered(13).columns, structure="(((.....)))..")
    found = structures.fold("GGGGAAAACCCC-", frame)
    assert found is not None
    assert found.pairs == ((0, 11), (1, 10), (2, 9), (3, 8))
    assert found.note == "−5.4 kcal/mol\n0 of 3 consensus pairs"
    assert structures.fold(YEAST, None).note.endswith("kcal/mol")  # type: ignore[union-attr]


def test_share_of_consensus_pairs_that_the_letters_can_form() -> None:
    frame = Frame(numbered(8).columns, structure="(((..)))")
    assert pairing(["GGAAAAUC"], frame) == pytest.approx(2 / 3)
    assert pairing(["GG-AAAUC"], frame) == 1
    assert math.isnan(pairing(["---AAAUC"], frame))


@pytest.mark.parametrize("letters", ["A", "GC", YEAST, YEAST * 5])
def test_structures_of_any_length_are_drawn(letters: str) -> None:
    pairs = pairs_of(CLOVERLEAF) if len(letters) >= len(CLOVERLEAF) else ()
    figure = structures.drawings([("Real", [structures.Fold(letters, pairs, "note")])], 1)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert {"Real", "note", "5′", "3′"} <= set(said)
    shown = "".join(text for text in said if text in set("ACGU"))
    assert shown == (letters if len(letters) < 100 else ""), "letters are left out where there is no room"
    (discs,) = [each for each in figure.axes[0].collections if isinstance(each, PathCollection)]
    x, y = np.asarray(discs.get_offsets()).T
    assert 0 < x.min() and x.max() < structures.PANEL and 0 < y.min()


# Histograms


def test_what_is_measured_of_antibodies_and_of_rna(unfolded: None) -> None:
    found = histograms.measured(["QVQGYTWVARDY", "QVQGY-WVAR-Y"], PROTEIN, VH)
    assert found["length"].tolist() == [12, 10]
    assert found["CDR-H1"].tolist() == [3, 2]
    assert found["CDR-H3"].tolist() == [4, 3]
    assert {"isoelectric point", "charge"} <= set(found) and "FR-H1" not in found
    frame = Frame(numbered(8).columns, structure="(((..)))")
    found = histograms.measured(["GGAAAAUC", "---AAAUC"], RNA, frame)
    assert found["GC"].tolist() == pytest.approx([3 / 8, 1 / 5])
    assert found[histograms.CANONICAL].tolist() == pytest.approx([2 / 3]), "one has letters at no pair"
    assert histograms.ENERGY not in found
    assert set(histograms.measured(["ACGT"], DNA, None)) == {"length", "GC"}


def test_energies_per_nucleotide_of_as_many_as_there_is_time_for() -> None:
    pytest.importorskip("RNA")
    found = histograms.measured(["GGGGAAAACCCC-", "AAAAAAAAAAAAA"], RNA, None)
    assert found[histograms.ENERGY].tolist() == pytest.approx([-5.4 / 12, 0])
    assert histograms.foldable(["A" * 1000] * 50) == 20
    assert histograms.foldable(["A" * 10] * 500) == 200
    assert histograms.foldable(["A" * 10]) == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3, 3, 5], [2.5, 3.5, 4.5, 5.5]), ([7], [6.5, 7.5]), ([0.5, 1.5], np.linspace(0.5, 1.5, 9))],
)
def test_bins(values: list[float], expected: list[float]) -> None:
    assert histograms.bins(np.array(values, float)) == pytest.approx(expected)


def test_many_whole_numbers_share_bins() -> None:
    edges = histograms.bins(np.arange(100.0))
    assert len(edges) - 1 <= histograms.BARS
    assert len(set(np.diff(edges))) == 1 and edges[0] == -0.5 and edges[-1] >= 99.5


def test_shares_are_of_each_set() -> None:
    figure = histograms.sheet({"length": np.array([1, 2, 2, 2])}, {"length": np.array([1, 2]), "other": np.ones(2)})
    (ax,) = figure.axes
    assert ax.get_title(loc="left") == "length" and ax.get_xlabel() == "letters"
    first, second = (patch.get_data() for patch in ax.patches)
    assert first.values.tolist() == [0.25, 0.75]
    assert second.values.tolist() == [0.5, 0.5]


def test_letters_are_counted_without_gaps() -> None:
    (ax,) = histograms.letters(["AA-C"], ["G--G"], RNA).axes
    assert [round(bar.get_height(), 3) for bar in ax.patches] == [0.667, 0.333, 0, 0, 0, 0, 1, 0]


# Novelty


def levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (letter != other))
    return row[-1]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text("ACG", max_size=9), st.lists(st.text("ACG", max_size=9), min_size=1, max_size=5))
def test_edits_are_levenshteins(text: str, others: list[str]) -> None:
    assert [distance(text, other) for other in others] == [levenshtein(text, other) for other in others]


def test_the_nearest_by_columns_and_by_edits() -> None:
    distances, places = nearest_columns(["ACGU", "A--U"] * 40, ["AAAA", "AC-U", "ACGU"])
    assert distances.tolist() == [0, 1] * 40
    assert places.tolist() == [2, 1] * 40
    distances, places = nearest_edits(["ACGUACGU", "GG", "A"], ["GGG", "ACGACGU", "UUUUUUUUU"], RNA)
    assert distances.tolist() == [1, 1, 3]
    assert places.tolist() == [1, 0, 0]


def test_of_many_others_as_many_are_compared_as_there_is_time_for() -> None:
    assert candidates(["A" * 40], ["A" * 30] * 1800) == 1800
    assert candidates(["A" * 100], ["A" * 30] * 1800) == 300
    assert candidates(["A"], ["A" * 1000] * 1800) == 64
    assert candidates(["A"], ["A" * 1000] * 3) == 3


def test_the_nearest_of_many_is_found_by_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(novelty, "WORK", 0)
    rng = np.random.default_rng(0)
    known = ["".join(rng.choice(list("ACGU"), 30)) for _ in range(500)]
    changed = [text[:7] + text[9:] + "A" for text in known[:20]]
    distances, places = nearest_edits(changed, known, RNA)
    assert places.tolist() == list(range(20))
    assert distances.tolist() == [levenshtein(a, b) for a, b in zip(changed, known[:20], strict=True)]


# The table, and the report


def test_the_table_has_loops_and_liabilities_and_the_farthest_first() -> None:
    texts = ["QVQGNGWVAR-Y", "DGQGYTWVARDY", "QVQGYTWVNGSY"]
    table = samples.table(texts, PROTEIN, VH, np.array([1.0, 0.0, 5.0]), total=1000)
    assert list(table.header) == ["name", "CDR-H1", "CDR-H3", "length", "differing columns", "liabilities", "sequence"]
    assert [tuple(row) for row in table.rows] == [
        ("sequence-0003", "GYT", "NGSY", 12, 5, "N-glycosylation; deamidation", "QVQGYTWVNGSY"),
        ("sequence-0001", "GNG", "ARY", 11, 1, "deamidation", "QVQGNGWVARY"),
        ("sequence-0002", "GYT", "ARDY", 12, 0, "", "DGQGYTWVARDY"),
    ], "DG and W stand outside of the loops"
    assert table.sortable and table.download == "generated.tsv"
    assert set(table.code) == {"name", "CDR-H1", "CDR-H3", "sequence"}


def test_the_table_of_other_kinds() -> None:
    assert samples.liabilities("DG", None) == ["isomerisation"]
    table = samples.table(["ACG", "GG"], RNA, None, np.array([0.0, 2.0]))
    assert [tuple(row) for row in table.rows] == [("sequence-2", 2, 2, 1.0, "GG"), ("sequence-1", 3, 0, 2 / 3, "ACG")]
    assert table.header[2] == "edits"
    table = samples.table(["GGAAAAUC"], RNA, Frame(numbered(8).columns, structure="(((..)))"))
    assert list(table.header) == ["name", "length", "GC", "consensus pairs", "sequence"]


def test_the_report_of_antibodies() -> None:
    real, generated, training = antibodies(30), antibodies(30, 1), antibodies(40, 2)
    adapter = fitted(real, VH, "protein")
    found = adapter.sections(real, generated, training[:30], np.zeros(30))
    assert [section.title for section in found] == ["Real and generated", "Logos", "Properties"]
    assert len(found[1].items) == 4
    without = adapter.sections(records(real), records(generated), None, None)
    assert [section.title for section in without][-1] == "Samples"
    assert "all 30 generated" in without[-1].text and "in the loops" in without[-1].text
    far, table = adapter.novelty(generated, training, real)
    assert [far.title, table.title] == ["Novelty", "Samples"]
    apart = nearest_columns(generated, training)[0]
    assert f"Orange are 30 generated ones, median {np.median(apart):g}; {(apart == 0).sum()} of them" in far.text
    floor = np.median(nearest_columns(real, training)[0])
    assert f"Grey are 30 real ones that were held out of training, median {floor:g}" in far.text
    histogram = far.items[0]
    assert isinstance(histogram, Figure)
    assert [ax.get_title(loc="left") for ax in histogram.figure.axes] == ["all columns", "CDR-H3 alone"]
    (rows,) = table.items
    assert isinstance(rows, Table)
    column = list(rows.header).index("differing columns")
    assert [row[column] for row in rows.rows] == sorted(apart.astype(int).tolist(), reverse=True)
    assert "differing columns to the nearest" in table.text


def test_novelty_without_held_out_sequences() -> None:
    far, _ = fitted(antibodies(30), VH, "protein").novelty(antibodies(3), antibodies(9, 1), [])
    assert "Grey" not in far.text


def test_the_report_of_rna(unfolded: None) -> None:
    frame = Frame(numbered(len(YEAST)).columns, structure=CLOVERLEAF)
    texts = [YEAST, YEAST.replace("GAA", "G-A")] * 10
    adapter = fitted(texts, frame, "rna")
    found = {section.title: section for section in adapter.sections(texts, texts, texts, np.zeros(20))}
    assert list(found) == ["Real and generated", "Logos", "Properties", "Structures"]
    assert "consensus structure" in found["Logos"].text
    assert "consensus structure of the alignment" in found["Structures"].text
    assert "ViennaRNA" not in found["Properties"].text
    far, table = adapter.novelty(texts, texts[:1], texts[1:2])
    assert "10 of them are training sequences" in far.text
    assert "iabilities" not in table.text


def test_the_report_of_folded_rna_of_free_length() -> None:
    pytest.importorskip("RNA")
    texts = ["GGGGAAAACCCC", "GGGAAAACCC"] * 10
    adapter = fitted(texts, alphabet="rna")
    found = {section.title: section for section in adapter.sections(texts, texts, None, None)}
    assert list(found) == ["Real and generated", "Properties", "Structures", "Samples"]
    assert "least free energy, folded by ViennaRNA" in found["Structures"].text
    assert "first 20 real and 20 generated" in found["Properties"].text


def test_rna_without_any_structure_has_no_drawings(unfolded: None) -> None:
    texts = ["GGGGAAAACCCC", "GGGAAAACCC"] * 10
    adapter = fitted(texts, alphabet="rna")
    far, _ = adapter.novelty(texts, [*texts, *(["ACGU"] * 60)], texts)
    assert "How many edits" in far.text and "Each is compared" not in far.text
    far, _ = adapter.novelty(texts, ["ACGU" * 100] * 80, texts)
    assert "Each is compared with the 64 training sequences" in far.text
    assert "Structures" not in [section.title for section in adapter.sections(texts, texts, None, None)]


def test_only_what_differs_from_the_pair_is_written() -> None:
    figure = views.letters(["ACG-", views.SAME * 2 + "U" + views.SAME], RNA, "Pair", pairs=True)
    said = Counter((text.get_text(), text.get_color()) for text in figure.axes[0].texts)
    assert said["U", colours(RNA)["U"]] == 1
    assert sum(count for (text, _), count in said.items() if text == views.SAME) == 3
    assert [text.get_text() for text in figure.texts] == ["Pair"]


def test_a_sequence_on_its_way_has_a_row_a_level_and_faint_letters_where_it_is_unsure() -> None:
    sure, unsure = np.array([[0.97, 0.01, 0.01, 0.01]] * 3), np.array([[0.2, 0.3, 0.25, 0.25]] * 3)
    figure = emergence([2.0, 0.0], [unsure, sure], RNA)
    (ax,) = figure.axes
    found = [(text.get_text(), text.get_alpha()) for text in ax.texts if text.get_text() in RNA.letters]
    assert found == [("C", 0.3)] * 3 + [("A", 0.97)] * 3
    assert [text.get_text() for text in ax.texts if "σ" in text.get_text()] == ["σ = 2", "σ = 0"]


def test_what_emerges_is_the_sample_of_that_seed() -> None:
    model = pfgm.fit(Sequences(), ["ACGU", "GGCAU"] * 8, steps=1, batch_size=4, network={"width": 8, "depth": 1})
    seen = walk(model, 3)
    (last,) = model.adapter.decode(seen[-1].estimate)
    section = model.adapter.emergence(seen)
    (figure,) = section.items
    (ax,) = figure.figure.axes
    letters = [text.get_text() for text in ax.texts if text.get_text() in RNA.letters]
    assert "".join(letters[-len(last) :]) == last and len(letters) == len(last) * len(seen)
