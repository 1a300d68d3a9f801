"""A small classifier of sounds, trained on real clips and frozen: who judges classes, and the space of FID.

Scores of differently trained classifiers are not comparable, so one ships for the data set that it was trained on, with
its classes, its held-out accuracy and its recipe inside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modalities.audio.hearing import waves
from modalities.audio.objects import Clip
from modalities.audio.spectra import mel_bands, power
from pfgm_science.data import Dataset
from pfgm_science.errors import CheckpointError, ConfigError, DataError, PfgmError
from pfgm_science.files import write_bytes

Array = np.ndarray[Any, Any]

WEIGHTS = Path(__file__).parent / "weights"
FEATURES = 64
LEVEL = -23.0  # dBFS that every clip is brought to: loudness is measured apart, and tells no class
LEAST_SECONDS = 0.16  # sixteen frames, which four layers halve to one
RANGE = 60.0  # dB below the loudest point of a clip that are heard

_WIDTHS = (16, 32, 64, 64)
_HOP, _WINDOW, _MELS = 0.010, 0.064, 64  # seconds, seconds, bands: 64 ms part the harmonics of a voice


class Classifier(nn.Module):
    """Log-mel spectrogram, four convolutions and one hidden layer, which is the feature space.

    Clips of any rate and number of channels are heard at `rate` Hz as one channel; the first `seconds` of each count,
    and shorter ones end in silence. recipe: how it was trained, in words and numbers (JSON values).
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        rate: int = 8000,
        seconds: float = 0.64,
        accuracy: float = float("nan"),
        recipe: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if len(classes) < 2 or rate < 2000 or not seconds >= LEAST_SECONDS:
            raise ConfigError(
                f"{len(classes)} classes, rate = {rate!r}, seconds = {seconds!r}: a classifier needs two classes or "
                f"more, at least 2000 Hz, and {LEAST_SECONDS:g} s or more"
            )
        self.classes, self.rate, self.seconds, self.accuracy = tuple(classes), rate, seconds, accuracy
        self.recipe = dict(recipe or {})
        layers: list[nn.Module] = []
        for given, width in zip((1, *_WIDTHS), _WIDTHS, strict=False):
            layers += [nn.Conv2d(given, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        # The order of time is kept in four parts: a tone that rises is not one that falls.
        layers += [nn.AdaptiveAvgPool2d((2, 4)), nn.Flatten(), nn.Dropout(0.2)]
        self.body = nn.Sequential(*layers, nn.Linear(8 * _WIDTHS[-1], FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, len(self.classes))

    @property
    def samples(self) -> int:
        """Samples at `rate` that count."""
        return round(self.seconds * self.rate)

    def spectrograms(self, sounds: Tensor) -> Tensor:
        """Sounds [n, samples] to log-mel spectrograms [n, 1, bands, frames] in [-1, 1], the loudest point at 1."""
        size = round(_WINDOW * self.rate)
        filters = mel_bands(_MELS, 50.0, self.rate / 2, size // 2 + 1, self.rate)
        found = filters @ power(sounds, size, round(_HOP * self.rate), edges="reflect")
        level = 10 * found.clamp_min(1e-12).log10()
        level = level - level.amax((1, 2), keepdim=True)
        return (level.clamp_min(-RANGE) * (2 / RANGE) + 1)[:, None]

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Logits [n, classes]."""
        logits: Tensor = self.head(self.body(spectrograms))
        return logits

    @torch.no_grad()
    def judge(self, clips: Sequence[Clip], batch_size: int = 200) -> tuple[Array, Array]:
        """Class probabilities [n, classes] and features [n, 64] of clips, both float64."""
        self.eval()
        sounds = self.sounds(clips)
        probabilities, features = [torch.zeros(0, len(self.classes))], [torch.zeros(0, FEATURES)]
        for start in range(0, len(sounds), batch_size):
            hidden = self.body(self.spectrograms(sounds[start : start + batch_size]))
            features.append(hidden)
            probabilities.append(F.softmax(self.head(hidden).double(), dim=1))
        return torch.cat(probabilities).double().numpy(), torch.cat(features).double().numpy()

    def sounds(self, clips: Sequence[Clip]) -> Tensor:
        """Clips as they are heard: float32 [n, samples] at `rate` Hz and one loudness."""
        heard = torch.zeros(len(clips), self.samples)
        for row, wave in zip(heard, waves(clips, self.rate, LEVEL), strict=True):
            part = torch.from_numpy(wave)[: self.samples]
            row[: len(part)] = part
        return heard

    def save(self, path: str | Path) -> None:
        """One safetensors file with classes, held-out accuracy and recipe in its header."""
        from safetensors.torch import save

        about = {
            "classes": list(self.classes),
            "rate": self.rate,
            "seconds": self.seconds,
            "accuracy": self.accuracy,
            "recipe": self.recipe,
        }
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        write_bytes(path, save(tensors, metadata={"audio classifier": json.dumps(about)}))

    @classmethod
    def load(cls, path: str | Path) -> Classifier:
        """A frozen classifier; raises CheckpointError when the file is not one."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                about = json.loads((file.metadata() or {})["audio classifier"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            classifier = cls(about.pop("classes"), **about)
            classifier.load_state_dict(tensors)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path}: not a classifier of sounds written by this package ({error})") from None
        return classifier.eval()


def shipped_names() -> list[str]:
    """The data sets that a classifier comes with the package for."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def shipped(name: str = "syllables") -> Classifier:
    """The classifier that comes with the package for the data set of that name; PfgmError says which there are."""
    there = shipped_names()
    if name not in there:
        raise PfgmError(
            f"no classifier comes with the package for {name!r} (there are: {', '.join(there) or 'none'}): train one "
            "with modalities.audio.classifier.train_classifier(data, seed)"
        )
    return Classifier.load(WEIGHTS / f"{name}.safetensors")


def train_classifier(
    data: Dataset,
    seed: int = 0,
    *,
    label: str = "label",
    held_out: Dataset | None = None,
    epochs: int = 30,
    batch_size: int = 64,
    rate: int = 8000,
    seconds: float = 0.64,
) -> Classifier:
    """Fit a classifier to real clips and their classes, condition[label], and measure it on clips it has not seen.

    held_out: those; None: a fifth of data, split as `Dataset.split(0.2, seed)` does, groups whole. Each clip is
    shifted in time (by at most 10%), given noise (20 to 60 dB below it) and loses a band of frequency and one of time.
    Loudness does not matter, as every clip is brought to one level. The same data and seed give the same weights on the
    same machine. Raises DataError for data without that condition, or with classes that only one side has.
    """
    train, test = data.split(0.2, seed) if held_out is None else (data, held_out)
    classes, targets, truth = _targets(train, test, label)
    recipe = {
        "data": data.name,
        "licence": data.licence,
        "clips": len(train),
        "held out": len(test),
        "label": label,
        "seed": seed,
        "epochs": epochs,
        "batch": batch_size,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier(classes, rate=rate, seconds=seconds, recipe=recipe)
        _fit(classifier, classifier.sounds(train.objects), torch.from_numpy(targets), epochs, batch_size, seed)
    probabilities = classifier.judge(test.objects)[0]
    classifier.accuracy = float((np.asarray(classes)[probabilities.argmax(1)] == truth).mean())
    return classifier


def _targets(train: Dataset, test: Dataset, label: str) -> tuple[list[str], Array, Array]:
    for part in (train, test):
        if label not in part.condition:
            raise DataError(
                f"the data have no condition {label!r} ({', '.join(part.condition) or 'none'}): name another"
            )
    classes, targets = np.unique(np.asarray(train.condition[label]).astype(str), return_inverse=True)
    truth = np.asarray(test.condition[label]).astype(str)
    if not len(truth) or set(truth) - set(classes.tolist()):
        raise DataError(
            f"{len(truth)} clips are held out, of classes {', '.join(sorted(set(truth))) or 'none'}; the classifier "
            f"learns {', '.join(classes)}: give some of each class on both sides"
        )
    return classes.tolist(), targets, truth


def _fit(classifier: Classifier, sounds: Tensor, targets: Tensor, epochs: int, batch_size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(sounds) / batch_size)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    classifier.train()
    for _ in range(epochs):
        for index in torch.split(torch.randperm(len(sounds), generator=generator), batch_size):
            heard = _masked(classifier.spectrograms(_disturbed(sounds[index], generator)), generator)
            loss = F.cross_entropy(classifier(heard), targets[index])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    classifier.eval()


def _disturbed(sounds: Tensor, generator: torch.Generator) -> Tensor:
    """Each shifted in time, silence coming in, with white noise of its own strength."""
    count, samples = sounds.shape
    reach = samples // 10
    shifts = torch.randint(-reach, reach + 1, (count, 1), generator=generator)
    places = torch.arange(samples) - shifts
    inside = (places >= 0) & (places < samples)
    moved = sounds.gather(1, places.clamp(0, samples - 1)) * inside
    below = 20 + 40 * torch.rand(count, 1, generator=generator)
    size = sounds.square().mean(1, keepdim=True).sqrt() * 10 ** (-below / 20)
    return moved + size * torch.randn(count, samples, generator=generator)


def _masked(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Each without up to an eighth of its bands and of its frames, each in one piece (Park et al. 2019)."""
    masked = spectrograms.clone()
    for axis in (2, 3):
        size = spectrograms.shape[axis]
        width = torch.randint(0, size // 8 + 1, (len(masked), 1), generator=generator)
        start = (torch.rand(len(masked), 1, generator=generator) * (size - width)).long()
        place = torch.arange(size)
        hidden = (place >= start) & (place < start + width)
        masked = masked.masked_fill(hidden[:, None, :, None] if axis == 2 else hidden[:, None, None, :], -1.0)
    return masked
