"""The adapter of sounds: what it takes from the data, and what it makes of clips that differ."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from modalities.audio.adapter import Audio
from modalities.audio.levels import sounding_db
from modalities.audio.objects import Clip, checked
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError


def clip(seconds: float = 0.25, rate: int = 8000, channels: int = 1, hertz: float = 440.0, level: float = 0.3) -> Clip:
    n = torch.arange(round(seconds * rate))
    wave = level * torch.sin(2 * math.pi * hertz * n / rate) * torch.exp(-3 * n / len(n))
    return Clip(wave.float().expand(channels, -1).clone(), rate)


def clips(count: int = 12) -> list[Clip]:
    return [clip(0.2 + 0.01 * i, hertz=200 + 90 * i) for i in range(count)]


def test_rate_length_and_channels_come_from_the_data() -> None:
    given = [*[clip(0.25, 16000)] * 30, *[clip(0.25, 44100, 2)] * 9, clip(3.0, 16000)]
    adapter = Audio().fit(Dataset(given))
    assert (adapter.rate, adapter.channels) == (16000, 1)
    assert adapter.samples == 16000 * 0.25 + (-4000 % 128)  # the long one is among the 5% that are cut


def test_what_the_data_set_says_goes_before_the_data_and_the_user_before_both() -> None:
    said = {"preparation": {"rate": 8000, "seconds": 0.1, "loudness": -20.0, "trim": -40.0, "representation": "stft"}}
    data = Dataset([clip(0.25, 16000)] * 3, details=said)
    adapter = Audio().fit(data)
    assert (adapter.rate, adapter.samples, adapter.loudness, adapter.trim) == (8000, 832, -20.0, -40.0)
    assert adapter.representation == "stft"
    mine = Audio(rate=4000, loudness=-10.0, representation="mdct").fit(data)
    assert (mine.rate, mine.loudness, mine.representation, mine.seconds) == (4000, -10.0, "mdct", 0.1)


@pytest.mark.parametrize("representation", ["mdct", "stft", "waveform"])
def test_clips_come_back_resampled_and_followed_by_silence(representation: str) -> None:
    given = [clip(0.2), clip(0.3)]
    adapter = Audio(representation=representation, seconds=0.3).fit(Dataset(given))
    for one, back in zip(given, adapter.decode(adapter.encode(given)), strict=True):
        assert back.rate == 8000 and back.samples == adapter.samples
        torch.testing.assert_close(back.waveform[:, : one.samples], one.waveform, atol=1e-5, rtol=0)
        assert not (back.waveform[:, one.samples :].abs() > 1e-5).any()


def test_every_frequency_is_of_unit_size() -> None:
    values = Audio().fit(Dataset(clips())).encode(clips()).values.double()
    spread = values.square().mean((0, 1, 3)).sqrt()
    assert float(spread.max()) == pytest.approx(1, abs=1e-3)
    assert float(spread.min()) >= 0


def test_log_mel_is_centred() -> None:
    values = Audio(representation="log-mel").fit(Dataset(clips())).encode(clips()).values.double()
    assert float(values.mean((0, 1, 3)).abs().max()) < 1e-3


def test_loudness_is_that_which_is_asked_for() -> None:
    given = [clip(level=level) for level in (0.01, 0.1, 0.4)]
    adapter = Audio(loudness=-25.0).fit(Dataset(given))
    for back in adapter.decode(adapter.encode(given)):
        assert sounding_db(back.waveform, back.rate) == pytest.approx(-25.0, abs=0.1)


def test_half_of_the_clips_are_turned_over_in_training() -> None:
    adapter = Audio().fit(Dataset(clips()))
    batch = adapter.encode(clips() * 20)
    turned = adapter.augment(batch, torch.Generator().manual_seed(0)).values
    signs = [float(new.flatten() @ old.flatten()) > 0 for new, old in zip(turned, batch.values, strict=True)]
    torch.testing.assert_close(turned.abs(), batch.values.abs())
    assert 80 < sum(signs) < 160  # of 240: less than one in 10^6 of fair coins is outside
    mel = Audio(representation="log-mel").fit(Dataset(clips()))
    assert mel.augment(mel.encode(clips()), torch.Generator()).values.equal(mel.encode(clips()).values)


def test_samples_stay_within_full_scale() -> None:
    adapter = Audio().fit(Dataset(clips()))
    loud = adapter.encode(clips())
    for back in adapter.decode(replace(loud, values=100 * loud.values)):
        assert float(back.waveform.abs().max()) == 1.0


def test_stereo_stays_stereo() -> None:
    left, right = clip(hertz=300), clip(hertz=700)
    pair = Clip(torch.cat([left.waveform, right.waveform]), 8000)
    adapter = Audio().fit(Dataset([pair, pair]))
    assert adapter.channels == 2 and adapter.shape[0] == 2
    (back,) = adapter.decode(adapter.encode([pair]))
    torch.testing.assert_close(back.waveform[:, : pair.samples], pair.waveform, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "no sounds"),
        ([Clip(torch.zeros(1, 100), 8000)] * 2, "silent"),
        ([Clip(torch.zeros(1, 0), 8000)], "sound 0: it has no samples"),
        ([clip(), Clip(torch.full((1, 5), math.nan), 8000)], "sound 1: it has samples that are not finite"),
        ([Clip(torch.zeros(20, 5), 8000)], "20 channels"),
        ([Clip(torch.zeros(5), 8000)], r"\[channels, samples\]"),
        ([Clip(torch.zeros(1, 5), 0)], "sample rate is 0"),
        ([Clip(torch.zeros(1, 5), np.int64(8000))], "int64.*must be an int"),  # type: ignore[arg-type]
        ([Clip(torch.zeros(1, 5, dtype=torch.int16), 8000)], "int16"),
        (["a.wav"], "sound 0: it is str"),
        (np.zeros((3, 4)), "list of clips"),
    ],
)
def test_bad_sounds_are_named(given: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Audio().fit(Dataset(given))


def test_settings_out_of_range_are_refused() -> None:
    for adapter, words in (
        (Audio(representation="mfcc"), "representation"),
        (Audio(loudness=20.0), "loudness"),
        (Audio(power=2.0), "power"),
        (Audio(bins=7), "bins"),
    ):
        with pytest.raises(ConfigError, match=words):
            adapter.fit(Dataset(clips()))


def test_one_clip_is_no_list() -> None:
    with pytest.raises(DataError, match="list of clips"):
        checked(clip())
