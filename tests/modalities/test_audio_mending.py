"""Sounds mended: what is given stays, what is asked for is drawn, and what cannot be done is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from modalities.audio.adapter import Audio
from modalities.audio.mending import Mending, Part, declip, fill, prolong, widen
from modalities.audio.objects import Clip
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError
from pfgm_science.model import Model, fit

RATE, STEP = 8000, 16
ONCE = {"repeats": 1}


def clip(seconds: float, seed: int = 0, rate: int = RATE) -> Clip:
    noise = 0.1 * torch.randn(1, round(seconds * rate), generator=torch.Generator().manual_seed(seed))
    return Clip(noise, rate)


@pytest.fixture(scope="module")
def model() -> Model:
    network = {"channels": 8, "multipliers": [1, 2], "embedding": 16}
    data = Dataset([clip(0.128, seed) for seed in range(8)])
    adapter = Audio(rate=RATE, seconds=0.128, bins=STEP, loudness=-20.0)
    return fit(adapter, data, steps=2, batch_size=4, network=network, validation=0.0)


def test_a_filled_clip_is_the_clip_outside_of_its_gap(model: Model) -> None:
    given = clip(0.1)
    made = fill(model, given, [(40, 60)], 3, ONCE, evaluations=9)
    away = torch.ones(800, dtype=torch.bool)
    away[320 - STEP : 480 + STEP] = False
    assert len(made) == 3 and len({float(one.waveform.sum()) for one in made}) == 3
    for one in made:
        assert one.rate == RATE and one.samples == 800
        torch.testing.assert_close(one.waveform[:, away], given.waveform[:, away], atol=1e-6, rtol=0)
        assert not torch.allclose(one.waveform[:, 320:480], given.waveform[:, 320:480], atol=1e-2)


def test_gaps_of_a_long_clip_are_filled_each_in_its_window(model: Model) -> None:
    given = clip(1.0)
    (one,) = fill(model, given, [(10, 20), (700, 730), (990, 1000)], 1, ONCE, evaluations=9)
    changed = (one.waveform - given.waveform).abs()[0] > 1e-5
    spans = [(80, 160), (5600, 5840), (7920, 8000)]
    inside = torch.zeros(8000, dtype=torch.bool)
    for first, last in spans:
        assert float(changed[first:last].float().mean()) > 0.9
        inside[max(first - STEP, 0) : last + STEP] = True
    assert not changed[~inside].any()


def test_what_is_kept_in_the_representation_is_kept_bit_by_bit(model: Model) -> None:
    adapter: Any = model.adapter
    waves = clip(0.128).waveform[None]
    free = torch.zeros(1024, dtype=torch.bool)
    free[320:480] = True
    encoded = Part(waves, free).encoded(adapter, 2)
    known = encoded.known[0, 0].bool()
    frames = torch.arange(64)
    touched = ((frames + 1.5) * STEP > 320) & ((frames - 0.5) * STEP < 480)
    assert torch.equal(known, ~touched.expand(STEP, -1))
    for made in model.sample(2, keep=Part(waves, free, repeats=1), evaluations=9):
        again = adapter.standardised(made.waveform[None])[0, 0]
        torch.testing.assert_close(again[:, known[0]], encoded.batch.values[0, 0][:, known[0]], atol=1e-4, rtol=0)


def test_the_band_below_is_known_everywhere(model: Model) -> None:
    waves = clip(0.128).waveform[None]
    encoded = Part(waves, torch.ones(1024, dtype=torch.bool), band=2000.0).encoded(model.adapter, 1)
    known = encoded.known[0, 0]
    assert known[:8].all() and not known[8:].any()


def test_a_widened_clip_keeps_its_lower_band(model: Model) -> None:
    adapter: Any = model.adapter
    given = clip(0.128)
    (one,) = widen(model, given, 2000.0, 1, ONCE, evaluations=9)
    before, after = (adapter.view.forward(each.waveform[None])[0, 0] for each in (given, one))
    torch.testing.assert_close(after[:8], before[:8], atol=1e-3, rtol=0)
    assert not torch.allclose(after[8:], before[8:], atol=1e-2)


def test_restored_peaks_are_at_least_as_high_and_the_rest_is_as_it_was(model: Model) -> None:
    whole = clip(0.3)
    cut = Clip(whole.waveform.clamp(-0.12, 0.12), RATE)
    for one in declip(model, cut, 2, evaluations=9):
        at = cut.waveform.abs() >= 0.999 * 0.12
        assert one.samples == cut.samples
        torch.testing.assert_close(one.waveform[~at], cut.waveform[~at], atol=1e-4, rtol=0)
        assert bool((one.waveform[at] * cut.waveform[at].sign() >= 0.119).all())


def test_a_prolonged_clip_begins_as_it_did(model: Model) -> None:
    given = clip(0.2)
    first, second = prolong(model, 0.5, 2, given, ONCE, evaluations=9)
    assert first.samples == second.samples == 4000
    torch.testing.assert_close(first.waveform[:, : 1600 - STEP], given.waveform[:, : 1600 - STEP], atol=1e-6, rtol=0)
    assert not torch.allclose(first.waveform[:, 1600:], second.waveform[:, 1600:], rtol=0.1, atol=0)


def test_samples_longer_than_those_of_training(model: Model) -> None:
    made = prolong(model, 0.4, 2, None, ONCE, evaluations=9)
    assert [one.samples for one in made] == [3200, 3200]
    plain = model.sample(2, evaluations=9)
    half = 512 - STEP
    for one, start in zip(made, plain, strict=True):
        torch.testing.assert_close(one.waveform[:, :half], start.waveform[:, :half], atol=1e-6, rtol=0)


def test_a_clip_of_another_rate_comes_back_at_that_of_the_model(model: Model) -> None:
    (one,) = fill(model, clip(0.1, rate=16000), [(40, 60)], 1, ONCE, evaluations=9)
    assert one.rate == RATE and one.samples == 800


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "one thing at a time"),
        ({"gaps": [(0, 10)], "declip": True}, "one thing at a time"),
        ({"gaps": [(90, 110)]}, "the clip has 100 ms"),
        ({"gaps": [(-5, 10)]}, "the clip has 100 ms"),
        ({"band": 5000.0}, "between 0 and half"),
        ({"declip": True, "ceiling": 2.0}, "nothing of the clip is cut off"),
        ({"seconds": 0.05}, "that long already"),
    ],
)
def test_what_cannot_be_done_is_refused(model: Model, words: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Mending(clip(0.1), **words).draw(model, 1)


def test_a_gap_as_long_as_the_model_is_refused(model: Model) -> None:
    with pytest.raises(ConfigError, match="nothing to go by"):
        fill(model, clip(1.0), [(100, 230)], 1)


def test_a_job_without_a_clip_only_makes_longer_ones(model: Model) -> None:
    with pytest.raises(ConfigError, match="a clip is needed"):
        Mending(gaps=[(0, 10)])
    with pytest.raises(ConfigError, match="ask for more"):
        Mending(seconds=0.1).draw(model, 1)
    assert math.isclose(Mending(seconds=0.2, repeats=1).draw(model, 1, evaluations=9)[0].seconds, 0.2)
