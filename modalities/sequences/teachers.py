"""Laws of sequences that are known exactly: what a model should learn can be drawn, and told how likely it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from modalities.sequences import imgt
from modalities.sequences.frame import Frame
from pfgm_science.errors import DataError, PfgmError

Array = np.ndarray[Any, Any]

SMALLEST = 1e-14  # probability of what a cluster has never seen, as AntPack has it
_BLOCK = 512  # samples at a time


@dataclass(frozen=True)
class Mixture:
    """Clusters of aligned sequences, in each of which the columns are independent.

    weights: of the clusters, [clusters]. tables: the probability of each symbol, [clusters, columns, symbols].
    """

    weights: Array
    tables: Array

    def sample(self, count: int, seed: int) -> Array:
        """Symbols of samples: a cluster of each, then each of its columns for itself; int64 [count, columns]."""
        rng = np.random.default_rng(seed)
        weights = self.weights.astype(np.float64)
        clusters = rng.choice(len(weights), count, p=weights / weights.sum())
        found = np.empty((count, self.tables.shape[1]), dtype=np.int64)
        for start in range(0, count, _BLOCK):
            upper = self.tables[clusters[start : start + _BLOCK]].astype(np.float64).cumsum(-1)
            draw = rng.random((*upper.shape[:2], 1)) * upper[..., -1:]
            found[start : start + _BLOCK] = (draw >= upper).sum(-1)
        return found

    def log_likelihood(self, symbols: Array) -> Array:
        """log p of each row of symbols [n, columns], in nats: float64 [n]. Probabilities are at least SMALLEST."""
        rows = np.asarray(symbols)
        if rows.ndim != 2 or rows.shape[1] != self.tables.shape[1]:
            raise DataError(f"symbols have shape {rows.shape}: this law is one of {self.tables.shape[1]} columns")
        each = np.arange(self.tables.shape[2])
        found = np.empty(len(rows))
        for start in range(0, len(rows), _BLOCK):
            shown = (rows[start : start + _BLOCK, :, None] == each).reshape(-1, self._logs.shape[0])
            found[start : start + _BLOCK] = logsumexp(shown.astype(np.float64) @ self._logs + self._log_weights, axis=1)
        return found

    @cached_property
    def _logs(self) -> Array:
        """log p of each symbol of each column: [columns * symbols, clusters]."""
        floored = np.maximum(self.tables.reshape(len(self.tables), -1).astype(np.float64), SMALLEST)
        logs: Array = np.ascontiguousarray(np.log(floored).T)
        return logs

    @cached_property
    def _log_weights(self) -> Array:
        logs: Array = np.log(np.maximum(self.weights.astype(np.float64), SMALLEST))
        return logs


@cache
def antpack_heavy() -> tuple[Frame, Mixture]:
    """AntPack's mixture of human heavy chains (0.3.8, GPL-3), in the IMGT columns it has; symbols are PROTEIN's.

    J. Parkinson and W. Wang, For antibody sequence generative modeling, mixture models may be all you need,
    Bioinformatics 40, btae278 (2024). PfgmError where AntPack is missing, or its files are others.
    """
    try:
        from antpack import scoring_tools
        from antpack.scoring_tools.scoring_constants import allowed_imgt_pos

        folder = Path(scoring_tools.__file__).parent / "model_data"
        weights = np.load(folder / "human_heavy_mixweights.npy", allow_pickle=False)
        tables = np.load(folder / "human_heavy_mu.npy", allow_pickle=False)
        positions = allowed_imgt_pos.heavy_allowed_positions
    except (ImportError, AttributeError, OSError, ValueError) as error:
        raise PfgmError(
            f"the mixture of AntPack needs antpack 0.3.8 ({error}): pip install 'pfgm-science[antibody-judges]'"
        ) from None
    if tables.shape != (len(weights), len(positions), 21):
        raise PfgmError(f"the mixture of this AntPack has tables of {tables.shape}: give antpack 0.3.8")
    return imgt.frame_of([f"H{position}" for position in positions]), Mixture(weights, tables)
