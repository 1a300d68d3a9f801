"""Sounds mended: what is given stays, what is asked for is drawn, and what cannot be done is refused."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from modalities.audio import mending
from modalities.audio.adapter import Audio
from modalities.audio.levels import sounding_db
from modalities.audio.mending import Mending, Part, blended, declip, fill, prolong, widen
from modalities.audio.objects import Clip
from modalities.audio.resampling import resampled
from pfgm_science import cli
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.model import Model, fit

RATE, STEP = 8000, 16
ONCE = {"repeats": 1}


def clip(seconds: float, seed: int = 0, rate: int = RATE) -> Clip:
    noise = 0.1 * torch.randn(1, round(seconds * rate), generator=torch.Generator().manual_seed(seed))
    return Clip(noise, rate)


def trained(channels: int) -> Model:
    network = {"channels": 8, "multipliers": [1, 2], "embedding": 16}
    data = Dataset([clip(0.128, seed) for seed in range(8)])
    adapter = Audio(rate=RATE, seconds=0.128, bins=STEP, loudness=-20.0, channels=channels)
    return fit(adapter, data, steps=2, batch_size=4, network=network, validation=0.0)


@pytest.fixture(scope="module")
def model() -> Model:
    return trained(1)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Part, dict[str, Any]]]:
    """What would be drawn, and how: the waves that are kept are given back, with 0.5 where they are free."""
    found: list[tuple[Part, dict[str, Any]]] = []

    def draw(model: Model, part: Part, count: int, how: dict[str, Any]) -> Tensor:
        found.append((part, how))
        return torch.where(part.free, 0.5, part.waves).expand(count, -1, -1)

    monkeypatch.setattr(mending, "_drawn", draw)
    return found


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


def hum(rate: int, channels: int = 1) -> Clip:
    """A tone of 300 Hz and 0.1 s."""
    wave = 0.2 * torch.sin(2 * math.pi * 300 * torch.arange(rate // 10) / rate)
    return Clip(wave.expand(channels, -1).clone(), rate)


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 44100])
def test_what_is_cut_off_is_found_at_the_rate_of_the_clip(
    model: Model, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    whole = hum(rate)
    cut = Clip(whole.waveform.clamp(-0.1, 0.1), rate)
    truth, given = (resampled(each.waveform, rate, RATE) for each in (whole, cut))
    gain = mending._Scene.of(model.adapter, cut).gain  # type: ignore[arg-type]

    def draw(model: Model, part: Any, count: int, how: dict[str, Any]) -> Tensor:
        return gain * torch.nn.functional.pad(truth, (0, 1024 - truth.shape[1])).expand(count, -1, -1)

    monkeypatch.setattr(mending, "_drawn", draw)
    (one,) = declip(model, cut, 1)
    assert float((one.waveform - truth).norm()) < 0.2 * float((given - truth).norm())
    away = truth.abs() < 0.05
    torch.testing.assert_close(one.waveform[away], given[away], atol=1e-6, rtol=0)


def test_peaks_of_either_channel_are_free_on_their_side_in_a_mixture(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = hum(RATE, 2).waveform
    cut[1] *= -0.6  # left stands at its ceiling on both sides, right upside down and on one
    cut = torch.stack([cut[0].clamp(-0.1, 0.1), cut[1].clamp(max=0.1)])
    found: list[Any] = []

    def draw(model: Model, part: Any, count: int, how: dict[str, Any]) -> Tensor:
        found.append(part.keywords)
        return torch.zeros(count, 1, 1024)

    monkeypatch.setattr(mending, "_drawn", draw)
    declip(model, Clip(cut, RATE), 1, ceiling=0.1)
    low, high = (found[0][name][0, 0, :800] for name in ("low", "high"))
    left, right = cut
    above, below = (left >= 0.0999) | (right >= 0.0999), (left <= -0.0999) | (right <= -0.0999)
    assert (above & below).any() and (above & ~below).any() and not (above | below).all()
    assert torch.equal(high == math.inf, above) and torch.equal(low == -math.inf, below)
    assert torch.equal(low[~above & ~below], high[~above & ~below])


def test_peaks_too_short_for_the_model_to_hear_are_none(model: Model) -> None:
    click = torch.zeros(1, 4410)
    click[0, 2000] = 0.5
    with pytest.raises(ConfigError, match="long enough to be heard at the model's 8000 Hz"):
        declip(model, Clip(click, 44100), 1)


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
        begun, alone = (each.waveform[:, :half] / each.waveform[:, :half].norm() for each in (one, start))
        torch.testing.assert_close(begun, alone, atol=1e-5, rtol=0)  # but for the loudness of the whole
        assert sounding_db(one.waveform, one.rate) == pytest.approx(-20, abs=0.1)


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
        ({"gaps": [(20, 10)]}, "begins before it ends"),
        ({"gaps": [(math.nan, 10)]}, "begins before it ends"),
        ({"gaps": [(10, math.inf)]}, "the clip has 100 ms"),
        ({"gaps": [(10, 10.01)]}, "has no sample at the model's 8000 Hz"),
        ({"gaps": [(0, 100)]}, "nothing to go by"),
        ({"gaps": [(0, 49), (51, 100)]}, "nothing to go by"),
        ({"band": 5000.0}, "between 0 and half"),
        ({"band": 10.0}, "nothing would be kept"),
        ({"declip": True, "ceiling": 2.0}, "nothing of the clip is cut off"),
        ({"declip": True, "ceiling": -0.1}, "above 0"),
        ({"seconds": 0.05}, "that long already"),
        ({"seconds": -1.0}, "above 0"),
        ({"seconds": math.nan}, "a length of nan s: it must be a number"),
        ({"seconds": math.inf}, "a length of inf s: .* at most 3600"),
        ({"seconds": 1e9}, "a length of 1e.09 s: .* at most 3600"),
        ({"declip": True, "repeats": 8}, "repeats no steps: leave --repeats"),
        ({"declip": True, "low": 0.1, "high": 3.0}, "repeats no steps: leave --repeats"),
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


def test_gaps_that_overlap_or_touch_are_one(model: Model) -> None:
    given = clip(0.1)
    one, same = (
        fill(model, given, gaps, 1, ONCE, evaluations=9) for gaps in ([(40, 70)], [(50, 60), (40, 55), (60, 70)])
    )
    assert torch.equal(one[0].waveform, same[0].waveform)


def test_gaps_that_are_heard_at_once_are_filled_together(
    model: Model, asked: list[tuple[Part, dict[str, Any]]]
) -> None:
    given = clip(0.1)
    (one,) = fill(model, given, [(30, 40), (60, 70)], 1)
    ((part, _),) = asked
    free = torch.zeros(1024, dtype=torch.bool)
    free[240:320] = free[480:560] = free[800:] = True
    assert torch.equal(part.free, free)
    assert not torch.equal(one.waveform[:, 480:560], given.waveform[:, 480:560])


def test_a_gap_that_is_heard_in_part_is_no_silence_and_is_filled_in_its_turn(
    model: Model, asked: list[tuple[Part, dict[str, Any]]]
) -> None:
    fill(model, clip(1.0), [(100, 110), (160, 180)], 1)
    (first, how), (second, other) = asked
    assert first.free.nonzero().flatten().tolist() == [*range(472, 552), *range(952, 1024)]
    assert second.free.nonzero().flatten().tolist() == list(range(432, 592))
    assert how["seed"] != other["seed"]
    start = 1280 - 432
    kept = second.waves[0, 0, : 880 - start]
    assert torch.equal(kept, torch.full_like(kept, 0.5)), "what the first turn made"


@pytest.mark.parametrize("seconds", [0.1, 0.128, 0.129, 1.0])
@pytest.mark.parametrize(("first", "last"), [(0, 20), (0.2, 20), (-20, 0), (-20, -0.2)])
def test_gaps_at_the_ends_are_filled(
    model: Model, asked: list[tuple[Part, dict[str, Any]]], seconds: float, first: float, last: float
) -> None:
    given = clip(seconds)
    if first < 0:
        first, last = 1000 * seconds + first, 1000 * seconds + last
    (one,) = fill(model, given, [(first, last)], 1)
    inside = torch.zeros(given.samples, dtype=torch.bool)
    inside[round(8 * first) : round(8 * last)] = True
    assert len(asked) == 1 and one.samples == given.samples
    assert float(one.waveform[:, inside].std()) < 1e-6
    beside = inside.clone()
    beside[max(round(8 * first) - STEP, 0) : round(8 * last) + STEP] = True
    torch.testing.assert_close(one.waveform[:, ~beside], given.waveform[:, ~beside])


@pytest.mark.parametrize("length", [1, 16, 511, 1023, 1024, 1025, 1536, 1537, 5000])
def test_windows_cover_clips_of_any_length(model: Model, asked: list[tuple[Part, dict[str, Any]]], length: int) -> None:
    wave = torch.full((1, 1, length), 0.5)
    made = mending._through(model, wave, 2, lambda given, free, window: Part(given, free), {})
    assert torch.equal(made, wave.expand(2, -1, -1))
    assert len(asked) == max(1, math.ceil(length / 512) - 1)
    assert all(part.free.all() == (turn == 0) for turn, (part, _) in enumerate(asked))


@drawn(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_a_crossfade_falls_with_the_distance_from_what_is_free(free: list[bool], hop: int) -> None:
    there = torch.tensor(free)
    found = blended(torch.zeros(1, 1, len(free)), torch.ones(1, 1, len(free) + 3), there, hop)[0, 0]
    for place, weight in enumerate(found.tolist()):
        away = min((abs(place - other) for other in there.nonzero().flatten().tolist()), default=math.inf)
        assert weight == pytest.approx(max(0.0, 1 - away / (hop + 1)), abs=1e-6)


def test_long_clips_are_blended_in_no_more_memory_than_they_have() -> None:
    wave = torch.zeros(1, 1, 200_000)
    free = torch.arange(200_000) % 2 == 0
    assert float(blended(wave, wave + 1, free, 1).mean()) == pytest.approx(0.75, abs=1e-3)


def test_a_silent_clip_is_mended_without_a_gain(model: Model) -> None:
    silent = Clip(torch.zeros(1, 800), RATE)
    assert mending._Scene.of(model.adapter, silent).gain == 1  # type: ignore[arg-type]
    (one,) = fill(model, silent, [(40, 60)], 1, ONCE, evaluations=9)
    assert float(one.waveform[:, 320:480].abs().max()) > 1e-3 and not one.waveform[:, :300].any()
    with pytest.raises(ConfigError, match="no silence"):
        declip(model, silent, 1)


def test_the_gain_leaves_peaks_within_full_scale(model: Model) -> None:
    click = clip(0.1).waveform * 0.05
    click[0, 400] = 0.9
    scene = mending._Scene.of(model.adapter, Clip(click, RATE))  # type: ignore[arg-type]
    assert float(scene.wave.abs().max()) == pytest.approx(1)


def test_a_clip_that_cannot_be_used_is_named(model: Model) -> None:
    with pytest.raises(DataError, match="not finite"):
        widen(model, Clip(torch.full((1, 5), math.nan), RATE), 2000.0, 1)


def test_a_ceiling_of_exactly_the_peak_counts_whatever_the_rounding(model: Model) -> None:
    cut = Clip(clip(0.1).waveform.clamp(-0.12, 0.12), RATE)  # 0.12 is less in float32
    (one,) = declip(model, cut, 1, 0.12, evaluations=9)
    at = cut.waveform.abs() >= 0.1199
    assert not torch.equal(one.waveform[at], cut.waveform[at])
    assert torch.equal(one.waveform[~at], cut.waveform[~at]) or torch.allclose(
        one.waveform[~at], cut.waveform[~at], atol=1e-6
    )


def test_peaks_that_pass_full_scale_make_the_whole_quieter(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Clip((clip(0.1).waveform / 0.12).clamp(-1, 1), RATE)

    def draw(model: Model, part: Any, count: int, how: dict[str, Any]) -> Tensor:
        low, high = part.keywords["low"], part.keywords["high"]
        return 2 * torch.where(low.isfinite(), low, high).expand(count, -1, -1)

    monkeypatch.setattr(mending, "_drawn", draw)
    (one,) = declip(model, cut, 1)
    at = cut.waveform.abs() >= 0.999
    torch.testing.assert_close(one.waveform[at].abs(), torch.ones(int(at.sum())), atol=2e-3, rtol=0)
    torch.testing.assert_close(one.waveform[~at], cut.waveform[~at] / 2)


def test_versions_of_restored_peaks_do_not_depend_on_the_batch(model: Model) -> None:
    cut = Clip(clip(0.2).waveform.clamp(-0.12, 0.12), RATE)
    all_at_once, by_two = (declip(model, cut, 3, evaluations=5, **how) for how in ({}, {"batch_size": 2}))
    for one, other in zip(all_at_once, by_two, strict=True):
        torch.testing.assert_close(one.waveform, other.waveform, atol=1e-5, rtol=0)


def test_a_mono_clip_and_a_stereo_model_and_the_other_way_round(model: Model) -> None:
    mono, both = clip(0.1), Clip(torch.cat([clip(0.1).waveform, torch.zeros(1, 800)]), RATE)
    stereo = trained(2)
    for given, maker in ((mono, stereo), (both, stereo), (both, model)):
        channels = maker.adapter.channels  # type: ignore[attr-defined]
        (filled,) = fill(maker, given, [(40, 60)], 1, ONCE, evaluations=5)
        (restored,) = declip(maker, given, 1, evaluations=5)
        (longer,) = prolong(maker, 0.15, 1, given, ONCE, evaluations=5)
        assert [one.channels for one in (filled, restored, longer)] == [channels] * 3
        wanted = given.waveform.mean(0, keepdim=True) if channels < given.channels else given.waveform
        torch.testing.assert_close(filled.waveform[:, :300], wanted[:, :300].expand(channels, -1), atol=1e-6, rtol=0)


def test_models_without_phases_fill_gaps_and_refuse_what_they_cannot_keep() -> None:
    adapter = Audio(representation="log-mel", bins=STEP, seconds=0.128).fit(Dataset([clip(0.128)]))
    maker: Any = SimpleNamespace(adapter=adapter)
    for job in (lambda: widen(maker, clip(0.1), 2000.0, 1), lambda: declip(maker, clip(0.1), 1)):
        with pytest.raises(ConfigError, match="guesses the phases"):
            job()


def test_a_part_of_another_shape_is_refused(model: Model) -> None:
    free = torch.ones(1024, dtype=torch.bool)
    for part in (Part(torch.zeros(1, 2, 1024), free), Part(torch.zeros(1, 1, 1024), free[1:])):
        with pytest.raises(ConfigError, match=r"this model makes \[1, 1024\]"):
            part.encoded(model.adapter, 1)  # type: ignore[arg-type]


def test_lengths_are_not_rounded_up_by_a_float(model: Model) -> None:
    assert 0.1 + 0.2 > 0.3
    assert prolong(model, 0.1 + 0.2, 1, clip(0.03), ONCE, evaluations=5)[0].samples == 2400


def test_the_largest_seed_has_windows_after_the_first() -> None:
    assert 0 <= mending._at({"seed": 2**32 - 1}, 1)["seed"] < 2**32
    assert mending._at({}, 0)["seed"] == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose sounds were read at 8 kHz, and no more of them than a quarter of a second."""
    folder = tmp_path_factory.mktemp("sounds")
    Audio().write(str(folder / "data"), [clip(0.3, seed) for seed in range(4)])
    words = ["train", "audio", str(folder / "data"), "--out", str(folder / "run"), "--read", "seconds=0.25"]
    words += ["--read", f"rate={RATE}", "--steps", "1", "--batch-size", "4", "--set", "network.channels=8"]
    assert cli.main([*words, "--set", "network.multipliers=[1, 2]"]) == 0
    return folder / "run"


@pytest.mark.parametrize(
    ("words", "seconds"), [(["--gap", "1900-1950"], 2.0), (["--declip"], 2.0), (["--seconds", "2.1"], 2.1)]
)
def test_all_of_a_file_is_mended_whatever_was_read_of_those_of_training(
    run: Path, tmp_path: Path, words: list[str], seconds: float
) -> None:
    long = Clip(clip(2.0, rate=44100).waveform.clamp(-0.1, 0.1), 44100)
    Audio().write(str(tmp_path / "long.wav"), [long])
    where = ["--from", str(tmp_path / "long.wav"), "--out", str(tmp_path / "out.wav")]
    assert cli.main(["sample", str(run), *where, *words, "--count", "1", "--evaluations", "3"]) == 0
    (made,) = Audio().read(str(tmp_path / "out.wav")).objects
    assert made.seconds == seconds and made.rate == RATE
    assert float(made.waveform[:, 15700:15800].std()) > 0.01


@pytest.mark.parametrize(
    ("seconds", "words", "message"),
    [
        (61, ["--gap", "10-20"], "longer than 60 s"),
        (1, ["--seconds", "nan"], "a length of nan s"),
        (1, ["--declip", "--repeats", "8"], "leave --repeats"),
        (1, ["--declip", "--repeats-interval", "0.1,3"], "leave --repeats"),
    ],
)
def test_the_command_line_says_what_cannot_be_mended(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: int, words: list[str], message: str
) -> None:
    Audio().write(str(tmp_path / "given.wav"), [clip(seconds, rate=1000)])
    where = ["--from", str(tmp_path / "given.wav"), "--out", str(tmp_path / "out.wav")]
    assert cli.main(["sample", str(run), *where, *words]) == 2
    said = capsys.readouterr().err
    assert message in said and "fault of pfgm" not in said
