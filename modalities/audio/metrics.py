"""What sounds are compared by: embeddings, classes, pitch, levels, and whether they are noise or copies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from modalities.audio import judges, pitch
from modalities.audio.classifier import Classifier
from modalities.audio.hearing import waves
from modalities.audio.levels import SILENT, clipped, level_db, peak_db
from modalities.audio.noise import is_noise, noise_alarm, noisy
from modalities.audio.objects import Clip, checked, problem
from modalities.audio.spectra import mel_bands, power, scale
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.metrics import frechet_distance, kernel_distance, memorisation, real_floor

__all__ = [
    "Reference",
    "evaluate",
    "features",
    "inception_scores",
    "is_noise",
    "levels",
    "log_spectral_distance",
    "noise_alarm",
    "noisy",
    "snr_db",
]

Array = np.ndarray[Any, Any]

BANDS = 24
FLOOR = -80.0  # dBFS below which nothing is heard
LEAST = 1e-10  # probability that a class has at least, in scores that take its logarithm

_RATE, _WINDOW, _HOP = 16000, 512, 128


def features(clips: Sequence[Clip]) -> Array:
    """How level, colour and course of each clip are, with no network: float64 [n, 96], in dB.

    Of each of 24 mel bands (50 Hz to 8 kHz, 32 ms, dBFS and not below FLOOR): mean and standard deviation over time,
    which know no order, and the parts that rise (first Legendre polynomial of time) and bend (second), which do. Clips
    of a lower rate are silent in the upper bands. A Frechet distance needs well over 96 clips.
    """
    found = np.zeros((len(clips), 4 * BANDS))
    for row, wave in zip(found, waves(clips, _RATE), strict=True):
        level = _log_mel(torch.from_numpy(wave))
        time = np.linspace(-1, 1, level.shape[1]) if level.shape[1] > 1 else np.zeros(1)
        rise, bend = (level * time).mean(1) * 3, (level * (3 * time**2 - 1) / 2).mean(1) * 5
        row[:] = np.concatenate([level.mean(1), level.std(1), rise, bend])
    return found


class Reference:
    """Real clips that generated ones are compared with; what judges say of them is asked once.

    real: clips that were not trained on. train: those that were, for memorisation and a floor at more clips. Both are
    compared as they are: give them the rate, length and loudness of the generated ones. embeddings: names of
    `judges.EMBEDDINGS`; None: those that are installed. classifier: for FID, IS, mIS, AM and classes. tones: contours
    of real speech, for F0 agreement. Raises ConfigError for an embedding that there is none of.
    """

    def __init__(
        self,
        real: Sequence[Clip],
        train: Sequence[Clip] | None = None,
        *,
        classifier: Classifier | None = None,
        tones: pitch.Tones | None = None,
        embeddings: Sequence[str] | None = None,
    ) -> None:
        self.real, self.train = checked(real), None if train is None else checked(train)
        self.classifier, self.tones = classifier, tones
        names = judges.available() if embeddings is None else tuple(embeddings)
        if strange := [name for name in names if name not in judges.EMBEDDINGS]:
            raise ConfigError(f"there is no embedding {strange[0]!r}; there are {', '.join(judges.EMBEDDINGS)}")
        self.spaces: dict[str, Callable[[Sequence[Clip]], Array]] = {"log-mel": features}
        self.spaces |= {name: judges.EMBEDDINGS[name] for name in names}
        if classifier is not None:
            self.spaces["class"] = lambda clips: classifier.judge(clips)[1]
        self._known: dict[tuple[str, str], Array] = {}

    def of(self, space: str, part: str) -> Array:
        """Features of the "real" or "train" clips in a space, [n, d]."""
        if (space, part) not in self._known:
            clips = self.real if part == "real" else self.train or []
            self._known[space, part] = self.spaces[space](clips)
        return self._known[space, part]

    def probabilities(self) -> Array:
        """What the classifier says of the real clips: [n, classes]."""
        if ("probabilities", "real") not in self._known:
            assert self.classifier is not None
            self._known["probabilities", "real"] = self.classifier.judge(self.real)[0]
        return self._known["probabilities", "real"]

    def evaluate(
        self,
        generated: Sequence[Clip],
        labels: Any = None,
        *,
        tone: Any = None,
        speakers: Any = None,
        seed: int = 0,
    ) -> dict[str, float]:
        """Measures of generated clips; see `evaluate`."""
        clips = checked(generated)
        if min(len(clips), len(self.real)) < 4:
            raise DataError(f"{len(clips)} generated and {len(self.real)} real clips: give four of each, or many more")
        rows: dict[str, float] = {}
        for space, embed in self.spaces.items():
            rows |= self._distances(space, embed(clips), seed)
        if self.classifier is not None:
            rows |= self._classes(clips, labels)
        if self.tones is not None and tone is not None:
            rows["F0 agreement"] = pitch.agreement(clips, tone, self.tones, speakers)
        if judges.voice_available():
            rows["voice"] = float(judges.voiced(clips).mean())
        return rows | levels(clips) | {"noise": is_noise(clips)}

    def _distances(self, space: str, found: Array, seed: int) -> dict[str, float]:
        """Frechet and kernel distance in a space, at the largest equal number of clips that the floor allows too."""
        rng = np.random.default_rng(seed)
        real = self.of(space, "real")
        pool = real if self.train is None else np.concatenate([real, self.of(space, "train")])
        count = min(len(found), len(real), len(pool) // 2)
        mine, theirs = (rng.permutation(rows)[:count] for rows in (found, real))
        frechet, floor = frechet_distance(mine, theirs), real_floor(frechet_distance, pool, size=count, seed=seed).mean
        name = "FID" if space == "class" else f"{space} Frechet"
        rows = {
            name: frechet,
            f"{name} floor": floor,
            f"{name} ratio": frechet / floor if floor > 0 else math.nan,
            f"{space} kernel": kernel_distance(mine, theirs, kernel="gaussian", seed=seed).value,
            f"{space} clips": float(count),
        }
        if self.train is not None and space != "class":
            memory = memorisation(found, self.of(space, "train"), real, quantile=0.01)
            rows[f"{space} nearest training clip"] = memory.distance_ratio
            rows[f"{space} near copies"] = memory.near_copies
            rows[f"{space} near copies, real"] = memory.near_copies_held_out
        return rows

    def _classes(self, clips: Sequence[Clip], labels: Any) -> dict[str, float]:
        assert self.classifier is not None
        names = np.array(self.classifier.classes)
        found, real = self.classifier.judge(clips)[0], self.probabilities()
        rows = inception_scores(found, real)
        rows |= {f"{name} real": value for name, value in inception_scores(real, real).items()}
        shares, usual = (np.bincount(given.argmax(1), minlength=len(names)) / len(given) for given in (found, real))
        rows["missing classes"] = float((shares < usual / 10).sum())
        if labels is not None:
            asked = np.asarray(labels).astype(str)
            if asked.shape != (len(clips),) or set(asked.tolist()) - set(names.tolist()):
                raise DataError(
                    f"labels have shape {list(asked.shape)} for {len(clips)} clips, or names that the classifier does "
                    f"not know: give one of {', '.join(names)} a clip"
                )
            rows["class accuracy"] = float((names[found.argmax(1)] == asked).mean())
        return rows


def evaluate(
    generated: Sequence[Clip],
    real: Sequence[Clip] | Reference,
    *,
    train: Sequence[Clip] | None = None,
    labels: Any = None,
    tone: Any = None,
    speakers: Any = None,
    classifier: Classifier | None = None,
    tones: pitch.Tones | None = None,
    embeddings: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Measures of generated clips beside real ones; what lacks its judge or labels is left out.

    real: clips that were not trained on, or a `Reference`, which knows what else they go with and is asked once.
    labels: the class asked of each; tone and speakers: the tone asked of each, and who should say it.

    In each space (log-mel `features`, embeddings of other people, and the classifier's, there called FID): Frechet
    distance, its real-real floor at the same number of clips, their ratio, a Gaussian kernel distance (unbiased squared
    MMD), that number of clips; with train, the median distance to the nearest training clip over that of real ones,
    and the share nearer than all but 1% of those. Classes: `inception_scores`, the same of the real clips, class
    accuracy, and how many classes have less than a tenth of their real share. F0 agreement: see `pitch.agreement`.
    voice: mean of `judges.voiced`. `levels`; noise: share, see `noisy`. Distances depend on the number of clips: keep
    it.

    The floor comes of random halves. Where real and train differ in kind, as syllables do that a split keeps whole,
    real training clips have a ratio above 1 as well (syllables: 1.4 in speech, 1.9 in log-mel): judge them too.
    """
    known = (
        real
        if isinstance(real, Reference)
        else Reference(real, train, classifier=classifier, tones=tones, embeddings=embeddings)
    )
    return known.evaluate(generated, labels, tone=tone, speakers=speakers, seed=seed)


def inception_scores(generated: Array, real: Array) -> dict[str, float]:
    """Scores of class probabilities, generated [n, classes] and real [m, classes], as papers on SC09 report them.

    IS: exp E KL(p(y|x) || p(y)), highest at the number of classes (Salimans et al. 2016, arXiv 1606.03498). mIS: exp E
    KL(p(y|x) || p(y|x')) over all pairs, which also asks for variety within a class (Gurumurthy et al. 2017, arXiv
    1706.02071). AM: KL(real p(y) || p(y)) + E H(p(y|x)), lower is better (Zhou et al. 2018, arXiv 1703.02000).
    Probabilities count as at least LEAST, on which mIS depends.
    """
    for name, given in (("generated", generated), ("real", real)):
        if given.ndim != 2 or not len(given) or given.shape[1] != real.shape[1]:
            raise DataError(f"{name} probabilities have shape {list(given.shape)}: they must be [n, classes], alike")
    p, q = np.maximum(generated, LEAST), np.maximum(real, LEAST)
    logs, mean, usual = np.log(p), p.mean(0), q.mean(0)
    negative_entropy = (p * logs).sum(1).mean()
    return {
        "IS": float(np.exp(negative_entropy - mean @ np.log(mean))),
        "mIS": float(np.exp(negative_entropy - mean @ logs.mean(0))),
        "AM": float(usual @ np.log(usual / mean) - negative_entropy),
    }


def levels(clips: Sequence[Clip]) -> dict[str, float]:
    """level and level spread: mean and standard deviation of RMS in dBFS, of clips that are not silent; peak: mean, in
    dBFS; clipped: share of clips with three samples in a row at full scale, on one side; silent: share of clips below
    -60 dBFS. All are NaN without clips."""
    sounds = [clip.plain for clip in checked(clips)]
    if not sounds:
        return dict.fromkeys(("level", "level spread", "peak", "clipped", "silent"), math.nan)
    sizes = np.array([level_db(sound) for sound in sounds])
    loud = sizes[sizes >= SILENT]
    return {
        "level": float(loud.mean()) if len(loud) else math.nan,
        "level spread": float(loud.std()) if len(loud) else math.nan,
        "peak": float(np.mean([peak_db(sound) for sound in sounds])),
        "clipped": float(np.mean([clipped(sound) for sound in sounds])),
        "silent": float((sizes < SILENT).mean()),
    }


def log_spectral_distance(a: Clip, b: Clip) -> float:
    """Root mean square of the difference of log spectra within frames of 32 ms, mean over frames, in dB.

    0 for equal clips. What is 60 dB or more below the loudest point of a counts as that. Raises DataError for clips of
    another shape or rate.
    """
    x, y = _alike(a, b)
    size = max(16, round(0.032 * a.rate))
    spectra = [power(sound, size, size // 4) for sound in (x, y)]
    least = max(float(spectra[0].max()) * 1e-6, 1e-20)
    apart = 10 * (spectra[0].clamp_min(least).log10() - spectra[1].clamp_min(least).log10())
    return float(apart.square().mean(-2).sqrt().mean())


def snr_db(a: Clip, b: Clip) -> float:
    """Signal-to-noise ratio of b, where a is the truth: 10 log10(|a|^2 / |a - b|^2) in dB, infinite for equal ones.

    Raises DataError for clips of another shape or rate.
    """
    x, y = _alike(a, b)
    error, signal = float((x - y).square().sum()), float(x.square().sum())
    if error == 0:
        return math.inf
    return 10 * math.log10(signal / error) if signal > 0 else -math.inf


def _alike(a: Clip, b: Clip) -> tuple[torch.Tensor, torch.Tensor]:
    for clip in (a, b):
        if reason := problem(clip):
            raise DataError(f"clips cannot be compared: {reason}")
    if a.rate != b.rate or a.waveform.shape != b.waveform.shape:
        raise DataError(
            f"clips of {a.rate} Hz {list(a.waveform.shape)} and {b.rate} Hz {list(b.waveform.shape)} cannot be "
            "compared sample by sample: give two of one rate, length and number of channels"
        )
    return a.waveform.detach().cpu().double(), b.waveform.detach().cpu().double()


def _log_mel(wave: torch.Tensor) -> Array:
    """[bands, frames] in dBFS: a sine at full scale has -3."""
    filters = mel_bands(BANDS, 50.0, 8000.0, _WINDOW // 2 + 1, _RATE).double()
    level = filters @ power(wave.double(), _WINDOW, _HOP) * scale(_WINDOW)
    return np.asarray(10 * level.clamp_min(10 ** (FLOOR / 10)).log10())
