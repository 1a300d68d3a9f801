"""Covariance models of RNA families by Infernal, whose command-line tools are called: bits, columns, draws.

E. P. Nawrocki and S. R. Eddy, Infernal 1.1, Bioinformatics 29, 2933 (2013), BSD licence; Debian and bioconda call the
package infernal. A model is the content of a .cm file of version 1.1.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modalities.sequences.alphabet import RNA
from modalities.sequences.files import fasta, stockholm
from modalities.sequences.files.item import Item
from modalities.sequences.objects import without_gaps
from pfgm_science.errors import PfgmError

Array = np.ndarray[Any, Any]

_BITS = 6  # column of the bit score in the table of cmalign, the first is 0


def bits(texts: Sequence[str], model: bytes) -> Array:
    """Of each sequence, aligned whole and end to end with the model: [n]. Gaps are not looked at."""
    return scored(texts, model)[0]


def scored(texts: Sequence[str], model: bytes) -> tuple[Array, str, list[str]]:
    """Bits of each, the consensus structure in dot-bracket, and each in the columns that all of them need."""
    table, alignment = _aligned(texts, model)
    rows = [line.split() for line in table.splitlines() if line and not line.startswith("#")]
    scores = {int(row[1]): float(row[_BITS]) for row in rows}
    items = {int(item.name): item for item in stockholm.read(io.StringIO(alignment))}
    numbers = range(len(texts))
    return np.array([scores[i] for i in numbers]), items[0].structure, [RNA.normal(items[i].text) for i in numbers]


def threshold(model: bytes) -> float:
    """The gathering cut-off in bits, from which on Rfam counts a sequence as a member; PfgmError without one."""
    for line in model.decode().splitlines():
        if line.startswith("GA "):
            return float(line.split()[1])
    raise PfgmError("this covariance model has no gathering cut-off (a line GA)")


def aligned(texts: Sequence[str], model: bytes) -> tuple[str, list[str]]:
    """The structure and the rows of `scored`."""
    return scored(texts, model)[1:]


def emitted(model: bytes, count: int, seed: int) -> list[str]:
    """So many sequences drawn from the model, without gaps."""
    with _files(model) as (folder, path):
        out = folder / "out.fa"
        # 0 would mean a seed by the clock
        _run("cmemit", "-N", str(count), "--seed", str(seed % 2**31 + 1), "-o", str(out), str(path))
        return [RNA.normal(item.text) for item in fasta.read(io.StringIO(out.read_text()))]


def _aligned(texts: Sequence[str], model: bytes) -> tuple[str, str]:
    """The table of scores and the alignment in one block."""
    if not texts:
        raise PfgmError("there is no sequence to align with a covariance model")
    with _files(model) as (folder, path):
        given, scores, out = folder / "given.fa", folder / "scores", folder / "out.sto"
        with given.open("w") as handle:
            fasta.write(handle, (Item("", str(i), text=without_gaps(text)) for i, text in enumerate(texts)))
        output = ["--sfile", str(scores), "-o", str(out), "--outformat", "Pfam"]
        _run("cmalign", "-g", "--notrunc", "--mxsize", "4096", *output, str(path), str(given))
        return scores.read_text(), out.read_text()


@contextmanager
def _files(model: bytes) -> Iterator[tuple[Path, Path]]:
    """A folder that is gone afterwards, and the model in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cm"
        path.write_bytes(model)
        yield Path(folder), path


def _run(tool: str, *words: str) -> None:
    if shutil.which(tool) is None:
        raise PfgmError(f"{tool} is not there: install Infernal (apt-get install infernal, or conda install infernal)")
    done = subprocess.run([tool, *words], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise PfgmError(f"{tool} failed: {next((line for line in reason if line.strip()), '')}")
