"""Families of RNAs, in small packages that are laid out as the real ones."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from archives import sources

from modalities.sequences import datasets, infernal, rna_sets
from modalities.sequences.frame import Frame
from modalities.sequences.objects import text_of
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError
from pfgm_science.packages import CACHE_VARIABLE, Package


def texts(data: Dataset) -> list[str]:
    return [text_of(record) for record in data.objects]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))


def family(monkeypatch: pytest.MonkeyPatch, name: str, package: Package) -> None:
    monkeypatch.setitem(rna_sets.FAMILIES, name, replace(rna_sets.FAMILIES[name], package=package))


def test_a_family_has_its_structure_isotypes_and_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "DA0001  GGAA.CC\nDA0002  GGAA.CC\nRC0003  GCAAUGC\nDG0004  AUUUUAU\nDX0005  NUUUUAU\n"
    text = f"# STOCKHOLM 1.0\n\n{rows}#=GC SS_cons  <<__,>>\n//\n"
    family(monkeypatch, "trna", sources(tmp_path, {rna_sets.FAMILIES["trna"].alignment: text}))
    data = datasets.load("trna")
    assert texts(data) == ["GGAA-CC", "GCAAUGC", "AUUUUAU"]
    assert [record.id for record in data.objects] == ["DA0001", "RC0003", "DG0004"]
    assert data.condition["isotype"].tolist() == ["A", "C", "G"]
    assert data.groups is not None and len(set(data.groups.tolist())) == 3
    assert Frame.restore(data.details["frame"]).pairs == ((0, 6), (1, 5))
    assert data.licence == rna_sets.TRNA.licence


def test_5s_rrnas_are_members_of_the_family_few_of_a_project_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    drawn = ["".join(rng.choice(list("ACGT"), 110)) for _ in range(6)]
    records = [("ABCD01.1", drawn[0]), ("ABCD02.1", drawn[1]), ("ABCD03.1", drawn[2]), ("WXYZ01.1", drawn[3])]
    records += [("QRST01.1", drawn[4][:50]), ("QRST02.1", drawn[0]), ("QRST03.1", drawn[5][:-1] + "N")]
    content = "".join(f">{name}/1-110\n{text}\n" for name, text in records)
    place = "data/rRNA_databases/rfam-5s-database-id98.fasta"
    monkeypatch.setattr(rna_sets, "SORTMERNA", sources(tmp_path, {place: content}, "sortmerna"))
    family(monkeypatch, "5s-rrna", sources(tmp_path, {rna_sets.FAMILIES["5s-rrna"].model_file: "a model"}))
    monkeypatch.setattr(rna_sets, "MOST", 2)
    asked = []

    def bits(given: list[str], model: bytes) -> np.ndarray:
        asked.append(model)
        return np.array([59.0 if text == drawn[1].replace("T", "U") else 61.0 for text in given])

    monkeypatch.setattr(infernal, "bits", bits)
    monkeypatch.setattr(infernal, "aligned", lambda given, model: ("<" + "." * 108 + ">", list(given)))
    data = datasets.load("5s-rrna")
    assert [record.id for record in data.objects] == ["ABCD01.1/1-110", "WXYZ01.1/1-110"]
    assert texts(data) == [drawn[0].replace("T", "U"), drawn[3].replace("T", "U")]
    assert Frame.restore(data.details["frame"]).pairs == ((0, 109),)
    assert texts(datasets.load("5s-rrna")) == texts(data) and asked == [b"a model"]
    (kept,) = tmp_path.glob("*.sto.gz")
    assert gzip.decompress(kept.read_bytes()).startswith(b"# STOCKHOLM 1.0")


def test_an_exact_teacher_is_drawn_from_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family(monkeypatch, "trna", sources(tmp_path, {rna_sets.FAMILIES["trna"].model_file: "a model"}))
    monkeypatch.setattr(infernal, "emitted", lambda model, count, seed: ["GAC", "GUC", "GAC"][:count] + ["GCC"] * seed)
    monkeypatch.setattr(infernal, "aligned", lambda given, model: ("(.)", list(given)))
    assert texts(datasets.load("cm-emit:count=3:seed=1")) == ["GAC", "GUC", "GCC"]
    with pytest.raises(ConfigError, match=r"there is no family 'tna' \(trna, rnase-p, cobalamin, 5s-rrna\)"):
        datasets.load("cm-emit:family=tna")


def test_few_of_a_group_are_kept_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rna_sets, "ALIKE_KEPT", 2)
    data = Dataset(["A", "C", "G", "U", "AA"], groups=np.array([3, 0, 3, 3, 0]))
    assert rna_sets._few_alike(data).objects == ["A", "C", "G", "AA"]
