"""Sounds in and out: files as other tools write them, broken ones, folders, archives, tables, and round trips."""

from __future__ import annotations

import io
import logging
import math
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modalities.audio.codec import decoded
from modalities.audio.formats import GAP, read, write
from modalities.audio.objects import Clip
from pfgm_science import adapters
from pfgm_science.errors import ConfigError, DataError, PfgmError

soundfile = pytest.importorskip("soundfile")
scipy_data = Path(pytest.importorskip("scipy.io").__file__).parent / "tests" / "data"
scipy_files = pytest.mark.skipif(not scipy_data.is_dir(), reason="this SciPy comes without the files of its tests")
fuzz = settings(
    deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
random = np.random.default_rng(0)


def clip(samples=800, rate=8000, channels=1):
    """Noise of which every sample is one of 16 bits."""
    values = random.integers(-20000, 20000, (channels, samples)) / 32768
    return Clip(torch.from_numpy(values).float(), rate)


def tone(frequency=440.0, rate=8000, seconds=0.5):
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return Clip((0.5 * torch.sin(2 * math.pi * frequency * time)).float()[None], rate)


def save(path, sound, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.waveform.T.numpy(), sound.rate, **options)


def same(got, wanted):
    assert [each.rate for each in got] == [each.rate for each in wanted]
    for one, other in zip(got, wanted, strict=True):
        assert torch.equal(one.waveform, other.waveform)


def reasons(data, root):
    return {(each.record or Path(each.file).relative_to(root).as_posix()): each.reason for each in data.rejected}


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_of_every_depth_is_read_exactly(tmp_path, subtype, channels):
    sound = clip(channels=channels, rate=44100)
    save(tmp_path / "a.wav", sound, subtype=subtype)
    data = read(tmp_path / "a.wav")
    same(data.objects, [sound])
    assert data.objects[0].waveform.dtype == torch.float32
    assert (data.condition, data.rejected, data.source) == ({}, (), str(tmp_path / "a.wav"))
    assert data.details == {"files": ["a.wav"]}


def test_eight_bits_and_192_khz_are_read(tmp_path):
    save(tmp_path / "a.wav", tone(rate=192_000), subtype="PCM_U8")
    (sound,) = read(tmp_path / "a.wav").objects
    assert sound.rate == 192_000
    torch.testing.assert_close(sound.waveform, tone(rate=192_000).waveform, rtol=0, atol=1.01 / 128)


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_what_is_written_is_read_at_its_exact_length(tmp_path, ending):
    sound = tone(rate=16000, seconds=0.7)
    write(tmp_path / f"a{ending}", [sound])
    data = read(tmp_path / f"a{ending}")
    (got,) = data.objects
    assert got.seconds == pytest.approx(sound.seconds, abs=1e-9)
    assert got.rate == 16_000
    error = (got.waveform - sound.waveform)[:, 1600:9600]
    assert float(error.abs().max()) < (2e-5 if ending in (".wav", ".flac") else 0.05)


@fuzz
@given(
    values=st.lists(st.integers(-32768, 32767), min_size=1, max_size=40),
    ending=st.sampled_from([".wav", ".flac"]),
    rate=st.sampled_from([1000, 8000, 44101, 384_000]),
)
def test_sixteen_bits_come_back_as_they_were(tmp_path, values, ending, rate):
    sound = Clip(torch.tensor([values]) / 32768, rate)
    write(tmp_path / f"a{ending}", [sound])
    same(read(tmp_path / f"a{ending}").objects, [sound])


def test_beyond_full_scale_is_clipped_and_said(tmp_path, caplog):
    loud = Clip(torch.tensor([[1.5, -1.5, 0.25]]), 8000)
    full = Clip(torch.tensor([[1.0, -1.0]]), 8000)
    with caplog.at_level(logging.WARNING):
        write(tmp_path / "new", [loud, full])
    assert "1 of 2 sounds" in caplog.text
    got = read(tmp_path / "new").objects
    assert got[0].waveform.tolist() == [[32767 / 32768, -1.0, 0.25]]


def test_sub_folders_are_classes_of_mixed_files(tmp_path):
    sounds = [clip(), clip(900, 44100, 2), clip(700, 22050)]
    for name, sound in zip(("hat/closed/1.flac", "kick/1.wav", "kick/2.WAV"), sounds, strict=True):
        save(tmp_path / name, sound)
    save(tmp_path / "loose.wav", clip())
    (tmp_path / ".hidden.wav").write_bytes(b"x")
    data = read(tmp_path)
    same(data.objects, sounds)
    assert data.condition["label"].tolist() == ["hat", "kick", "kick"]
    assert data.details["files"] == ["hat/closed/1.flac", "kick/1.wav", "kick/2.WAV"]
    assert reasons(data, tmp_path) == {"loose.wav": "it lies in no class folder, others do"}


def test_a_folder_without_classes_has_no_condition(tmp_path):
    save(tmp_path / "b.wav", sound := clip())
    save(tmp_path / "a.wav", other := clip())
    data = read(tmp_path)
    same(data.objects, [other, sound])
    assert data.condition == {}


def test_files_of_other_kinds_are_named_once_an_ending(tmp_path):
    save(tmp_path / "a.wav", clip())
    for name in ("a.txt", "b.txt", "c.txt", "cover.jpg"):
        (tmp_path / name).write_text("words")
    assert reasons(read(tmp_path), tmp_path) == {
        "a.txt": "not a sound, by its suffix, nor are 2 more .txt",
        "cover.jpg": "not a sound, by its suffix",
    }


def test_bad_files_are_named_and_the_rest_is_kept(tmp_path):
    save(tmp_path / "good.wav", good := clip())
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is no sound at all, whatever its name says")
    (tmp_path / "text.mp3").write_text("this is no sound at all, whatever its name says" * 20)
    save(tmp_path / "none.wav", Clip(torch.zeros(1, 0), 8000))
    broken = clip().waveform
    broken[0, 3] = math.nan
    save(tmp_path / "nan.wav", Clip(broken, 8000), subtype="FLOAT")
    save(tmp_path / "surround.wav", clip(channels=6))
    save(tmp_path / "slow.wav", clip(rate=999))
    save(tmp_path / "fast.wav", clip(rate=768_001))
    (tmp_path / "folder.wav").mkdir()
    save(tmp_path / "folder.wav" / "in.wav", clip())
    (tmp_path / "folder.wav" / "in.wav").unlink()
    data = read(tmp_path)
    same(data.objects, [good])
    found = reasons(data, tmp_path)
    assert found.pop("empty.wav") == "the file is empty"
    assert found.pop("text.wav").startswith("no sound of a known format (it begins with b'this is no s')")
    assert found.pop("text.mp3").startswith("no sound of a known format")
    assert found.pop("none.wav") == "it has no samples"
    assert "not finite" in found.pop("nan.wav")
    assert found.pop("surround.wav").startswith("it has 6 channels, and one (mono) or two (stereo) can be used: mix it")
    assert found.pop("slow.wav") == "its sample rate is 999 Hz: 1000 to 768000 can be used"
    assert "768001 Hz" in found.pop("fast.wav")
    assert found == {}


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_file_that_is_cut_short_is_not_read_as_a_shorter_one(tmp_path, ending, part):
    whole = tmp_path / f"a{ending}"
    write(whole, [clip(44100, 48000)])
    data = whole.read_bytes()
    whole.write_bytes(data[: int(part * len(data))])
    with pytest.raises(DataError, match="truncated"):
        read(whole)


def pages(data):
    """Where each Ogg page begins, and the end."""
    starts = [0]
    while starts[-1] < len(data):
        start = starts[-1]
        assert data[start : start + 4] == b"OggS"
        lengths = data[start + 27 : start + 27 + data[start + 26]]
        starts.append(start + 27 + len(lengths) + sum(lengths))
    return starts


@pytest.mark.parametrize("ending", [".ogg", ".opus"])
def test_an_ogg_that_ends_in_the_middle_of_a_packet_is_truncated(tmp_path, ending):
    """Cut behind a page whose last packet goes on, which a last length of 255 says; not where a packet ends there,
    since some programs do not mark the end of a stream."""
    write(tmp_path / f"a{ending}", [clip(96000, 48000)])
    data = (tmp_path / f"a{ending}").read_bytes()
    start, stop = pages(data)[-3:-1]
    cut = data[:stop]
    last = start + 26 + data[start + 26]  # where the last length of the page stands
    going_on = cut[:last] + bytes([255]) + cut[last + 1 :] + bytes(255 - data[last])
    with pytest.raises(DataError, match="truncated: its last page ends in the middle of a packet"):
        decoded(io.BytesIO(going_on))
    assert 0 < decoded(io.BytesIO(cut)).samples < 96000
    assert decoded(io.BytesIO(data)).samples == 96000


@pytest.mark.parametrize("ending", [".ogg", ".opus"])
def test_an_ogg_of_two_streams_in_a_row_or_with_bytes_after_it_is_whole(tmp_path, ending):
    write(tmp_path / f"a{ending}", [clip(48000, 48000)])
    data = (tmp_path / f"a{ending}").read_bytes()
    for more in (data, b"TAG" + bytes(125)):
        assert decoded(io.BytesIO(data + more)).samples == 48000


def test_floats_far_beyond_full_scale_are_left_out_and_said(tmp_path):
    whole, loud = tone(), Clip(tone().waveform * 200, 8000)  # a peak of 0.5, and of 100
    for name, factor in (("bits.wav", 32767), ("eight.wav", 256), ("one.wav", 1), ("most.wav", 200)):
        save(tmp_path / name, Clip(whole.waveform * factor, 8000), subtype="FLOAT")
    broken = whole.waveform.clone()
    broken[0, 7] = 1e30
    save(tmp_path / "broken.wav", Clip(broken, 8000), subtype="FLOAT")
    data = read(tmp_path)
    same(data.objects, [loud, whole])
    found = reasons(data, tmp_path)
    assert found.keys() == {"bits.wav", "broken.wav", "eight.wav"}
    assert found["bits.wav"] == (
        "its peak is 16383.5, full scale is 1 and at most 100 can be used: samples that were saved as floats without a "
        "change of scale must be divided by that of their integers (32768 for 16 bits)"
    )
    assert found["broken.wav"].startswith("its peak is 1e+30, ")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF - 36])
def test_a_wav_that_was_written_to_a_pipe_is_whole(tmp_path, size):
    write(tmp_path / "a.wav", [sound := clip()])
    data = bytearray((tmp_path / "a.wav").read_bytes())
    assert data[36:40] == b"data"
    data[40:44] = struct.pack("<I", size)
    same([decoded(io.BytesIO(bytes(data)))], [sound])


@fuzz
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"RIFF\x10\0\0\0WAVEfmt ", b"OggS\0\2", b"fLaC", b"ID3", b"FORM"])
)
def test_no_bytes_bring_the_reader_down(data, head):
    try:
        sound = decoded(io.BytesIO(head + data))
    except DataError:
        return
    assert sound.samples


def silence_of(hours, path):
    """A .wav of silence that takes no room on the disk."""
    size = hours * 3600 * 8000 * 2
    with path.open("wb") as file:
        form = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
        file.write(b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size))
        file.write(struct.pack("<h", 8192) * 800)
        file.truncate(size + 44)


def test_ten_hours_are_left_out_or_begun_in_little_memory(tmp_path):
    silence_of(10, tmp_path / "long.wav")
    save(tmp_path / "short.wav", clip())
    tracemalloc.start()
    data = read(tmp_path)
    assert len(data) == 1
    assert reasons(data, tmp_path) == {
        "long.wav": "it lasts 36,000 s, longer than 60 s; give seconds= to use its first seconds"
    }
    begun = read(tmp_path / "long.wav", seconds=2)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert begun.objects[0].seconds == 3.0
    assert begun.objects[0].waveform[0, :801].tolist() == [0.25] * 800 + [0.0]
    assert read(tmp_path / "long.wav", seconds=2, trim=-50).objects[0].seconds == 12.0


def test_hours_in_an_archive_are_left_out_or_begun_in_little_memory(tmp_path):
    silence_of(1, tmp_path / "long.wav")
    save(tmp_path / "short.wav", clip())
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("long.wav", "short.wav"):
            archive.write(tmp_path / name, name)
    tracemalloc.start()
    data = read(path)
    begun = read(path, seconds=2)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert data.details["files"] == ["short.wav"]
    assert [each.reason for each in data.rejected] == [
        "it lasts 3,600 s, longer than 60 s; give seconds= to use its first seconds"
    ]
    assert [each.seconds for each in begun.objects] == [3.0, 0.1]
    assert begun.objects[0].waveform[0, :801].tolist() == [0.25] * 800 + [0.0]


def test_a_minute_is_read_whole(tmp_path):
    for name, samples in (("a.wav", 60_000), ("b.wav", 60_001)):
        save(tmp_path / name, Clip(torch.zeros(1, samples), 1000))
    data = read(tmp_path)
    assert [each.samples for each in data.objects] == [60_000]
    assert "longer than 60 s" in reasons(data, tmp_path)["b.wav"]


def test_clips_are_resampled_as_they_are_read(tmp_path):
    save(tmp_path / "a.wav", tone(rate=44100))
    save(tmp_path / "b.wav", tone(rate=8000))
    data = read(tmp_path, rate=8000)
    assert [each.rate for each in data.objects] == [8000, 8000]
    a, b = (each.waveform[:, 300:-300] for each in data.objects)
    torch.testing.assert_close(a, b, rtol=0, atol=1e-3)


def test_settings_are_kept_for_the_adapter_and_for_reading_again(tmp_path):
    save(tmp_path / "a.wav", clip())
    given = {"rate": 16000, "seconds": 0.5, "channels": 1, "loudness": -23, "trim": -50.0, "representation": "mdct"}
    data = read(tmp_path, **given)
    assert data.details["preparation"] == given
    assert data.read == given
    assert read(tmp_path, seconds=0.5).details["preparation"] == {"seconds": 0.5}
    assert read(tmp_path).read == {}
    with pytest.raises(ConfigError, match="rate is 10"):
        read(tmp_path, rate=10)
    with pytest.raises(TypeError, match="size"):
        read(tmp_path, size=10)


def table(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table_says_files_and_conditions(tmp_path):
    sounds = [clip(), clip(900), clip(700)]
    for name, sound in zip(("x/c.wav", "a.wav", "b.flac"), sounds, strict=True):
        save(tmp_path / name, sound)
    path = table(
        tmp_path / "list.csv",
        "\ufeffspeaker,file,pitch,note,label\nann,x/c.wav,440,,3\nbob, a.wav ,-1.5e2,,3\nann,b.flac,0,,5\n",
    )
    data = read(path)
    same(data.objects, sounds)
    assert data.condition["speaker"].tolist() == ["ann", "bob", "ann"]
    assert data.condition["pitch"].dtype == np.float64
    assert data.condition["pitch"].tolist() == [440, -150, 0]
    assert data.condition["label"].dtype == np.int64  # whole numbers: classes
    assert set(data.condition) == {"speaker", "pitch", "label"}
    assert data.details["files"] == ["x/c.wav", "a.wav", "b.flac"]
    named = read(path, label="speaker")
    assert named.condition["label"].tolist() == ["ann", "bob", "ann"]
    assert set(named.condition) == {"label", "pitch"}
    assert named.read == {"label": "speaker"}


@pytest.mark.parametrize(("name", "separator"), [("a.tsv", "\t"), ("a.csv", ";"), ("a.csv", "\t")])
def test_other_separators_are_found(tmp_path, name, separator):
    save(tmp_path / "a,b.wav", clip())
    data = read(table(tmp_path / name, f"path{separator}kind\na,b.wav{separator}x\n"))
    assert data.condition["kind"].tolist() == ["x"]


def test_bad_rows_of_a_table_are_named_by_line(tmp_path):
    save(tmp_path / "a.wav", clip())
    (tmp_path / "bad.wav").write_text("words that are no sound")
    path = table(
        tmp_path / "list.csv",
        "file,label\na.wav,x\n\nnone.wav,x\na.wav\nbad.wav,y\na.wav,\n,x\na.wav,\xe9\n",
        "latin-1",
    )
    data = read(path)
    assert len(data) == 1
    found = {each.record: each.reason for each in data.rejected}
    assert all(each.file == str(path) for each in data.rejected)
    assert found.pop("line 4, none.wav").startswith("cannot be read (No such file")
    assert found.pop("line 5") == "1 cells, not 2"
    assert found.pop("line 6, bad.wav").startswith("no sound")
    assert found.pop("line 7") == "its label is empty"
    assert found.pop("line 8") == "it names no file"
    assert "UTF-8" in found.pop("line 9")
    assert not found


@pytest.mark.parametrize(
    ("text", "options", "error", "said"),
    [
        (
            "name,label\na.wav,x\n",
            {},
            DataError,
            "no column of files: one must be called file or path, and there are name",
        ),
        ("", {}, DataError, "no column of files"),
        ("file,speaker\na.wav,x\n", {"label": "speeker"}, ConfigError, "Did you mean 'speaker'"),
        ("file,a,a\na.wav,x,y\n", {}, DataError, "two columns of one name"),
        ("file,label\n", {}, DataError, "there is no sound"),
        ("file,label\nb.wav,x\n", {}, DataError, "no sound of .* can be used; 1 were left out"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, options, error, said):
    save(tmp_path / "a.wav", clip())
    with pytest.raises(error, match=said):
        read(table(tmp_path / "list.csv", text), **options)


def test_a_column_of_transcripts_is_no_condition(tmp_path, caplog):
    save(tmp_path / "a.wav", clip(80))
    rows = "".join(f"a.wav,words {i},{i % 2}x\n" for i in range(30))
    with caplog.at_level(logging.WARNING):
        data = read(table(tmp_path / "list.csv", "file,text,kind\n" + rows))
    assert set(data.condition) == {"kind"}
    assert "the column text is no condition: 30 different words in 30 rows" in caplog.text


def column_of(tmp_path, cells, name="midi"):
    """What is read of a table with these cells in one column."""
    save(tmp_path / "a.wav", clip(80))
    return read(table(tmp_path / "list.csv", f"file,{name}\n" + "".join(f"a.wav,{cell}\n" for cell in cells)))


@pytest.mark.parametrize("cell", ["nan", "inf", "-1e999", "n/a", "low"])
@pytest.mark.parametrize("different", [12, 40])
def test_a_bad_cell_in_a_column_of_numbers_is_named_and_the_column_stays_one(tmp_path, caplog, cell, different):
    numbers = [60 + i % different for i in range(39)]
    data = column_of(tmp_path, [*numbers[:10], cell, *numbers[10:]])
    assert data.condition["midi"].dtype == np.float64
    assert data.condition["midi"].tolist() == numbers
    (bad,) = data.rejected
    assert bad.record == "line 12"
    assert bad.reason == f"its midi is {cell!r}, where 39 of 40 rows have a number: give one, or take the row out"
    assert not caplog.text


def test_a_tenth_of_words_is_what_a_column_of_numbers_may_have(tmp_path, caplog):
    numbers = list(range(36))
    few = column_of(tmp_path, [*numbers, "a", "b", "c", "d"])
    assert few.condition["midi"].tolist() == numbers
    assert len(few.rejected) == 4
    more = column_of(tmp_path, [*numbers[:12] * 3, "a", "b", "c", "d", "e"])
    assert more.condition["midi"].tolist() == [*map(str, numbers[:12] * 3), "a", "b", "c", "d", "e"]
    assert not caplog.text
    assert column_of(tmp_path, [*numbers, "a", "b", "c", "d", "e"]).condition == {}
    assert "41 different words in 41 rows, 36 of them numbers: with at most 10% of words it would be one" in caplog.text


def test_what_is_not_finite_is_no_word_however_often_it_comes(tmp_path):
    data = column_of(tmp_path, [1.5, 2.5, "nan", "NaN", "inf"])
    assert data.condition["midi"].tolist() == [1.5, 2.5]
    assert [each.record for each in data.rejected] == ["line 4", "line 5", "line 6"]
    assert column_of(tmp_path, ["nan", "inf"]).condition["midi"].tolist() == ["nan", "inf"]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("label", [*range(10), "oh"]),  # whole numbers that are classes, and one more
        ("speaker", [*range(100, 120), "007"]),
        ("speaker", [*range(20), "1_2"]),
        ("take", ["a"] * 30 + [1]),
    ],
)
def test_classes_that_look_like_numbers_stay_classes(tmp_path, name, cells):
    data = column_of(tmp_path, cells * 2, name)
    assert data.condition[name].tolist() == list(map(str, cells * 2))
    assert data.rejected == ()


def test_labels_that_are_whole_numbers_stay_so_beside_what_is_none(tmp_path):
    data = column_of(tmp_path, [3, 1, "nan", 1], "label")
    assert data.condition["label"].dtype == np.int64
    assert data.condition["label"].tolist() == [3, 1, 1]
    assert data.rejected[0].reason.startswith("its label is 'nan', where 3 of 4 rows have a number")
    shares = column_of(tmp_path, [*[0.5] * 9, "n/a"], "label")
    assert shares.condition["label"].tolist() == [0.5] * 9


def test_the_table_in_a_folder_says_what_is_in_it(tmp_path):
    for name in ("a.wav", "in/b.wav", "more.wav"):
        save(tmp_path / name, clip())
    table(tmp_path / "manifest.csv", "file,label\nin/b.wav,x\na.wav,y\ngone.wav,x\n")
    data = read(tmp_path)
    assert data.details["files"] == ["in/b.wav", "a.wav"]
    assert data.condition["label"].tolist() == ["x", "y"]
    found = {each.record or Path(each.file).name: each.reason for each in data.rejected}
    assert found == {"line 4, gone.wav": "there is no such file", "more.wav": "it is not named in manifest.csv"}


def test_a_table_of_another_kind_does_no_harm(tmp_path):
    save(tmp_path / "x" / "a.wav", clip())
    table(tmp_path / "metadata.csv", "LJ001-0001|Printing, in the only sense\n")
    data = read(tmp_path)
    assert data.condition["label"].tolist() == ["x"]
    assert [each.reason for each in data.rejected] == ["not a sound, by its suffix"]


def test_a_label_needs_a_table(tmp_path):
    save(tmp_path / "a.wav", clip())
    for path in (tmp_path, tmp_path / "a.wav"):
        with pytest.raises(ConfigError, match=r"put a manifest\.csv there"):
            read(path, label="kind")


@pytest.mark.parametrize("name", ["new", "new.zip"])
@pytest.mark.parametrize("labels", [None, ["snare", "kick: 1/2", "snare"], [3, 1, 1], [0.5, 0.25, 1.5]])
def test_many_clips_come_back_in_their_order_with_their_labels(tmp_path, name, labels):
    sounds = [clip(), clip(900, 44100, 2), clip(1, 22050)]
    write(tmp_path / name, sounds, labels=labels)
    data = read(tmp_path / name)
    same(data.objects, sounds)
    assert not data.rejected
    assert ([] if labels is None else labels) == [each for c in data.condition.values() for each in c.tolist()]


def test_names_of_files_begin_with_the_class(tmp_path):
    write(tmp_path / "new", [clip(), clip()], labels=["kick 1", "../x"], ending=".flac")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "_x-000001.flac",
        "kick_1-000000.flac",
        "manifest.csv",
    ]


def test_several_clips_in_one_file_follow_each_other(tmp_path):
    mono, stereo = clip(100), clip(200, channels=2)
    write(tmp_path / "a.wav", [mono, stereo])
    (row,) = read(tmp_path / "a.wav").objects
    gap = round(GAP * 8000)
    silence = torch.zeros(2, gap)
    assert torch.equal(row.waveform, torch.cat([mono.waveform.repeat(2, 1), silence, stereo.waveform], dim=1))


@pytest.mark.parametrize(
    ("name", "clips", "options", "error", "said"),
    [
        ("a.m4a", [clip()], {}, ConfigError, "cannot be written as .m4a: use .wav"),
        ("a", [clip()], {"ending": ".xyz"}, ConfigError, "cannot be written as .xyz"),
        ("a.wav", [clip()], {"labels": ["x"]}, DataError, "cannot hold labels"),
        ("a", [clip()], {"labels": ["x", "y"]}, DataError, "for 1 samples"),
        ("a", [clip()], {"labels": [""]}, DataError, "empty or not printable"),
        ("a", [clip()], {"labels": [[0.5, 1.0]]}, DataError, "vectors as labels"),
        ("a.wav", [clip(), clip(rate=44100)], {}, DataError, "rates of 8000, 44100 Hz"),
        ("a.wav", [], {}, DataError, "no clips"),
        ("a.wav", [torch.zeros(1, 8)], {}, DataError, "no Clip"),
        ("a.opus", [clip(rate=44100)], {}, DataError, "44100 Hz cannot be written as .opus"),
        ("a.mp3", [clip(rate=1234)], {}, DataError, "1234 Hz cannot be written as .mp3"),
        ("none/a.wav", [clip()], {}, PfgmError, "no folder"),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path, name, clips, options, error, said):
    with pytest.raises(error, match=said):
        write(tmp_path / name, clips, **options)
    assert not list(tmp_path.iterdir())


def test_minutes_are_written_as_ogg(tmp_path):
    write(tmp_path / "a.ogg", [Clip(torch.zeros(2, 3_000_000), 48000)])
    assert soundfile.info(tmp_path / "a.ogg").frames == 3_000_000


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.with_name("absent.wav"), "no file or folder"),
        (lambda path: path.with_suffix(".xyz"), "no kind of file that sounds are read from"),
        (lambda path: path.with_suffix(".zip"), "not a zip"),
        (lambda path: path, "no sound of .* can be used"),
    ],
)
def test_paths_that_cannot_be_read(tmp_path, make, said):
    path = make(tmp_path / "a.wav")
    if path.name != "absent.wav":
        path.write_bytes(random.bytes(2000))
    with pytest.raises(PfgmError, match=said):
        read(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no sound in"):
        read(tmp_path / "empty")


def test_an_archive_of_class_folders(tmp_path):
    save(tmp_path / "one.wav", sound := clip())
    data = (tmp_path / "one.wav").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kick/1.wav", data)
        archive.writestr("hat/1.wav", data[:100])
        archive.writestr("__MACOSX/kick/1.wav", b"x")
    read_back = read(tmp_path / "a.zip")
    same(read_back.objects, [sound])
    assert read_back.condition["label"].tolist() == ["kick"]
    (bad,) = read_back.rejected
    assert (bad.file, bad.record) == (str(tmp_path / "a.zip"), "hat/1.wav")
    assert "truncated" in bad.reason


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_a_file_that_cannot_be_unpacked_is_named(tmp_path, capfd, packing, ending):
    write(tmp_path / f"one{ending}", [sound := tone()])
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name in ("a", "b", "c"):
            archive.write(tmp_path / f"one{ending}", f"{name}{ending}")
        second, third = archive.infolist()[1:]
    data = bytearray(path.read_bytes())
    data[(second.header_offset + third.header_offset) // 2] ^= 0x55
    path.write_bytes(data)
    read_back = read(path)
    assert [each.samples for each in read_back.objects] == [sound.samples] * 2
    (bad,) = read_back.rejected
    assert bad.record == f"b{ending}"
    assert bad.reason.startswith("cannot be unpacked (")
    assert capfd.readouterr().err == ""


def test_an_archive_with_a_password_or_a_huge_table_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.csv", "file,label\n")
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    path.write_bytes(data[:6] + b"\1" + data[7 : at + 8] + b"\1" + data[at + 9 :])  # says that it is encrypted
    with pytest.raises(DataError, match=r"cannot be unpacked \(.*password"):
        read(path)
    path.write_bytes(data)
    monkeypatch.setattr("modalities.audio.formats._MAX_BYTES", 10)
    with pytest.raises(DataError, match=r"manifest.csv unpacks to 11 bytes, more than the 10 allowed for a table"):
        read(path)


@scipy_files
@pytest.mark.filterwarnings("ignore:Chunk")
def test_files_of_scipy(tmp_path):
    """Depths, byte orders and headers that SciPy's authors met; what is read is equal to what SciPy reads."""
    from scipy.io import wavfile

    whole = {
        "test-44100Hz-2ch-32bit-float-be.wav": 1.0,
        "test-44100Hz-2ch-32bit-float-le.wav": 1.0,
        "test-44100Hz-be-1ch-4bytes.wav": 2.0**31,
        "test-44100Hz-le-1ch-4bytes.wav": 2.0**31,
        "test-44100Hz-le-1ch-4bytes-rf64.wav": 2.0**31,
        "test-48000Hz-2ch-64bit-float-le-wavex.wav": 1.0,
    }
    for name, scale in whole.items():
        (sound,) = read(scipy_data / name).objects
        rate, values = wavfile.read(scipy_data / name)
        assert sound.rate == rate
        wanted = values.reshape(len(values), -1).T / scale
        np.testing.assert_allclose(sound.waveform.numpy(), wanted, atol=1e-7)
    (sound,) = read(scipy_data / "test-8000Hz-le-2ch-1byteu.wav").objects
    _, values = wavfile.read(scipy_data / "test-8000Hz-le-2ch-1byteu.wav")
    np.testing.assert_allclose(sound.waveform.numpy(), (values.T.astype(float) - 128) / 128, atol=1e-7)


@scipy_files
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "test-44100Hz-le-1ch-4bytes-early-eof.wav",
            "truncated: 944 bytes of sound are there, and its header says 17640",
        ),
        ("test-44100Hz-le-1ch-4bytes-early-eof-no-data.wav", "truncated"),
        ("test-44100Hz-le-1ch-4bytes-incomplete-chunk.wav", "truncated"),
        ("test-8000Hz-le-3ch-5S-24bit.wav", "it has 3 channels"),
        ("test-8000Hz-le-3ch-5S-36bit.wav", "encoding that is not known"),
    ],
)
def test_broken_files_of_scipy(name, said):
    if not (scipy_data / name).exists():
        pytest.skip("not in this SciPy")
    with pytest.raises(DataError, match=said):
        read(scipy_data / name)


def test_the_modality_is_guessed_where_it_is_clear(tmp_path, monkeypatch):
    class Sounds:
        endings = (".wav",)

    class Pictures:
        endings = (".png",)

    class Others:
        pass

    known = {"others": Others, "pictures": Pictures, "sounds": Sounds}
    monkeypatch.setattr(adapters, "names", lambda: list(known))
    monkeypatch.setattr(adapters, "find", known.__getitem__)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.WAV").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    assert adapters.guessed(tmp_path) == "sounds"
    assert adapters.guessed(tmp_path / "in" / "a.WAV") == "sounds"
    assert adapters.guessed(tmp_path / "notes.txt") == ""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/a.png", b"")
    assert adapters.guessed(tmp_path / "a.zip") == "pictures"
    (tmp_path / "b.png").write_bytes(b"")
    assert adapters.guessed(tmp_path) == ""
    assert adapters.guessed(tmp_path / "absent") == ""
