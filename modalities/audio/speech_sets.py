"""Speech by name: spoken syllables with their tones, words in many languages, and the prompts of a telephone system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import torch

from modalities.audio.objects import Clip
from modalities.audio.preparation import mixed
from modalities.audio.resampling import resampled
from modalities.audio.sets import DEBIAN, clip_of, found
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError, PfgmError
from pfgm_science.packages import Package

BOTH = "both"
LOUDNESS = -23.0  # dB of full scale; leaves 14 dB for the peaks of speech, with room above
WORD_SECONDS = 2.0  # of the longest word
WORD_RATE = 16000  # Hz; all words at their own rates would take 3 GB
NEUTRAL = "1"  # what a folder of gcin-voice ends in for the neutral tone; for the first tone there is no number

GCIN_VOICE = Package(
    "gcin-voice",
    "0~20170223-3",
    "gcin-voice_0~20170223-3_all.deb",
    "6a0353f0294d06f7bd901bada3d5d9eec63b66c2ec029f92da3124d93d45de70",
    "GPL-3 or LGPL-3 (speaker 3), CC-BY-3.0 (speaker 5)",
)
TUXPAINT_STAMPS = Package(
    "tuxpaint-stamps-default",
    "2022.06.04-1",
    "tuxpaint-stamps-default_2022.06.04-1_all.deb",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    "GPL-2 or later",
)
ASTERISK_SOUNDS = Package(
    "asterisk-core-sounds-en-g722",
    "1.6.1-1",
    "asterisk-core-sounds-en-g722_1.6.1-1_all.deb",
    "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
    "CC-BY-SA-3.0",
)

SYLLABLES = DatasetInfo(
    name="syllables",
    description="spoken syllables of Mandarin in four tones, by two speakers or one (syllables:speaker=5)",
    licence=GCIN_VOICE.licence,
    source="Debian package gcin-voice 0~20170223-3 (hyperrate.com)",
    size="2,334 clips of 0.2 to 0.6 s at 44.1 kHz (1,147 by speaker 5); classes: tones, of both by speaker too",
    citation="speaker 3: Edward Der-Hua Liu (2014); speaker 5: Chu Lo and the recording group of ChionMeilin "
    "(聲優 羅竺與徵音梅林開發委員會錄音組)",
    how=f"{DEBIAN} (8 MB)",
)
WORDS = DatasetInfo(
    name="spoken-words",
    description="names of things, animals and people, spoken in twelve languages, one or few speakers each",
    licence=TUXPAINT_STAMPS.licence,
    source="Debian package tuxpaint-stamps-default 2022.06.04-1",
    size="5,374 distinct clips of up to 2 s, here at 16 kHz and mono; classes: languages, 22 to 781 clips each",
    citation="Bill Kendrick and the contributors of Tux Paint stamps (2002-2022)",
    how=f"{DEBIAN} (161 MB, which takes half a minute to read)",
)
PROMPTS = DatasetInfo(
    name="prompts",
    description="prompts of a telephone system by one voice: numbers, letters, the spelling alphabet, sentences",
    licence=ASTERISK_SOUNDS.licence,
    source="Debian package asterisk-core-sounds-en-g722 1.6.1-1",
    size="558 clips of 0.2 to 73 s at 16 kHz; classes: digits, letters, phonetic, other",
    citation="recorded by Allison Smith for Asterisk, with Digium (2003-2010)",
    how=f'{DEBIAN} (11 MB); needs pip install "pfgm-science[data]", or G722',
)

LICENCES = {"3": "GPL-3 or LGPL-3", "5": "CC-BY-3.0"}
LANGUAGES = {
    "": "english",
    "be": "belarusian",
    "bg": "bulgarian",
    "ca": "catalan",
    "da": "danish",
    "el": "greek",
    "es": "spanish",
    "fr": "french",
    "lt": "lithuanian",
    "nl": "dutch",
    "ro": "romanian",
    "ru": "russian",
}
_SYLLABLE = re.compile(r"([^/\d]+)(\d?)/(\d)\.ogg")
_WORD = re.compile(r"([^/]+)_desc(?:_(\w+))?\.ogg")
_PROMPTS = {
    "digits": re.compile(r"digits/(h-)?(\d+|oh|hundred|thousand|million|billion)\.g722"),
    "letters": re.compile(r"letters/([a-z]|zed)\.g722"),
    "phonetic": re.compile(r"phonetic/\w_p\.g722"),
    "other": re.compile(r"(?!silence/).*\.g722"),
}
_G722_RATE, _G722_BITS = 16000, 64000  # Hz, bits a second
_PCM = 32768


class Syllable(NamedTuple):
    """base: in Zhuyin, without its tone. tone: "1" to "4", or "neutral"."""

    base: str
    tone: str
    speaker: str


def syllables(info: DatasetInfo, speaker: str = BOTH, package: Package = GCIN_VOICE) -> Dataset:
    """Labels "tone-2", or "speaker-5-tone-2" of both; a base syllable is a group, and no split parts its tones.

    The neutral tone, of which there are 24 clips, is left out.
    """
    if speaker not in (BOTH, *LICENCES):
        raise ConfigError(f"{info.name}: there is no speaker {speaker!r} ({BOTH}, {', '.join(LICENCES)})")

    def wanted(file: str) -> Syllable | None:
        syllable = syllable_of(file)
        if syllable is None or syllable.tone == "neutral" or speaker not in (BOTH, syllable.speaker):
            return None
        return syllable

    clips = found(package.file, _inside(package, "usr/share/gcin-voice/ogg", "*.ogg"), wanted)
    whose = "speaker-{}-" if speaker == BOTH else ""
    return clips.dataset(
        info,
        labels=[f"{whose.format(about.speaker)}tone-{about.tone}" for about in clips.about],
        groups=[about.base for about in clips.about],
        licence=LICENCES.get(speaker, ""),
        preparation={"rate": 8000, "seconds": 0.512, "channels": 1, "loudness": LOUDNESS, "trim": -50.0},
    )


def syllable_of(file: str) -> Syllable | None:
    """What a name such as "ㄅㄚ2/5.ogg" says; None for another kind of name."""
    match = _SYLLABLE.fullmatch(file)
    if match is None:
        return None
    base, number, speaker = match.groups()
    return Syllable(base, {"": "1", NEUTRAL: "neutral"}.get(number, number), speaker)


def words(info: DatasetInfo, package: Package = TUXPAINT_STAMPS) -> Dataset:
    """Labels are languages, by name; what one thing is called in all of them is a group."""

    def wanted(file: str) -> tuple[str, str] | None:
        match = _WORD.fullmatch(PurePosixPath(file).name)
        return (match[1], LANGUAGES[match[2] or ""]) if match and (match[2] or "") in LANGUAGES else None

    clips = found(package.file, _inside(package, "usr/share/tuxpaint/stamps", "*_desc*.ogg"), wanted, _word)
    return clips.dataset(
        info,
        labels=[language for _, language in clips.about],
        groups=[thing for thing, _ in clips.about],
        preparation={"rate": 8000, "seconds": 2.048, "channels": 1, "loudness": LOUDNESS, "trim": -40.0},
    )


def _word(content: bytes) -> Clip | None:
    clip = clip_of(content)
    if clip.seconds > WORD_SECONDS:
        return None
    return Clip(resampled(mixed(clip.waveform, 1), clip.rate, WORD_RATE), WORD_RATE)


def prompts(info: DatasetInfo, package: Package = ASTERISK_SOUNDS) -> Dataset:
    """Labels: digits (numbers and ordinals), letters, phonetic (Alfa, Bravo, ...) and other; silence is left out."""
    try:
        from G722 import G722
    except ImportError:
        raise PfgmError(f'{info.name} is G.722, which needs G722: pip install "pfgm-science[data]", or G722.') from None

    def decode(content: bytes) -> Clip:
        samples = np.asarray(G722(_G722_RATE, _G722_BITS).decode(content), dtype=np.float32)
        return Clip(torch.from_numpy(samples / _PCM)[None], _G722_RATE)

    def kind(file: str) -> str | None:
        return next((name for name, pattern in _PROMPTS.items() if pattern.fullmatch(file)), None)

    root = "usr/share/asterisk/sounds/en_US_f_Allison"
    clips = found(package.file, _inside(package, root, "*.g722"), kind, decode)
    return clips.dataset(
        info,
        labels=clips.about,
        preparation={"rate": 8000, "seconds": 2.048, "channels": 1, "loudness": LOUDNESS, "trim": -40.0},
    )


def _inside(package: Package, root: str, pattern: str) -> Iterator[tuple[str, bytes]]:
    """Files below root that fit a pattern, by their names from there."""
    for name, content in package.members(f"{root}/{pattern}"):
        yield name.removeprefix(f"{root}/"), content
