"""Sounds in Debian packages: small packages that are laid out as the real ones, and the real ones where they are."""

from __future__ import annotations

import io
import sys
from collections import Counter
from functools import cache as once
from pathlib import Path

import numpy as np
import pytest
from archives import debian
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.audio import datasets, drum_sets, speech_sets
from modalities.audio.drum_sets import DRUMS, HYDROGEN_DRUMKITS, drums, instruments, kind
from modalities.audio.objects import checked
from modalities.audio.preparation import checked_settings
from modalities.audio.speech_sets import PROMPTS, SYLLABLES, WORDS, Syllable, prompts, syllable_of, syllables, words
from pfgm_science import packages
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError, PfgmError
from pfgm_science.packages import CACHE_VARIABLE, Package

soundfile = pytest.importorskip("soundfile")

VOICE = "usr/share/gcin-voice/ogg"
STAMPS = "usr/share/tuxpaint/stamps"
KITS = "usr/share/hydrogen/data/drumkits"
ASTERISK = "usr/share/asterisk/sounds/en_US_f_Allison"


def wave(seed: int, seconds: float = 0.3, rate: int = 8000, channels: int = 1) -> np.ndarray:
    """16-bit noise [samples, channels], of another seed another one."""
    draw = np.random.default_rng(seed).normal(0, 3000, (round(seconds * rate), channels))
    return draw.clip(-32768, 32767).astype(np.int16)


def sound(samples: np.ndarray, rate: int = 8000, form: str = "WAV") -> bytes:
    """A file; libsndfile tells formats by their first bytes, so that one of exact samples can have any name."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form)
    return buffer.getvalue()


def heard(data: Dataset, index: int) -> np.ndarray:
    """The samples of a clip as they were written: [samples, channels]."""
    return np.round(data.objects[index].waveform.numpy().T * 32768).astype(np.int16)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", "")  # nothing is fetched
    return tmp_path


# --- syllables ---


@pytest.mark.parametrize(
    ("file", "syllable"),
    [
        ("ㄅㄚ/3.ogg", Syllable("ㄅㄚ", "1", "3")),
        ("ㄅㄚ1/5.ogg", Syllable("ㄅㄚ", "neutral", "5")),
        ("ㄅㄚ2/5.ogg", Syllable("ㄅㄚ", "2", "5")),
        ("ㄐㄩㄥ3/5.ogg", Syllable("ㄐㄩㄥ", "3", "5")),
        ("ㄦ4/3.ogg", Syllable("ㄦ", "4", "3")),
        ("ㄅㄚ2/5.wav", None),
        ("3.ogg", None),
        ("2/3.ogg", None),
    ],
)
def test_the_name_of_a_syllable_says_its_tone_and_speaker(file: str, syllable: Syllable | None) -> None:
    assert syllable_of(file) == syllable


def voices(folder: Path) -> Package:
    return debian(
        folder,
        {
            "usr/share/doc/gcin-voice/copyright": "GPL",
            f"{VOICE}/ㄅㄚ/3.ogg": sound(wave(0)),
            f"{VOICE}/ㄅㄚ1/5.ogg": sound(wave(1)),
            f"{VOICE}/ㄅㄚ2/3.ogg": sound(wave(2)),
            f"{VOICE}/ㄅㄚ2/5.ogg": sound(wave(3, rate=16000), 16000),
            f"{VOICE}/ㄇㄚ3/3.ogg": b"OggS and nothing more",
            f"{VOICE}/ㄇㄚ3/5.ogg": sound(wave(4) * 0),
            f"{VOICE}/ㄇㄚ4/3.ogg": sound(wave(0)),
            f"{VOICE}/ㄇㄚ4/5.ogg": sound(wave(5)),
        },
    )


def test_syllables_have_tones_and_speakers_as_classes(folder: Path) -> None:
    data = syllables(SYLLABLES, package=voices(folder))
    assert data.details["files"] == ["ㄅㄚ/3.ogg", "ㄅㄚ2/3.ogg", "ㄅㄚ2/5.ogg", "ㄇㄚ4/5.ogg"]
    assert data.condition["label"].tolist() == [
        "speaker-3-tone-1",
        "speaker-3-tone-2",
        "speaker-5-tone-2",
        "speaker-5-tone-4",
    ]
    assert data.groups is not None and data.groups.tolist() == [0, 0, 0, 1]
    assert [clip.rate for clip in data.objects] == [8000, 8000, 16000, 8000]
    for index, seed in enumerate((0, 2, 3, 5)):
        np.testing.assert_array_equal(heard(data, index), wave(seed, rate=data.objects[index].rate))
    assert data.licence == SYLLABLES.licence and "GPL-3" in data.licence and "CC-BY-3.0" in data.licence


def test_a_syllable_that_cannot_be_used_is_named(folder: Path) -> None:
    rejected = syllables(SYLLABLES, package=voices(folder)).rejected
    assert [(bad.file, bad.record) for bad in rejected] == [
        ("some_1.0_all.deb", "ㄇㄚ3/3.ogg"),
        ("some_1.0_all.deb", "ㄇㄚ3/5.ogg"),
    ]
    assert rejected[1].reason == "it is silent" and rejected[0].reason


def test_one_speaker_has_tones_alone_and_a_licence_alone(folder: Path) -> None:
    package = voices(folder)
    fifth, third = (syllables(SYLLABLES, speaker=speaker, package=package) for speaker in "53")
    assert fifth.condition["label"].tolist() == ["tone-2", "tone-4"] and fifth.licence == "CC-BY-3.0"
    assert fifth.details["files"] == ["ㄅㄚ2/5.ogg", "ㄇㄚ4/5.ogg"]
    assert third.condition["label"].tolist() == ["tone-1", "tone-2"] and third.licence == "GPL-3 or LGPL-3"


def test_vorbis_is_decoded(folder: Path) -> None:
    time = np.arange(4410) / 44100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    package = debian(folder, {f"{VOICE}/ㄚ2/5.ogg": sound(tone, 44100, "OGG")})
    data = syllables(SYLLABLES, package=package)
    assert data.objects[0].rate == 44100 and data.objects[0].samples == 4410
    np.testing.assert_allclose(data.objects[0].waveform[0].numpy(), tone, atol=0.05)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=40), st.floats(0.05, 0.5), st.integers(0, 99))
def test_no_base_syllable_is_on_both_sides_of_a_split(bases: list[int], fraction: float, seed: int) -> None:
    found = speech_sets.found("a.deb", ((f"{base}/{i}", _tone(i)) for i, base in enumerate(bases)), lambda file: file)
    data = found.dataset(
        SYLLABLES, labels=found.files, groups=[file.partition("/")[0] for file in found.files], preparation={}
    )
    sides = [{file.partition("/")[0] for file in part.condition["label"]} for part in data.split(fraction, seed)]
    assert not sides[0] & sides[1] and sides[0] | sides[1] == {str(base) for base in bases}


@once
def _tone(seed: int) -> bytes:
    return sound(wave(seed, seconds=0.01))


# --- drums ---


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Kick Lite 1", "kick"),
        ("BassDrum", "kick"),
        ("c3 - bass drum 1", "kick"),
        ("Djembe1 Bass", "perc"),
        ("Snare Rock", "snare"),
        ("Pearl Snare Rimshot", "snare"),
        ("redo super opaco", "snare"),
        ("Pearl Side Stick", "perc"),
        ("tomhi2", "tom"),
        ("Floor Tom", "tom"),
        ('Ride (Custom, Zagrebin 22")', "cymbal"),
        ('Crash/Ride Bell (Paiste Rude Crash/Ride 18")', "cymbal"),
        ("crash16inch", "cymbal"),
        ("Paiste Bell", "cymbal"),
        ("Sangban1 Bell Hit", "perc"),
        ('Hi-Hat Closed (Paiste Alpha Metal edge 14")', "hihat"),
        ("Side OHH", "hihat"),
        ("VariBreaks Hat 1 Cl", "hihat"),
        ("Hi Hat Free", "hihat"),
        ("Hand Clap", "clap"),
        ("d#3 - clap", "clap"),
        ("Whistle", "perc"),
        ("17", ""),
        ("", ""),
        ("f#4 - ", ""),
        ("Sample: beats_01-39.flac", ""),
    ],
)
def test_the_class_of_an_instrument_is_in_its_name(name: str, label: str) -> None:
    assert kind(name) == label


def drumkit(instruments: dict[str, list[str]], space: str = "") -> str:
    listed = "".join(
        f"<instrument><id>0</id><name>{name}</name>"
        + "".join(f"<layer><filename>{file}</filename></layer>" for file in files)
        + "</instrument>"
        for name, files in instruments.items()
    )
    return f"<drumkit_info{space}><name>A kit</name><instrumentList>{listed}</instrumentList></drumkit_info>"


@pytest.mark.parametrize("space", ["", ' xmlns="http://www.hydrogen-music.org/drumkit"'])
def test_an_instrument_is_the_first_that_plays_a_file(space: str) -> None:
    content = drumkit({"Tom Mid": ["a.wav", "b.wav"], "Tom Hi": ["b.wav", "c.wav"], "Empty": []}, space)
    assert instruments(content.encode()) == {"a.wav": "Tom Mid", "b.wav": "Tom Mid", "c.wav": "Tom Hi"}


def test_drums_are_labelled_by_their_kits_and_grouped_by_who_made_them(folder: Path) -> None:
    package = debian(
        folder,
        {
            f"{KITS}/Millo-Drums_v.1/a.flac": sound(wave(0, rate=44100, channels=2), 44100, "FLAC"),
            f"{KITS}/Millo-Drums_v.1/none.flac": sound(wave(1)),
            f"{KITS}/Millo-Drums_v.1/zero.flac": sound(wave(1) * 0),
            f"{KITS}/Millo-Drums_v.1/drumkit.xml": drumkit({"Kick": ["a.flac", "gone.flac"], "17": ["zero.flac"]}),
            f"{KITS}/VariBreaks/drumkit.xml": drumkit({"Hat": ["h.wav"], "g4 - ": ["x.wav"], "Hand Clap": ["odd.wav"]}),
            f"{KITS}/VariBreaks/h.wav": sound(wave(2)),
            f"{KITS}/VariBreaks/x.wav": sound(wave(3)),
            f"{KITS}/VariBreaks/odd.wav": b"no sound",
            f"{KITS}/Millo_MultiLayered3/a.aiff": sound(wave(4), form="AIFF"),
            f"{KITS}/Millo_MultiLayered3/again.aiff": sound(wave(4), form="AIFF"),
            f"{KITS}/Millo_MultiLayered3/drumkit.xml": drumkit({"Snare": ["again.aiff", "a.aiff"]}),
            f"{KITS}/Of Somebody/s.wav": sound(wave(5)),
            f"{KITS}/Of Somebody/drumkit.xml": drumkit({"Cowbell": ["s.wav"]}),
        },
    )
    data = drums(DRUMS, package)
    assert dict(zip(data.details["files"], data.condition["label"].tolist(), strict=True)) == {
        "Millo-Drums_v.1/a.flac": "kick",
        "VariBreaks/h.wav": "hihat",
        "Millo_MultiLayered3/a.aiff": "snare",
        "Of Somebody/s.wav": "perc",
    }
    assert data.groups is not None
    first, second, third, fourth = data.groups.tolist()
    assert first == third and len({first, second, fourth}) == 3
    assert data.objects[0].channels == 2 and data.objects[0].rate == 44100
    np.testing.assert_array_equal(heard(data, 0), wave(0, rate=44100, channels=2))
    assert [bad.record for bad in data.rejected] == ["Millo-Drums_v.1/zero.flac", "VariBreaks/odd.wav"]
    assert data.details["licences"] == {
        "Millo-Drums_v.1": "GPL-2",
        "VariBreaks": "GPL-2+",
        "Millo_MultiLayered3": "GPL-2",
    }


# --- words and prompts ---


def test_words_have_their_language_as_class_and_their_thing_as_group(folder: Path) -> None:
    package = debian(
        folder,
        {
            f"{STAMPS}/animals/frog.ogg": sound(wave(0)),
            f"{STAMPS}/animals/frog_desc.ogg": sound(wave(1, rate=32000, channels=2), 32000),
            f"{STAMPS}/animals/frog_desc_fr.ogg": sound(wave(2, seconds=2.1)),
            f"{STAMPS}/animals/frog_desc_el.ogg": sound(wave(3, seconds=1.9)),
            f"{STAMPS}/animals/frog_desc_ml.ogg": sound(wave(4)),
            f"{STAMPS}/food/corn_desc_pt_BR.ogg": sound(wave(5)),
            f"{STAMPS}/food/corn_desc_ca.ogg": sound(wave(6)),
            f"{STAMPS}/toys/frog_desc_ca.ogg": sound(wave(7)),
            f"{STAMPS}/toys/toad_desc_ca.ogg": sound(wave(7)),
            f"{STAMPS}/toys/toad.txt": "A toad.",
        },
    )
    data = words(WORDS, package)
    assert data.condition["label"].tolist() == ["english", "greek", "catalan", "catalan"]
    assert data.details["files"][-1] == "toys/frog_desc_ca.ogg" and data.rejected == ()
    assert data.groups is not None and data.groups.tolist() == [1, 1, 0, 1]
    assert [(clip.rate, clip.channels, clip.seconds) for clip in data.objects] == [
        (16000, 1, pytest.approx(seconds)) for seconds in (0.3, 1.9, 0.3, 0.3)
    ]


def test_prompts_are_decoded_and_sorted(folder: Path) -> None:
    g722 = pytest.importorskip("G722")
    time = np.arange(8000) / 16000
    tone = np.round(10000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    names = ["digits/4", "digits/h-20", "digits/day-0", "letters/zed", "letters/dash", "phonetic/a_p", "beep"]
    files = {
        f"{ASTERISK}/{name}.g722": bytes(g722.G722(16000, 64000).encode(np.roll(tone, 10 * i)))
        for i, name in enumerate(names)
    }
    data = prompts(PROMPTS, debian(folder, {**files, f"{ASTERISK}/silence/1.g722": b"\xff" * 100}))
    assert data.details["files"] == [f"{name}.g722" for name in names]
    assert data.condition["label"].tolist() == ["digits", "digits", "other", "letters", "other", "phonetic", "other"]
    assert {(clip.rate, clip.samples) for clip in data.objects} == {(16000, 8000)}
    decoded = data.objects[0].waveform[0].numpy()
    delay = int(np.argmax([np.dot(decoded[lag:], tone[: len(tone) - lag]) for lag in range(40)]))
    np.testing.assert_allclose(decoded[delay:][400:], tone[400 : len(tone) - delay] / 32768, atol=0.03)


def test_prompts_say_what_they_need(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "G722", None)
    with pytest.raises(PfgmError, match=r"prompts is G.722, which needs G722: pip install"):
        datasets.load("prompts")


# --- by name ---


def test_every_set_says_where_it_is_from() -> None:
    *packaged, made = datasets.names()
    assert [info.name for info in packaged] == ["syllables", "drums", "spoken-words", "prompts"]
    for info in packaged:
        assert all((info.description, info.licence, info.source, info.size, info.citation)) and "Debian" in info.how
    assert made.name == "tones" and all((made.description, made.licence, made.source, made.size))


def test_a_name_or_setting_that_is_wrong_is_explained(folder: Path) -> None:
    with pytest.raises(PfgmError, match=r"no data set 'sylables' .*Did you mean 'syllables'"):
        datasets.load("sylables")
    with pytest.raises(ConfigError, match=r"no speaker '7' \(both, 3, 5\)"):
        datasets.load("syllables:speaker=7")
    with pytest.raises(ConfigError, match=r"'tone=2' is no setting.*speaker=both"):
        datasets.load("syllables:tone=2")
    with pytest.raises(ConfigError, match=r"Settings and defaults: none"):
        datasets.load("drums:kit=a")


@pytest.mark.parametrize("name", ["syllables", "drums", "spoken-words"])
def test_a_package_that_is_not_there_is_asked_for(name: str, folder: Path) -> None:
    with pytest.raises(PfgmError, match=r"apt-get could not fetch .* put the file .*\.deb into .*PFGM_CACHE"):
        datasets.load(name)


# --- the real packages ---


def real(package: Package) -> Package:
    if package._kept(packages.cache()) is None:
        pytest.skip(f"{package.file} is not in {packages.cache()}")
    return package


def check(data: Dataset, name: str) -> None:
    assert data.name == name and not data.rejected and len(checked(data.objects)) == len(data.details["files"])
    assert len(set(data.details["files"])) == len(data)
    assert checked_settings(**data.details["preparation"]) == data.details["preparation"]


def test_the_real_syllables() -> None:
    real(speech_sets.GCIN_VOICE)
    data = datasets.load("syllables")
    check(data, "syllables")
    assert Counter(data.condition["label"].tolist()) == {
        "speaker-3-tone-1": 322,
        "speaker-3-tone-2": 243,
        "speaker-3-tone-3": 294,
        "speaker-3-tone-4": 328,
        "speaker-5-tone-1": 303,
        "speaker-5-tone-2": 236,
        "speaker-5-tone-3": 288,
        "speaker-5-tone-4": 320,
    }
    assert {(clip.rate, clip.channels) for clip in data.objects} == {(44100, 1)}
    assert max(clip.seconds for clip in data.objects) == pytest.approx(0.626, abs=1e-3)
    train, held = ({data.details["files"][i] for i in part} for part in data.split_indices(0.1, seed=1))
    bases = [{syllable_of(file).base for file in part} for part in (train, held)]  # type: ignore[union-attr]
    assert not bases[0] & bases[1] and len(bases[0] | bases[1]) == 414 and len(held) > 200


def test_the_real_prompts() -> None:
    pytest.importorskip("G722")
    real(speech_sets.ASTERISK_SOUNDS)
    data = datasets.load("prompts")
    check(data, "prompts")
    assert Counter(data.condition["label"].tolist()) == {"digits": 64, "letters": 27, "phonetic": 27, "other": 440}


def test_the_real_drums_have_kits_that_are_known() -> None:
    """Of the first kit alone: all of them take ten seconds."""
    package = real(HYDROGEN_DRUMKITS)
    name, content = next(package.members(f"{KITS}/*/drumkit.xml"))
    assert drum_sets.kit_of(name.removeprefix(f"{KITS}/")) in drum_sets.KITS
    assert Counter(map(kind, instruments(content).values())).total() > 10


def test_the_real_words_are_where_they_should_be() -> None:
    """Of the first of them alone: all of them take half a minute."""
    name, content = next(real(speech_sets.TUXPAINT_STAMPS).members(f"{STAMPS}/*_desc*.ogg"))
    assert name.startswith(STAMPS) and speech_sets.clip_of(content).seconds > 0.1


def test_a_damaged_sound_is_explained() -> None:
    with pytest.raises(DataError, match="no sound of a known format"):
        speech_sets.clip_of(b"nothing of the kind")
