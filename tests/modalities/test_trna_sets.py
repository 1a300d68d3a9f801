"""tRNAs by organism, in a small package that is laid out as the real one."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from modalities.sequences import Sequences, datasets, trna_sets
from modalities.sequences.objects import text_of
from pfgm_science.errors import DataError, PfgmError
from pfgm_science.model import fit
from pfgm_science.packages import CACHE_VARIABLE, Package

YEAST, COLI = "Saccharomyces cerevisiae", "Escherichia coli"
ALA, LEU = "GGGC" * 18, "GCCAUUAGGCUA" * 7  # 72 and 84 letters
FILES = {
    YEAST: f"""
>Escherichia_coli_str_K_12_tRNA-eColiLys-TTT-1-1 (tRNAscan-SE ID: chr.trna9) Lys (TTT) 72 bp Sc: 94.9
{ALA}
>Saccharomyces_cerevisiae_tRNA-Ala-AGC-1-1 (tRNAscan-SE ID: chrI.trna1) Ala (AGC) 72 bp Sc: 71.2 chrI:1-72 (+)
{ALA[:40]}
{ALA[40:].lower()}
>Saccharomyces_cerevisiae_tRNA-Ala-AGC-1-2 (tRNAscan-SE ID: chrI.trna2) Ala (AGC) 72 bp Sc: 71.2
{ALA}
>Saccharomyces_cerevisiae_tRX-iMet-CAT-1-1 (x) iMet (CAT) 84 bp Sc: 35
{LEU.replace("U", "T")}
>Saccharomyces_cerevisiae_tRNA-Gly-CCC-1-1 (x) Gly (CCC) 72 bp Sc: 34.9
{ALA[:-1]}A
>Saccharomyces_cerevisiae_tRNA-Leu-CAA-1-1 (x) Leu (CAA) 96 bp Sc: 60.0
{"G" * 96}
>Saccharomyces_cerevisiae_tRNA-Und-NNN-1-1 (x) Und (NNN) 72 bp Sc: 60.0
{ALA[:-1]}G
>Saccharomyces_cerevisiae_chr2L.trna10-Undet??? (x) Sc: 60.0
{ALA[:-1]}G
>Saccharomyces_cerevisiae_tRNA-His-GTG-1-1 (x) His (GTG) 72 bp Sc: 60.0
{ALA[:-1]}N
""",
    COLI: f"""
>Escherichia_coli_str_K-12_substr_MG1655_tRNA-Ala-GGC-1-1 (x) chr:1-72 (-) Ala (GGC) 72 bp Sc: 75.0
{ALA}
""",
}


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for organism, content in FILES.items():
            archive.writestr(f"mimseq/data/{trna_sets.FILES[organism]}", content.lstrip())
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    found = Package("some", "1.0", path.name, hashlib.sha256(path.read_bytes()).hexdigest(), "GPL-3")
    monkeypatch.setattr(trna_sets, "MIMSEQ", found)
    monkeypatch.setattr(trna_sets, "FILES", {name: trna_sets.FILES[name] for name in FILES})


def test_genes_have_their_organism_and_isotype_and_the_others_are_counted() -> None:
    data = datasets.load("trna-organisms")
    assert [text_of(record) for record in data.objects] == [ALA, LEU, ALA]
    assert data.condition["organism"].tolist() == [YEAST, YEAST, COLI]
    assert data.condition["isotype"].tolist() == ["Ala", "iMet", "Ala"]
    assert data.objects[0].id == "Saccharomyces_cerevisiae_tRNA-Ala-AGC-1-1"
    assert data.details["changed"] == {
        trna_sets.OTHER: 1,
        trna_sets.AGAIN: 1,
        trna_sets.WEAK: 1,
        trna_sets.LONG: 1,
        trna_sets.NAMELESS: 2,
        trna_sets.STRANGE: 1,
    }
    assert data.licence == "GPL-3"


def test_the_same_letters_in_two_organisms_are_on_one_side_of_a_split() -> None:
    groups = datasets.load("trna-organisms").groups
    assert groups is not None and groups[0] == groups[2] != groups[1]


def test_the_network_is_one_of_free_lengths_that_is_told_both() -> None:
    network = {"width": 8, "depth": 1, "heads": 2}
    model = fit(Sequences(), datasets.load("trna-organisms"), steps=2, batch_size=2, validation=0.0, network=network)
    assert isinstance(model.adapter, Sequences) and not model.adapter.aligned
    drawn = model.sample(2, seed=0, sizes=75, evaluations=3, condition={"organism": COLI, "isotype": "Ala"})
    assert [len(text_of(record)) for record in drawn] == [75, 75]
    with pytest.raises(PfgmError, match="Saccharomyces cerevisiae"):
        model.sample(1, condition={"organism": "Homo sapiens"})


def test_a_gene_is_named_by_the_reason_that_leaves_it_out() -> None:
    found = trna_sets.gene("Escherichia_coli_tRNA-Ile2-CAT-1-1", "Sc: 70", ALA, COLI)
    assert found == (ALA, "Ile2")
    with pytest.raises(DataError, match="no amino acid or score"):
        trna_sets.gene("Escherichia_coli_tRNA-Ile2-CAT-1-1", "", ALA, COLI)
