"""The adapter of sounds: clips of one rate and length to what a representation makes of them, and back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from modalities.audio.levels import levelled
from modalities.audio.objects import Clip, checked
from modalities.audio.preparation import Preparation
from modalities.audio.representations import Representation, representation_named
from pfgm_science.batch import Batch
from pfgm_science.condition import ConditionSpec
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from modalities.audio.mending import Mending
    from pfgm_science.report import Item, Section
    from pfgm_science.walk import Seen

HELD = 0.95  # share of the clips that is held whole where no length is asked for
LEAST_SPREAD = 0.01  # of a frequency, beside the largest: what is silent in all clips is not blown up
SECONDS = 16.0  # the longest clip that is trained on where no length is asked for
BLOCK = 256  # clips that are represented at a time


@dataclass(frozen=True)
class Audio:
    """Sounds of one rate, length and number of channels.

    rate: in Hz; seconds: of every clip, shorter ones are followed by silence and longer ones are cut; channels: 1 or 2;
    loudness, trim: see Preparation, None leaves clips as they are; representation, bins, power: see representations.
    What is not given (0, None or "") comes from the data: the `preparation` among the details of the data set, else the
    commonest rate, the length that holds 95% of the clips, mono where most are, and MDCT. center, spread: of the values
    at each frequency of each plane, learned by `fit`.
    """

    rate: int = 0
    seconds: float = 0.0
    channels: int = 0
    loudness: float | None = None
    trim: float | None = None
    representation: str = ""
    bins: int = 0
    power: float = 0.5
    center: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()

    name: ClassVar[str] = "audio"
    suffix: ClassVar[str] = ".wav"
    endings: ClassVar[tuple[str, ...]] = (".wav", ".flac", ".ogg", ".mp3")

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Audio:
        learned = {name: tuple(float(value) for value in settings[name]) for name in ("center", "spread")}
        return cls(**{**settings, **learned})

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def view(self) -> Representation:
        """How clips are seen."""
        return representation_named(self.representation or "mdct", self.rate, self.bins, self.power)

    @property
    def samples(self) -> int:
        """Of each channel of a clip: a whole number of the representation's steps."""
        return max(1, math.ceil(round(self.seconds * self.rate, 3) / self.view.hop)) * self.view.hop

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values of one clip."""
        return self.view.shape(self.channels, self.samples)

    @property
    def preparation(self) -> Preparation:
        return Preparation(self.rate, self.samples, self.channels, self.loudness, self.trim)

    def fit(self, data: Dataset) -> Audio:
        clips = checked(data.objects)
        if not clips:
            raise DataError("there are no sounds: at least one clip is needed")
        adapter = self._prepared_for(clips, data.details.get("preparation", {}))
        values = adapter._represented(clips)
        by_frequency = values.double() if values.ndim == 4 else values.double()[:, :, None]
        by_frequency = by_frequency.permute(1, 2, 0, 3).flatten(2)  # [planes, frequencies, all steps of all clips]
        center = torch.zeros(by_frequency.shape[:2]) if adapter.view.zero_mean else by_frequency.mean(-1)
        spread = (by_frequency - center[..., None]).square().mean(-1).sqrt()
        if not float(spread.max()) > 0:
            raise DataError("all clips are silent: there is nothing to learn")
        spread = spread.clamp(min=LEAST_SPREAD * float(spread.max()))
        return replace(adapter, center=_rounded(center), spread=_rounded(spread))

    def _prepared_for(self, clips: Sequence[Clip], given: Mapping[str, Any]) -> Audio:
        """With everything that was not given taken from what the data set says, or from the clips."""
        rate = self.rate or int(given.get("rate", 0)) or Counter(clip.rate for clip in clips).most_common(1)[0][0]
        seconds = self.seconds or float(given.get("seconds", 0.0))
        if not seconds:
            seconds = min(float(np.quantile([clip.seconds for clip in clips], HELD)), SECONDS)
        channels = self.channels or int(given.get("channels", 0))
        if not channels:
            channels = 2 if 2 * sum(clip.channels == 2 for clip in clips) > len(clips) else 1
        adapter = replace(
            self,
            rate=rate,
            seconds=seconds,
            channels=channels,
            loudness=given.get("loudness") if self.loudness is None else self.loudness,
            trim=given.get("trim") if self.trim is None else self.trim,
            representation=self.representation or given.get("representation", "mdct"),
        )
        adapter.view, adapter.preparation  # noqa: B018  what is out of range is refused here
        return adapter

    def _represented(self, clips: Sequence[Clip]) -> Tensor:
        """[n, *shape] float32, as the representation gives it."""
        if not clips:
            return torch.zeros(0, *self.shape)
        prepare, view = self.preparation, self.view
        blocks = [clips[start : start + BLOCK] for start in range(0, len(clips), BLOCK)]
        return torch.cat([view.forward(torch.stack([prepare(clip) for clip in block])) for block in blocks]).float()

    def encode(self, objects: Any) -> Batch:
        """Clips of any rate and length, prepared and represented: values [n, *shape], each frequency of unit size."""
        return Batch(self._even(self._represented(checked(objects))))

    def decode(self, batch: Batch) -> list[Clip]:
        """Clips of the model's rate and length, within full scale."""
        values = batch.values.detach().cpu().float()
        return [Clip(wave, self.rate) for wave in self.wave(values).clamp(-1, 1)] if len(values) else []

    def standardised(self, waves: Tensor) -> Tensor:
        """The values of waveforms [n, channels, samples] that are prepared already: [n, *shape]."""
        return self._even(self.view.forward(waves).float())

    def wave(self, values: Tensor) -> Tensor:
        """The waveforms [n, channels, samples] of values [n, *shape], which may pass full scale."""
        return self.view.inverse(values * self._along(self.spread) + self._along(self.center))

    def _even(self, values: Tensor) -> Tensor:
        return ((values - self._along(self.center)) / self._along(self.spread)).contiguous()

    def _along(self, values: tuple[float, ...]) -> Tensor:
        """One value for each frequency of each plane, in the shape of a batch."""
        planes, *rest = self.shape
        return torch.tensor(values).reshape(1, planes, *(rest[:-1] or ()), 1)

    def template(self, count: int, seed: int) -> Batch:
        return Batch(torch.zeros(count, *self.shape))

    def network(self, settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
        """settings: fields of a configuration in modalities.audio.network, with "kind" where there are several."""
        from modalities.audio.network import build

        return build(self.shape, settings, specs)

    def recipe(self, count: int) -> dict[str, Any]:
        """Less noise than for images, and down to less: what is quiet is heard as well (see docs/audio.md)."""
        return {
            "dimension": 512.0,
            "levels": {"mean": -1.6, "std": 1.4, "sigma_min": 0.001, "sigma_max": 30.0, "rho": 7.0},
            "training": {
                "steps": 6000,
                "batch_size": 32,
                "learning_rate": 2e-3,
                "ema_half_life": 15_000,
                "validate_every": 500,
            },
        }

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Half of the clips upside down, which nobody hears: where values are as often negative as positive."""
        if not self.view.zero_mean:
            return batch
        flipped = torch.rand(len(batch), generator=generator, device=generator.device).to(batch.values) < 0.5
        sign = torch.where(flipped, -1.0, 1.0).reshape(-1, *[1] * (batch.values.ndim - 1))
        return Batch(batch.values * sign, batch.mask, batch.condition)

    def mend(self, clip: Clip | None, **words: Any) -> Mending:
        """What the command line makes of --gap, --band, --declip and --seconds."""
        from modalities.audio.mending import Mending

        return Mending(clip, **words)

    def read(self, path: str, **options: Any) -> Dataset:
        from modalities.audio.formats import read

        return read(path, **options)

    def write(self, path: str, objects: Any, **options: Any) -> None:
        from modalities.audio.formats import write

        write(path, objects, **options)

    def datasets(self) -> list[DatasetInfo]:
        from modalities.audio.datasets import names

        return names()

    def dataset(self, name: str) -> Dataset:
        from modalities.audio.datasets import load

        return load(name)

    def inspect(self, data: Dataset) -> list[tuple[str, object]]:
        """What `pfgm data check` says of sounds before any training."""
        from modalities.audio.inspection import inspect

        return inspect(data, rate=self.rate or None, seconds=self.seconds or None, trim=self.trim)

    def prepared(self, objects: Any) -> list[Clip]:
        """Clips as a model of them hears them: at its rate and loudness, trimmed, and of its length."""
        prepare = self.preparation
        return [Clip(prepare(clip), self.rate) for clip in checked(objects)]

    def finished(self, objects: Any) -> list[Clip]:
        """New clips at the loudness that all clips of training were brought to; as they are where there was none."""
        if self.loudness is None:
            return list(objects)
        return [Clip(levelled(clip.plain, clip.rate, self.loudness), clip.rate) for clip in objects]

    def alarm(self, generated: Any, real: Any) -> str:
        """Whether samples are noise, where real clips are not: see noise.noise_alarm."""
        from modalities.audio.noise import noise_alarm

        return noise_alarm(checked(generated), checked(real))

    def features(self, objects: Any) -> np.ndarray:
        from modalities.audio.metrics import features

        return features(checked(objects))

    def picture(self, objects: Any, title: str = "") -> Figure:
        from modalities.audio.views import grid

        return grid(objects, title)

    def shown(self, objects: Any) -> list[Item]:
        """What a page shows of samples: players."""
        from modalities.audio.views import shown

        return shown(objects)

    def sections(self, real: Any, generated: Any, nearest: Any | None, distances: np.ndarray | None) -> list[Section]:
        """Parts of a report: players of real and generated clips, and the nearest training ones where known."""
        from modalities.audio.views import sections

        return sections(real, generated, nearest, distances)

    def emergence(self, seen: Sequence[Seen]) -> Section:
        """How one sound comes about, from noise to what is heard."""
        from modalities.audio.views import on_its_way

        return on_its_way([(at.sigma, self.decode(at.state)[0], self.decode(at.estimate)[0]) for at in seen])


def _rounded(values: Tensor) -> tuple[float, ...]:
    """Seven digits, flat: what a checkpoint keeps of them."""
    return tuple(float(f"{value:.7g}") for value in values.flatten().tolist())
