"""Antibodies by name that other people's models draw, with a seed: CDR-H3s of OLGA, chains of AntPack's mixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modalities.sequences.alphabet import PROTEIN
from modalities.sequences.files.airr import gene
from modalities.sequences.objects import records
from modalities.sequences.sets import check_draw, described
from modalities.sequences.teachers import antpack_heavy
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import PfgmError

COUNT = 20_000

OLGA_H3 = DatasetInfo(
    name="olga-h3",
    description="CDR-H3s as human V(D)J recombination makes them, from the cysteine before to the tryptophan behind",
    licence="GPL-3 (OLGA and its model); drawn on this machine",
    source="drawn by OLGA, model human_B_heavy",
    size="20,000 of free length, with V and J gene; count and seed can be set",
    citation="Z. Sethna et al., OLGA: fast computation of generation probabilities of B- and T-cell receptor amino "
    "acid sequences and motifs, Bioinformatics 35, 2974 (2019)",
    how="pip install olga==1.3.0",
)
ANTPACK_MIXTURE = DatasetInfo(
    name="antpack-mixture",
    description="human heavy chains of a mixture whose likelihood is known exactly (modalities.sequences.teachers)",
    licence="GPL-3 (AntPack and its mixture); drawn on this machine",
    source="drawn from the mixture of AntPack 0.3.8",
    size="20,000 in 173 IMGT columns; count and seed can be set",
    citation="J. Parkinson and W. Wang, For antibody sequence generative modeling, mixture models may be all you "
    "need, Bioinformatics 40, btae278 (2024)",
    how="pip install 'pfgm-science[antibody-judges]'",
)


def _antpack_mixture(info: DatasetInfo, count: int = COUNT, seed: int = 0) -> Dataset:
    check_draw(count, seed)
    frame, mixture = antpack_heavy()
    texts = [PROTEIN.text(row) for row in mixture.sample(count, seed)]
    return described(info, records(texts), details={"alphabet": PROTEIN.name, "frame": frame.settings()})


def _olga_h3(info: DatasetInfo, count: int = COUNT, seed: int = 0) -> Dataset:
    check_draw(count, seed)
    model, v_names, j_names = _olga()
    with _global_seed(seed):
        drawn = [model.gen_rnd_prod_CDR3()[1:4] for _ in range(count)]
    texts, v_genes, j_genes = zip(*drawn, strict=True)
    return described(
        info,
        records(texts),
        condition={
            "v_gene": np.array([v_names[number] for number in v_genes]),
            "j_gene": np.array([j_names[number] for number in j_genes]),
        },
        details={"alphabet": PROTEIN.name},
    )


def _olga() -> tuple[Any, list[str], list[str]]:
    """What draws, and the V and J genes by their numbers."""
    try:
        from olga import load_model
        from olga.sequence_generation import SequenceGenerationVDJ
    except ImportError as error:
        raise PfgmError(f"the set {OLGA_H3.name!r} is drawn by OLGA ({error}): {OLGA_H3.how}") from None
    folder = Path(load_model.__file__).parent / "default_models" / "human_B_heavy"
    genes = load_model.GenomicDataVDJ()
    anchors = (str(folder / f"{letter}_gene_CDR3_anchors.csv") for letter in "VJ")
    genes.load_igor_genomic_data(str(folder / "model_params.txt"), *anchors)
    law = load_model.GenerativeModelVDJ()
    law.load_and_process_igor_model(str(folder / "model_marginals.txt"))
    v_names, j_names = ([gene(each[0]) for each in segments] for segments in (genes.genV, genes.genJ))
    return SequenceGenerationVDJ(law, genes), v_names, j_names


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """NumPy's global random numbers, which OLGA draws from, seeded for a while and then as they were."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


LOADERS: dict[str, tuple[DatasetInfo, Callable[..., Dataset]]] = {
    OLGA_H3.name: (OLGA_H3, _olga_h3),
    ANTPACK_MIXTURE.name: (ANTPACK_MIXTURE, _antpack_mixture),
}
SETTINGS: dict[str, dict[str, Any]] = {name: {"count": COUNT, "seed": 0} for name in LOADERS}
