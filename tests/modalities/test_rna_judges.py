"""Judges of RNA that other people wrote, on what they should tell apart. Skipped where they are not installed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from modalities.sequences import infernal, rna_judges
from modalities.sequences.frame import pairs_of
from pfgm_science.errors import PfgmError

ALANINE = "GGGGCUAUAGCUCAGCUGGGAGAGCGCCUGCUUUGCACGCAGGAGGUCUGCGGUUCGAUCCCGCAUAGCUCCACCA"
needs_infernal = pytest.mark.skipif(shutil.which("cmbuild") is None, reason="Infernal is not installed")


def shuffled(seed: int) -> str:
    return "".join(np.random.default_rng(seed).permutation(list(ALANINE)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The covariance model of one tRNA and its neighbours, with a gathering cut-off."""
    import subprocess

    folder = tmp_path_factory.mktemp("model")
    given, out = folder / "given.sto", folder / "out.cm"
    structure = "(((((((..((((........)))).(((((.......))))).....(((((.......))))))))))))...."
    given.write_text(
        f"# STOCKHOLM 1.0\n#=GF ID some\n#=GF GA 20.0\na  {ALANINE}\n"
        f"b  {ALANINE.replace('CUGCUUUGCAC', 'CUGGUUUGCAC')}\n"
        f"#=GC SS_cons  {structure}\n//\n"
    )
    subprocess.run(["cmbuild", "-F", str(out), str(given)], check=True, capture_output=True)
    return out.read_bytes()


@needs_infernal
def test_a_model_scores_its_family_above_letters_in_another_order(model: bytes) -> None:
    assert infernal.threshold(model) == 20
    scores = infernal.bits([shuffled(0), ALANINE, shuffled(1), ALANINE[:30] + "-" + ALANINE[30:]], model)
    assert scores[1] > 40 and scores[1] == scores[3]
    assert max(scores[0], scores[2]) < 10


@needs_infernal
def test_what_is_aligned_are_the_same_letters_in_columns_with_a_structure(model: bytes) -> None:
    longer = ALANINE[:20] + "AAA" + ALANINE[20:]
    structure, rows = infernal.aligned([ALANINE, longer], model)
    assert [row.replace("-", "") for row in rows] == [ALANINE, longer]
    assert len(rows[0]) == len(rows[1]) == len(structure) == len(ALANINE) + 3
    assert len(pairs_of(structure)) == 21


@needs_infernal
def test_draws_of_a_model_are_of_its_family_and_depend_on_the_seed(model: bytes) -> None:
    drawn = infernal.emitted(model, 20, 0)
    assert len(drawn) == 20 and drawn == infernal.emitted(model, 20, 0) != infernal.emitted(model, 20, 1)
    assert infernal.bits(drawn, model).mean() > 15


@needs_infernal
def test_the_judges_call_real_sequences_alike(model: bytes) -> None:
    found = rna_judges.evaluate([ALANINE] * 3 + [shuffled(0)], [ALANINE], model)
    assert found["members"] == 0.75 and found["W1 bits"] > 5
    assert rna_judges.evaluate([ALANINE] * 2, [ALANINE], model)["W1 bits"] == 0


@needs_infernal
def test_a_failing_tool_says_why() -> None:
    with pytest.raises(PfgmError, match="cmalign failed: Error"):
        infernal.bits([ALANINE], b"no model")


def test_without_infernal_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PfgmError, match="cmalign is not there: install Infernal"):
        infernal.bits([ALANINE], b"")
    with pytest.raises(PfgmError, match="aragorn is not there"):
        rna_judges.found_genes([ALANINE])
    monkeypatch.setitem(__import__("sys").modules, "RNA", None)
    rna_judges._vienna.cache_clear()
    rna_judges.energies.cache_clear()
    rna_judges.fold.cache_clear()
    with pytest.raises(PfgmError, match=r"ViennaRNA .*pfgm-science\[rna-judges\]"):
        rna_judges.energies((ALANINE,))
    found = rna_judges.evaluate([ALANINE], [ALANINE], b"INFERNAL1/a\nGA 20.0\n", genes=True)
    assert set(found) == {"missing"}
    assert all(tool in found["missing"] for tool in ("cmalign", "aragorn", "ViennaRNA"))


def test_a_model_without_a_cutoff_is_refused() -> None:
    with pytest.raises(PfgmError, match="no gathering cut-off"):
        infernal.threshold(b"INFERNAL1/a\nNAME some\n")


@pytest.mark.skipif(shutil.which("aragorn") is None, reason="ARAGORN is not installed")
def test_a_gene_finder_takes_a_real_trna_and_no_shuffled_one() -> None:
    assert rna_judges.found_genes([shuffled(0), ALANINE, shuffled(1)]).tolist() == [False, True, False]


def test_the_report_of_the_gene_finder_is_read_by_name() -> None:
    report = ">0\n0 genes found\n>1 b\n1 genes found\n1   tRNA-Ala    [1,75]  34  (tgc)\n>2\n2 genes found\n>end \t3\n"
    assert rna_judges._taken(report, 3).tolist() == [False, True, True]


def test_a_hairpin_folds_into_one() -> None:
    pytest.importorskip("RNA")
    structure, energy = rna_judges.fold("GGGGGGAAAACCCCCC")
    assert structure == "((((((....))))))" and energy < -5
    assert rna_judges.energies(("GGGGGGAAAACCCCCC",))[0] == energy / 16
