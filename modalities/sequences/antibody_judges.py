"""What other people's tools say of antibody sequences: is it one, how human, how likely.

AntPack (GPL-3, version 0.3.8; later ones are not free for all) numbers and scores, promb (MIT) knows the nine-letter
words of human repertoires (OASis). Both belong to the extra `antibody-judges`; none of them has seen a model of ours.
A humanness or a likelihood above that of real antibodies is the consensus, and no success: compare the distributions.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from pfgm_science.errors import PfgmError

Array = np.ndarray[Any, Any]

KEPT = 4  # sets of sequences whose figures are remembered: the real ones are asked for again and again


def evaluate(generated: Sequence[str], real: Sequence[str], chains: str = "H") -> dict[str, float]:
    """Figures of generated beside real domains, both without gaps.

    valid: share that AntPack numbers without an error. OASis, log likelihood: means; W1 of both to the real ones.
    """
    figures = {"valid": valid(generated, chains)}
    for name, measure in (("OASis", humanness), ("log likelihood", log_likelihood)):
        ours, theirs = measure(tuple(generated)), measure(tuple(real))
        figures[name] = float(np.nanmean(ours))
        figures[f"W1 {name}"] = float(wasserstein_distance(ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]))
    return figures


def valid(texts: Sequence[str], chains: str = "H") -> float:
    """The share that AntPack numbers as a variable domain without an error; of mutated or shuffled ones few are."""
    annotator = _annotator(tuple(chains))
    return float(np.mean([found[3] == "" for found in annotator.analyze_seqs(list(texts))]))


@lru_cache(maxsize=KEPT)
def humanness(texts: tuple[str, ...]) -> Array:
    """OASis: the share of nine-letter words of each that human repertoires have (D. Prihoda et al., mAbs 14, 2022)."""
    words = _words()
    return np.array([words.compute_peptide_content(text) for text in texts])


@lru_cache(maxsize=KEPT)
def log_likelihood(texts: tuple[str, ...]) -> Array:
    """Of each under AntPack's mixture for its chain, in nats; nan for what it cannot number."""
    scores: Array = np.asarray(_scorer().score_seqs(list(texts)), dtype=np.float64)
    return scores


@cache
def _annotator(chains: tuple[str, ...]) -> Any:
    return _needed("antpack").SingleChainAnnotator(chains=list(chains), scheme="imgt")


@cache
def _scorer() -> Any:
    return _needed("antpack").SequenceScoringTool(offer_classifier_option=False, normalization="none")


@cache
def _words() -> Any:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return _needed("promb").init_db("human-oas")


def _needed(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise PfgmError(
            f"judging antibodies needs {package} ({error}): pip install 'pfgm-science[antibody-judges]'"
        ) from None
