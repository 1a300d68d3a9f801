"""Given sounds, mended: gaps filled in, a missing upper band added, clipped peaks restored, the end continued.

What is given is kept: value by value in the representation, by samples that are drawn around it (constraints.Kept), or
for clipped peaks by holding each estimate of the network to what is known of the waveform. Clips longer than those that
the model makes are worked on in windows that overlap by a half, each of which keeps what the one before made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from modalities.audio.levels import gain
from modalities.audio.objects import Clip, checked
from modalities.audio.preparation import mixed
from modalities.audio.resampling import resampled
from pfgm_science.batch import Batch, Condition
from pfgm_science.constraints import EncodedKnown
from pfgm_science.denoiser import Denoiser, Wrapper
from pfgm_science.errors import ConfigError, DataError

if TYPE_CHECKING:
    from modalities.audio.adapter import Audio
    from pfgm_science.model import Model

REPEATS, LOW, HIGH = 4, 0.05, 5.0  # takes of each step, and the noise levels between which there are several
SEEDS = 1_000_003  # between the seeds of windows that follow each other
SAME = 1e-5  # by how much a value may move that does not depend on what is unknown
FULL = 0.999  # share of the loudest sample from which on samples count as clipped, where no level is given
ROUNDED = 1 - 1e-6  # share of a ceiling that a sample at it may come to lack in float32
HALF = 0.5  # share of what a sample of the model hears of a clip, from which on it counts as clipped
MOST_SECONDS = 3600.0  # of what is made


@dataclass(frozen=True)
class Part:
    """What samples keep of waveforms. A `Keeps`: model.sample(count, keep=Part(...)).

    waves: [1 or count, channels, samples] at the rate, length and loudness of the model; free: bool [samples], true
    where they are unknown; band: Hz below which they are known all the same. repeats, low, high: see Repeated.
    """

    waves: Tensor
    free: Tensor
    band: float = 0.0
    repeats: int = REPEATS
    low: float = LOW
    high: float = HIGH

    def encoded(self, adapter: Audio, count: int) -> EncodedKnown:
        """Values are known where they are the same whatever stands in the unknown samples, or below the band.

        ConfigError where waves are not as many, or of another shape, and where no value would be known.
        """
        if len(self.waves) not in (1, count):
            raise ConfigError(f"{len(self.waves)} waveforms to keep for {count} samples: one, or one a sample")
        if self.waves.shape[1:] != (adapter.channels, adapter.samples) or self.free.shape != (adapter.samples,):
            raise ConfigError(
                f"waveforms of shape {list(self.waves.shape[1:])}, free {list(self.free.shape)}: this model makes "
                f"{[adapter.channels, adapter.samples]}, with free [{adapter.samples}]"
            )
        noise = torch.randn(self.waves.shape, generator=torch.Generator().manual_seed(0))
        values, others = (
            adapter.standardised(waves) for waves in (self.waves, torch.where(self.free, noise, self.waves))
        )
        known = ((values - others).abs() < SAME).to(values)
        if self.band:
            below = adapter.view.hertz(adapter.rate) < self.band
            known = known.maximum(below[:, None].to(values))
        if not known.any():
            raise ConfigError(
                f"nothing would be kept: what is known is shorter than a step of {adapter.view.name}, which takes "
                f"{1000 * adapter.view.hop / adapter.rate:g} ms, or the band lies below all of its frequencies"
            )
        shape = (count, *values.shape[1:])
        return EncodedKnown(Batch(values.expand(shape)), known.expand(shape), self.repeats, self.low, self.high)


@dataclass(frozen=True)
class Mending:
    """A job: what is to be done with one clip, or from none (clip None, with `seconds`).

    gaps: (from, to) in milliseconds, each filled in. band: Hz above which the clip holds nothing, and gets what could
    be there. declip: peaks at the loudest sample, or at `ceiling`, are restored. seconds: how long the result is to
    be, continued from the end. One of them at a time, ConfigError otherwise. repeats, low, high: see Part, whose own
    are taken where they are None; ConfigError for any of them with declip, which repeats no steps.
    """

    clip: Clip | None = None
    gaps: Sequence[tuple[float, float]] = ()
    band: float = 0.0
    declip: bool = False
    ceiling: float | None = None
    seconds: float = 0.0
    repeats: int | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        asked = [bool(self.gaps), bool(self.band), self.declip, bool(self.seconds)]
        if sum(asked) != 1:
            raise ConfigError("one thing at a time: gaps to fill, a band to add, peaks to restore, or a longer clip")
        if self.clip is None and not self.seconds:
            raise ConfigError("a clip is needed, of which gaps, band or peaks are to be mended")
        if self.declip and self._repeated:
            raise ConfigError(
                "restoring peaks holds each estimate to what is known, and repeats no steps: leave --repeats and "
                "--repeats-interval out"
            )
        if self.clip is not None:
            checked([self.clip])

    def draw(self, model: Model, count: int, **how: Any) -> list[Clip]:
        """So many versions of the mended clip, at the rate and with the channels of the model."""
        if self.gaps:
            return fill(model, _given(self.clip), self.gaps, count, self._repeated, **how)
        if self.band:
            return widen(model, _given(self.clip), self.band, count, self._repeated, **how)
        if self.declip:
            return declip(model, _given(self.clip), count, self.ceiling, **how)
        return prolong(model, self.seconds, count, self.clip, self._repeated, **how)

    @property
    def _repeated(self) -> dict[str, Any]:
        given = {"repeats": self.repeats, "low": self.low, "high": self.high}
        return {name: value for name, value in given.items() if value is not None}


def fill(
    model: Model,
    clip: Clip,
    gaps: Sequence[tuple[float, float]],
    count: int,
    repeated: dict[str, Any] | None = None,
    **how: Any,
) -> list[Clip]:
    """Gaps, (from, to) in milliseconds, filled in: so many versions. What lies outside is the clip, sample by sample.

    Samples within a step of the representation beside a gap are drawn too, and blend into those of the clip. Gaps that
    overlap are one; those that the model hears at once are filled together. repeated: fields of Part; how: as in
    Model.sample. ConfigError for a gap that is not inside of the clip, or that leaves nothing to go by.
    """
    adapter: Any = model.adapter
    hop, size = adapter.view.hop, adapter.samples
    scene = _Scene.of(adapter, clip, [(start / 1000, stop / 1000) for start, stop in gaps])
    waves = scene.wave.expand(count, -1, -1).clone()
    length, left, turn = waves.shape[2], list(scene.free), 0
    while left:
        window = _window(*left[0], length, size)
        free = torch.zeros(size, dtype=torch.bool)
        for first, last in left:  # the others are silence so far, which must not be taken for what is known
            free[max(first - window.start, 0) : max(last - window.start, 0)] = True
        if int((~free[: window.stop - window.start]).sum()) < 2 * hop:
            raise _nothing_to_go_by(adapter, "the gaps leave too little of the clip between them")
        free[length - window.start :] = True  # behind the end of a short clip
        made = _drawn(model, Part(_cut(waves, window, size), free, **(repeated or {})), count, _at(how, turn))
        within = [gap for gap in left if gap[1] + hop <= window.stop or window.stop == length]
        spans = torch.zeros(size, dtype=torch.bool)
        for first, last in within:
            spans[first - window.start : last - window.start] = True
        waves[:, :, window] = blended(waves[:, :, window], made, spans, hop)
        left, turn = [gap for gap in left if gap not in within], turn + 1
    return scene.clips(waves)


def widen(
    model: Model, clip: Clip, band: float, count: int, repeated: dict[str, Any] | None = None, **how: Any
) -> list[Clip]:
    """What lies above `band` Hz, drawn anew and added to what the clip holds below: bandwidth extension.

    ConfigError for a band that the model does not have, and for a model without phases, whose lower band would be
    another one.
    """
    adapter: Any = model.adapter
    _check_exact(adapter)
    if not 0 < band < adapter.rate / 2:
        raise ConfigError(
            f"the band is {band:g} Hz: it must lie between 0 and half of the model's rate, {adapter.rate}"
        )
    scene = _Scene.of(adapter, clip)

    def part(given: Tensor, free: Tensor, window: slice) -> Part:
        return Part(given, free, band, **(repeated or {}))

    return scene.clips(_through(model, scene.wave, count, part, how))


def declip(model: Model, clip: Clip, count: int, ceiling: float | None = None, **how: Any) -> list[Clip]:
    """Peaks that were cut off, drawn anew: samples at or above the ceiling become at least as large, all others stay.

    ceiling: of the clip's own full scale; None takes its loudest sample. What reaches it is sought at the clip's own
    rate, in each of its channels: at another rate flat tops ring, and few of their samples are the loudest. A version
    whose peaks pass full scale is made quieter as a whole, so that a file can hold it. All versions are drawn in one
    batch. ConfigError for a clip without peaks at the ceiling that the model can hear, and for a model without phases.
    """
    adapter: Any = model.adapter
    _check_exact(adapter)
    if how.get("steer") is not None:
        raise ConfigError("restoring peaks steers samples already: leave steer out")
    scene, wave = _Scene.of(adapter, clip), clip.plain
    highest = float(wave.abs().max())
    level = FULL * highest if ceiling is None else ceiling
    if not 0 < level:
        raise ConfigError(f"the ceiling is {level:g}: it must be above 0, and the clip no silence")
    limit = level * ROUNDED
    above, below = (_cut_off(adapter, at, clip.rate) for at in (wave >= limit, wave <= -limit))
    if not (above | below).any():
        raise ConfigError(
            f"the ceiling is {level:g}, and the loudest sample {highest:g}: nothing of the clip is cut off, or nothing "
            f"for long enough to be heard at the model's {adapter.rate} Hz"
        )
    low, high = scene.wave.masked_fill(below, -math.inf), scene.wave.masked_fill(above, math.inf)

    def part(given: Tensor, free: Tensor, window: slice) -> Any:
        least, most = (torch.where(free, _cut(bound, window, len(free)), given) for bound in (low, high))
        return partial(Unclipped, adapter=adapter, low=least, high=most)

    made = _through(model, scene.wave, count, part, how | {"batch_size": count})
    waves = made.clamp(low, high) / scene.gain
    return [Clip(wave / max(1.0, float(wave.abs().max())), adapter.rate) for wave in waves]


def _cut_off(adapter: Audio, at: Tensor, rate: int) -> Tensor:
    """Which samples of the model are cut off, bool [its channels, samples]; at: those of the clip, bool, at its rate.

    They are where at least half of what they hear is, in any channel that is mixed into theirs. Were less enough,
    samples beside peaks would be drawn too, and made larger, that were hardly changed.
    """
    heard = mixed(at.float(), adapter.channels) > 0
    return resampled(heard.float(), rate, adapter.rate) >= HALF


def prolong(
    model: Model,
    seconds: float,
    count: int,
    clip: Clip | None = None,
    repeated: dict[str, Any] | None = None,
    **how: Any,
) -> list[Clip]:
    """Clips of so many seconds: the given one, or samples, continued by windows that keep the half before.

    What is drawn from nothing has the loudness of training in the end, as samples have. ConfigError for seconds that
    are there already, more than an hour, or not finite.
    """
    if not 0 < seconds <= MOST_SECONDS:
        raise ConfigError(
            f"a length of {seconds:g} s: it must be a number above 0 and at most {MOST_SECONDS:g}, an hour; for more, "
            "make several and put them one after the other"
        )
    adapter: Any = model.adapter
    samples = math.ceil(round(seconds * adapter.rate, 3))
    if clip is None:
        if samples <= adapter.samples:
            raise ConfigError(
                f"{seconds:g} s: the model makes {adapter.samples / adapter.rate:g} s at once, ask for more"
            )
        scene = _Scene(adapter, torch.zeros(1, adapter.channels, 0))
    else:
        scene = _Scene.of(adapter, clip)
        if samples <= scene.wave.shape[2]:
            raise ConfigError(f"{seconds:g} s: the clip is that long already, ask for more")
    size, there, turn = adapter.samples, scene.wave.shape[2], 0
    waves = torch.zeros(count, adapter.channels, samples + size)
    waves[:, :, :there] = scene.wave
    while there < samples:
        kept = min(there, size // 2)
        window = slice(there - kept, there - kept + size)
        free = torch.arange(size) >= kept
        part = Part(waves[:, :, window].clone(), free, **(repeated or {})) if kept else None
        made = _drawn(model, part, count, _at(how, turn))
        waves[:, :, window] = blended(waves[:, :, window], made, free, adapter.view.hop)
        there, turn = window.stop, turn + 1
    clips = scene.clips(waves[:, :, :samples])
    return clips if clip is not None else adapter.finished(clips)


@dataclass(frozen=True)
class _Scene:
    """A clip as the model hears it: its wave [1, channels, samples] after a gain, and the unknown spans in samples,
    in order and apart."""

    adapter: Audio
    wave: Tensor
    gain: float = 1.0
    free: Sequence[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, adapter: Audio, clip: Clip, gaps: Sequence[tuple[float, float]] = ()) -> _Scene:
        """gaps: in seconds. The gain is that of the adapter's loudness, measured outside of them; 1 for silence."""
        (clip,) = checked([clip])
        wave = resampled(mixed(clip.plain, adapter.channels), clip.rate, adapter.rate).clone()
        free: list[tuple[int, int]] = []
        for start, stop in sorted(gaps):
            if not 0 <= start < stop < math.inf or round(stop * adapter.rate) > wave.shape[1]:
                raise ConfigError(
                    f"a gap from {1000 * start:g} to {1000 * stop:g} ms: the clip has {1000 * clip.seconds:g} ms, and "
                    "a gap begins before it ends"
                )
            first, last = round(start * adapter.rate), round(stop * adapter.rate)
            if first == last:
                raise ConfigError(
                    f"a gap from {1000 * start:g} to {1000 * stop:g} ms has no sample at the model's {adapter.rate} Hz"
                )
            if free and first <= free[-1][1]:
                first, last = free[-1][0], max(last, free.pop()[1])
            free.append((first, last))
        for first, last in free:
            if last - first + 2 * adapter.view.hop > adapter.samples:
                raise _nothing_to_go_by(adapter, f"a gap of {1000 * (last - first) / adapter.rate:g} ms")
            wave[:, first:last] = 0
        factor = 1.0 if adapter.loudness is None else gain(wave, adapter.rate, adapter.loudness)
        return cls(adapter, factor * wave[None], factor, free)

    def clips(self, waves: Tensor) -> list[Clip]:
        """At the loudness of the clip that was given."""
        return [Clip((wave / self.gain).clamp(-1, 1), self.adapter.rate) for wave in waves]


class Unclipped(Wrapper):
    """A denoiser whose answers agree with what is known of a clipped wave: nowhere below `low` nor above `high`.

    The nearest such waveform takes the place of the estimate (as data consistency in A. Moliner et al., arXiv
    2210.15228, with a set in place of a plane). low, high: [1 or n, channels, samples], the same where the wave is
    known, and infinite on the side on which it was cut off.
    """

    def __init__(self, denoiser: Denoiser, adapter: Audio, low: Tensor, high: Tensor) -> None:
        self.denoiser, self.adapter, self.low, self.high = denoiser, adapter, low, high

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        answer = self.denoiser(x, sigma, condition, mask)
        agreed = self.adapter.wave(answer.float().cpu()).clamp(self.low, self.high)
        return self.adapter.standardised(agreed).to(answer)


def _given(clip: Clip | None) -> Clip:
    if clip is None:
        raise DataError("there is no clip to mend")
    return clip


def _nothing_to_go_by(adapter: Audio, what: str) -> ConfigError:
    heard = 1000 * adapter.samples / adapter.rate
    return ConfigError(f"{what}: there is nothing to go by, as the model hears {heard:g} ms at once")


def _check_exact(adapter: Audio) -> None:
    if not adapter.view.exact:
        raise ConfigError(
            f"a model of {adapter.view.name} guesses the phases of all that it gives back: take one of mdct or stft"
        )


def _at(how: dict[str, Any], turn: int) -> dict[str, Any]:
    """How the window of a turn is drawn: with noise of its own."""
    return how | {"seed": (how.get("seed", 0) + turn * SEEDS) % 2**32}


def _drawn(model: Model, part: Any, count: int, how: dict[str, Any]) -> Tensor:
    """Waves of the model's length [count, channels, samples] that keep the part, or are steered by it.

    They may pass the model's full scale: that is not the clip's, which is louder or quieter by the gain.
    """
    told = {"steer": part} if callable(part) else {"keep": part}
    adapter: Any = model.adapter
    waves: Tensor = adapter.wave(model.draw(count, **(how | told)).values.detach().cpu().float())
    return waves


def _through(
    model: Model, wave: Tensor, count: int, part: Callable[[Tensor, Tensor, slice], Any], how: dict[str, Any]
) -> Tensor:
    """A wave [1, channels, n] of any length, by windows of what part(given, free, window) leaves to be drawn.

    given: the wave there, [count, channels, samples of the model]. Each window after the first keeps what the one
    before made of its first half, where it can.
    """
    adapter: Any = model.adapter
    size, length = adapter.samples, wave.shape[2]
    half = size // 2
    starts = [0, *range(half, max(length - half, 1), half)] if length > size else [0]
    done = torch.zeros(count, adapter.channels, length)
    for turn, start in enumerate(starts):
        window = slice(start, min(start + size, length))
        given = _cut(wave, window, size).expand(count, -1, -1).clone()
        free = torch.ones(size, dtype=torch.bool)
        if start:
            given[:, :, :half] = done[:, :, start : start + half]
            free[:half] = False
        made = _drawn(model, part(given, free, window), count, _at(how, turn))
        kept = blended(given, made, free, adapter.view.hop)
        done[:, :, window] = kept[:, :, : window.stop - start]
    return done


def _window(first: int, last: int, length: int, size: int) -> slice:
    """Where a window of that size lies, with the span in its middle as far as the clip allows."""
    start = min(max((first + last - size) // 2, 0), max(length - size, 0))
    return slice(start, min(start + size, length))


def _cut(waves: Tensor, window: slice, size: int) -> Tensor:
    """The window, followed by silence where the clip is shorter."""
    part = waves[:, :, window]
    return torch.nn.functional.pad(part, (0, size - part.shape[2]))


def blended(given: Tensor, made: Tensor, free: Tensor, hop: int) -> Tensor:
    """made where it is free, given elsewhere, with a crossfade over `hop` samples, a step, beside what is free.

    given, made: [clips, channels, samples], of which made may be longer; free: bool [at least as many samples].
    """
    length = given.shape[2]
    there = np.flatnonzero(free[:length].numpy())
    if not len(there):
        return given
    behind = np.searchsorted(there, np.arange(length)).clip(max=len(there) - 1)
    places = np.stack([there[behind], there[np.maximum(behind - 1, 0)]])
    away = np.abs(places - np.arange(length)).min(0)  # samples to the nearest that is free
    weight = torch.from_numpy(np.clip(1 - away / (hop + 1), 0, 1)).to(made)
    return given + weight * (made[:, :, :length] - given)
