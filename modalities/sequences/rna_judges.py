"""What other people's tools say of RNA: are they of the family, how would they fold, would a gene finder take them.

Infernal (BSD) scores with the family's covariance model, ARAGORN (GPL) finds tRNA genes, ViennaRNA (licence of its own)
folds. Each is asked where it is installed, and none has seen a model of ours. Bits or energies better than those of
real sequences are the consensus of the family, and no success: compare the distributions.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from modalities.sequences import infernal
from modalities.sequences.alphabet import RNA
from modalities.sequences.files import fasta
from modalities.sequences.files.item import Item
from modalities.sequences.frame import pairs_of
from modalities.sequences.metrics import numbers, pair_information
from modalities.sequences.objects import without_gaps
from pfgm_science.errors import PfgmError

Array = np.ndarray[Any, Any]

KEPT = 8  # sets of sequences whose figures are remembered: the real ones are asked for again and again


def evaluate(generated: Sequence[str], real: Sequence[str], model: bytes, genes: bool = False) -> dict[str, Any]:
    """Figures of generated beside real sequences; those of a tool that is not installed are left out.

    model: a covariance model with a gathering cut-off. genes: whether they are tRNAs, so that ARAGORN is asked.
    bits, energy (kcal/mol a nucleotide): means, with W1 to the real ones; members: share from the cut-off on;
    covariation: information that paired columns share, in bits, in the columns of the model, also as a share of that of
    the real ones; genes: share that ARAGORN takes. missing: which tools are not there, in words, where any is not.
    """
    ours, theirs = (tuple(map(without_gaps, texts)) for texts in (generated, real))
    figures: dict[str, Any] = {}
    missing = []
    try:
        cutoff = infernal.threshold(model)
        (found, kept), (known, natural) = _scored(ours, model), _scored(theirs, model)
        figures |= {
            "covariation": kept,
            "covariation kept": kept / natural if natural else float("nan"),
            "bits": float(found.mean()),
            "W1 bits": float(wasserstein_distance(found, known)),
            "members": float((found >= cutoff).mean()),
        }
    except PfgmError as error:
        missing.append(str(error))
    if genes:
        try:
            figures["genes"] = float(np.mean(found_genes(ours)))
        except PfgmError as error:
            missing.append(str(error))
    try:
        found, known = energies(ours), energies(theirs)
        figures |= {"energy": float(found.mean()), "W1 energy": float(wasserstein_distance(found, known))}
    except PfgmError as error:
        missing.append(str(error))
    return figures | ({"missing": "; ".join(missing)} if missing else {})


def found_genes(texts: Sequence[str]) -> Array:
    """Whether ARAGORN finds a tRNA gene in each: bool [n] (D. Laslett, B. Canback, Nucleic Acids Res. 32, 11, 2004)."""
    if shutil.which("aragorn") is None:
        raise PfgmError("aragorn is not there: install it (apt-get install aragorn)")
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.fa"
        with given.open("w") as handle:
            fasta.write(handle, (Item("", str(i), text=without_gaps(text)) for i, text in enumerate(texts)))
        done = subprocess.run(["aragorn", "-t", "-l", "-w", str(given)], capture_output=True, text=True)
    if done.returncode:
        raise PfgmError(f"aragorn failed: {done.stderr.strip() or done.stdout.strip()}")
    return _taken(done.stdout, len(texts))


def _taken(report: str, count: int) -> Array:
    """Of a report with a block a sequence: ">name", then how many genes were found."""
    taken = np.zeros(count, dtype=bool)
    name = None
    for line in report.splitlines():
        if line.startswith(">end"):
            break
        if line.startswith(">"):
            name = int(line[1:].split()[0])
        elif name is not None and "gene" in line:
            taken[name] = line.split()[0] != "0"
            name = None
    return taken


@lru_cache(maxsize=KEPT)
def energies(texts: tuple[str, ...]) -> Array:
    """Minimum free energy of each at 37 degrees C, in kcal/mol a nucleotide, by ViennaRNA: [n]."""
    return np.array([fold(text)[1] / len(text) for text in texts])


@lru_cache(maxsize=4096)
def fold(text: str) -> tuple[str, float]:
    """The structure of the lowest free energy in dot-bracket, and that energy in kcal/mol."""
    structure, energy = _vienna().fold(without_gaps(text))
    return str(structure), float(energy)


@cache
def _vienna() -> Any:
    try:
        import RNA
    except ImportError as error:
        raise PfgmError(f"folding needs ViennaRNA ({error}): pip install 'pfgm-science[rna-judges]'") from None
    return RNA


@lru_cache(maxsize=KEPT)
def _scored(texts: tuple[str, ...], model: bytes) -> tuple[Array, float]:
    """Bits of each, and the information that the columns share which pair in the model."""
    bits, structure, rows = infernal.scored(texts, model)
    return bits, pair_information(numbers(rows, RNA), pairs_of(structure))
