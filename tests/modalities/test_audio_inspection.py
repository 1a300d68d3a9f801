"""The report on sounds before training: every fault that it names, made on purpose."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from modalities.audio.formats import read, write
from modalities.audio.inspection import inspect, measured
from modalities.audio.objects import Clip
from pfgm_science.data import Dataset
from pfgm_science.errors import BadRecord, DataError


def tone(seconds=0.5, rate=8000, frequency=440.0, peak=0.5):
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return Clip((peak * torch.sin(2 * math.pi * frequency * time)).float()[None], rate)


def report(*clips, **options):
    files = [f"{chr(97 + i)}.wav" for i in range(len(clips))]
    details = {"files": files, **options.pop("details", {})}
    data = Dataset(list(clips), options.pop("condition", {}), rejected=options.pop("rejected", ()), details=details)
    return dict(inspect(data, **options))


def starting(rows, word):
    (found,) = [value for name, value in rows.items() if name.startswith(word)]
    return found


def test_sizes_are_counted():
    stereo = Clip(tone(1.5, 44100).waveform.repeat(2, 1), 44100)
    rows = report(tone(0.5), tone(1.0), stereo)
    assert rows["seconds"].startswith("0.5 to 1.5, median 1,")
    assert rows["seconds"].endswith("3 s in all")
    assert rows["sample rates"] == "44,100 Hz: 1, 8,000 Hz: 2"
    assert rows["channels"] == "mono: 2, stereo: 1"


def test_good_clips_have_no_faults():
    rows = report(tone(), tone(frequency=300))
    assert {starting(rows, word) for word in ("silent", "clipped", "duplicates")} == {"none"}
    assert starting(rows, "DC").startswith("none")
    assert starting(rows, "level").startswith("-9.0 to -9.0")


def test_clipping_needs_three_samples_in_a_row_on_one_side():
    loud = tone(peak=1.0)
    two, three, both = loud.waveform.clone() * 0.5, loud.waveform.clone() * 0.5, loud.waveform.clone() * 0.5
    two[0, 100:102], three[0, 100:103] = 1.0, -1.0
    both[0, 100:103] = torch.tensor([1.0, -1.0, 1.0])
    rows = report(Clip(two, 8000), Clip(three, 8000), Clip(both, 8000))
    assert starting(rows, "clipped") == "1 of 3: b.wav"
    right = torch.cat([two, three])
    assert measured(Clip(right, 8000)).clipped


def test_silence_is_found_in_clips_and_at_their_ends():
    hiss = Clip(tone(1.0, peak=1e-4).waveform, 8000)
    ends = Clip(torch.cat([torch.zeros(1, 800), tone(0.5).waveform, torch.zeros(1, 3200)], dim=1), 8000)
    rows = report(hiss, ends)
    assert starting(rows, "silent") == "1 of 2: a.wav"
    assert starting(rows, "silence") == "5.0% of the time before sounds, 20.0% after them"
    assert measured(ends).silence == pytest.approx((0.1, 0.4))


def test_an_offset_is_named_with_its_sign():
    off = Clip(tone().waveform - 0.2, 8000)
    assert starting(report(tone(), off), "DC") == "1 of 2: b.wav; the largest is -0.2"


def test_equal_clips_are_named_in_pairs_and_near_ones_are_not():
    near = tone().waveform.clone()
    near[0, 7] += 1e-6
    rows = report(tone(), Clip(near, 8000), tone(), Clip(tone().waveform, 16000), tone())
    assert rows["duplicates"] == "2: c.wav is a.wav, e.wav is a.wav"


def test_peaks_above_full_scale_are_counted():
    rows = report(tone(peak=2.5), tone(), tone(peak=1.0))
    assert starting(rows, "beyond") == "1 of 3: a.wav; the largest is 2.5"
    assert starting(report(tone()), "beyond") == "none; the largest is 0.5"


def test_of_sounds_that_were_only_begun_it_is_said_and_no_more_is_claimed(tmp_path):
    save = {"long.wav": tone(20.0), "longer.wav": tone(40.0), "short.wav": tone(1.5), "twin.wav": tone(1.5)}
    for name, clip in save.items():
        write(tmp_path / name, [clip])
    rows = dict(inspect(read(tmp_path, seconds=1)))
    assert rows["read no further than 2 s"] == (
        "2 of 4: long.wav, longer.wav; lengths and all else here are of what was read"
    )
    assert rows["duplicates"] == "2: longer.wav begins as long.wav, twin.wav is short.wav"
    assert starting(dict(inspect(read(tmp_path, seconds=1, rate=7001))), "duplicates") == rows["duplicates"]
    whole = dict(inspect(read(tmp_path)))
    assert whole["duplicates"] == "1: twin.wav is short.wav"
    assert not [name for name in whole if name.startswith("read")]
    assert starting(dict(inspect(read(tmp_path / "short.wav", seconds=1))), "read").startswith("none;")


def test_classes_and_numbers_are_told():
    clips = [tone(frequency=100 + i) for i in range(3)]
    condition = {"label": np.array(["kick", "snare", "kick"]), "pitch": np.array([1.0, 2.0, 3.0])}
    rows = report(*clips, condition=condition)
    assert rows["label"] == "kick: 2, snare: 1"
    assert rows["pitch"].startswith("numbers, 1 to 3")
    many = report(*[tone(0.02)] * 100, condition={"label": np.arange(100) // 2})
    assert many["label"] == "50 classes, of 2 to 2 clips"


def test_what_is_cut_and_what_is_filled_up_is_said():
    rows = report(tone(0.2), tone(0.4), tone(0.6), tone(0.8), seconds=0.5)
    # 0.3 + 0.1 of 4 * 0.5 s
    assert rows["at 0.5 s"] == "50.0% are longer and cut, 20.0% of the time is silence after shorter ones"
    assert rows == report(tone(0.2), tone(0.4), tone(0.6), tone(0.8), details={"preparation": {"seconds": 0.5}})
    silence = Clip(torch.cat([torch.zeros(1, 4000), tone(0.5).waveform], dim=1), 8000)
    assert report(silence, seconds=0.5)["at 0.5 s"].startswith("100.0% are longer")
    assert report(silence, seconds=0.5, trim=-50.0)["at 0.5 s"].startswith("0.0% are longer")


def test_a_length_is_proposed_where_none_is_known():
    assert report(*[tone(0.3)] * 99, tone(2.0))["a length that holds 95%"] == "seconds=0.3"


def test_what_a_lower_rate_takes_away_is_measured():
    low, high = tone(0.5, 44100, 1000.0, 0.3), tone(0.5, 44100, 9000.0, 0.3)
    both = Clip(low.waveform + high.waveform, 44100)
    assert report(both, rate=8000)["at 8,000 Hz"].startswith("50.0% of the power is lost")
    assert report(low, rate=8000)["at 8,000 Hz"].startswith("0.")
    assert report(tone(), both, rate=16000)["below 16,000 Hz"].startswith("1 of 2 clips")


def test_reasons_are_counted():
    bad = [BadRecord(f"{n}.wav", "", f"it lasts {n} s, too long") for n in (70, 80)] + [BadRecord("x", "", "empty")]
    rows = report(tone(), rejected=bad)
    assert rows["left out, 2 times"] == "it lasts N s, too long"
    assert rows["left out, once"] == "empty"


def test_clips_without_files_are_called_by_number():
    rows = dict(inspect(Dataset([tone(), tone()])))
    assert rows["duplicates"] == "1: clip 1 is clip 0"


def test_of_no_clips_nothing_is_reported():
    with pytest.raises(DataError, match="no sounds"):
        inspect(Dataset([]))


def test_clips_of_other_floats_and_with_gradients_are_measured():
    odd = Clip(tone().waveform.double().requires_grad_(), 8000)
    assert measured(odd).level == pytest.approx(measured(tone()).level, abs=1e-4)
