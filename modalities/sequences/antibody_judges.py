"""What other people's tools say of antibody sequences: is it one, how human, how likely.

AntPack (GPL-3, version 0.3.8; later ones are not free for all) numbers and scores, promb (MIT) knows the nine-letter
words of human repertoires (OASis), anarcism (Apache-2) the profiles of germline domains of many species, OLGA (GPL-3)
how likely V(D)J recombination makes a CDR3. All belong to the extra `antibody-judges`; none of them has seen a model of
ours.
A humanness or a likelihood above that of real antibodies is the consensus, and no success: compare the distributions.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from pfgm_science.errors import PfgmError

Array = np.ndarray[Any, Any]

KEPT = 4  # sets of sequences whose figures are remembered: the real ones are asked for again and again
PROFILED = 200  # sequences that are held against profiles, at some 40 a second


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


def profile(generated: Sequence[str], real: Sequence[str], seed: int = 0) -> dict[str, float]:
    """Figures of PROFILED of the generated and of the real domains, without gaps, each drawn at random.

    bits: the mean, and W1 to the real ones. human: the share whose best profile is that of human domains. bits count:
    how many were asked about.
    """
    ours, theirs = profiles(_some(generated, seed)), profiles(_some(real, seed))
    bits, real_bits = (np.array([score for score, _ in found]) for found in (ours, theirs))
    return {
        "bits": float(bits.mean()),
        "W1 bits": float(wasserstein_distance(bits, real_bits)),
        "human": float(np.mean([species == "human" for _, species in ours])),
        "bits count": float(len(bits)),
    }


def bits(texts: Sequence[str], chain: str = "H") -> Array:
    """The score of each under the best profile of a chain's domains, as HMMER has it; 0 where there is no domain.

    Profiles: J. Dunbar and C. M. Deane, ANARCI, Bioinformatics 32, 298 (2016), by anarcism, some 40 a second.
    """
    return np.array([score for score, _ in profiles(tuple(texts), chain)])


@lru_cache(maxsize=KEPT)
def profiles(texts: tuple[str, ...], chain: str = "H") -> tuple[tuple[float, str], ...]:
    """Bits of each, and the species of the best profile, "" where there is no domain. Letters are amino acids."""
    asked = [(str(i), text) for i, text in enumerate(texts)]
    answers = _needed("anarcism").number_sequences(asked, workers=1, allowed_chains=[chain], min_bit_score=0.0)
    best = [max(each.domains, key=lambda domain: domain.bit_score, default=None) for each in answers]
    return tuple((0.0, "") if domain is None else (float(domain.bit_score), str(domain.species)) for domain in best)


def _some(texts: Sequence[str], seed: int) -> tuple[str, ...]:
    order = np.random.default_rng(seed).permutation(len(texts))[:PROFILED]
    return tuple(texts[i] for i in order)


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


def log10_pgen(loops: Sequence[str]) -> Array:
    """log10 of the probability that human V(D)J recombination makes each CDR3 of a heavy chain, some 2.5 a second.

    loops: from the cysteine before it (IMGT 104) to the tryptophan behind it (118), both included. -inf for what it
    never makes. OLGA: Z. Sethna et al., Bioinformatics 35, 2974 (2019).
    """
    with np.errstate(divide="ignore"):
        found: Array = np.log10(np.array([_pgen(loop) for loop in loops]))
    return found


@cache
def _pgen(loop: str) -> float:
    return float(_recombination().compute_aa_CDR3_pgen(loop))


@cache
def _recombination() -> Any:
    """OLGA's model of human heavy chains, which comes with it."""
    loading, generation = _needed("olga.load_model"), _needed("olga.generation_probability")
    folder = Path(loading.__file__).parent / "default_models" / "human_B_heavy"
    genes, model = loading.GenomicDataVDJ(), loading.GenerativeModelVDJ()
    files = ("model_params.txt", "V_gene_CDR3_anchors.csv", "J_gene_CDR3_anchors.csv")
    genes.load_igor_genomic_data(*(str(folder / file) for file in files))
    model.load_and_process_igor_model(str(folder / "model_marginals.txt"))
    return generation.GenerationProbabilityVDJ(model, genes)


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
        name = package.partition(".")[0]
        raise PfgmError(
            f"judging antibodies needs {name} ({error}): pip install 'pfgm-science[antibody-judges]'"
        ) from None
