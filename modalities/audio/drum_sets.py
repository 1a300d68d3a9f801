"""Drums by name: single strokes of the drum kits that Debian ships for Hydrogen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from modalities.audio.sets import DEBIAN, Found, found
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.packages import Package

HYDROGEN_DRUMKITS = Package(
    "hydrogen-drumkits",
    "2017.09.19~dfsg-1",
    "hydrogen-drumkits_2017.09.19~dfsg-1_all.deb",
    "6ea3c6df9a67762e2362f946c695e619859126b19fbccf32a2e8f07dfd03b2f4",
    "each kit has its own: GPL-2, GPL-2+, CC-BY-3.0, CC-BY-SA-3.0, CC0",
)
DRUMS = DatasetInfo(
    name="drums",
    description="single strokes of acoustic and electronic drum kits",
    licence=HYDROGEN_DRUMKITS.licence,
    source="Debian package hydrogen-drumkits 2017.09.19~dfsg-1",
    size="640 clips of 0.02 to 12 s, half under 0.8 s, 14 kits; classes: kick, snare, hihat, tom, cymbal, clap, perc",
    citation="A. Pavlov; E. Grilli; M. Guglielmetti; J. Harney; L. Tanguay; G. MacArthur; E. Rumpf; Audiophob; "
    "V. Sadovnikov and A. Belokurov",
    how=f"{DEBIAN} (143 MB, which takes ten seconds to read)",
)


class Kit(NamedTuple):
    """Who made a kit, and its licence as the package has it."""

    maker: str
    licence: str


KITS = {
    "Audiophob": Kit("Audiophob", "CC0"),
    "BJA_Pacific": Kit("L. Tanguay", "CC-BY-SA-3.0-US"),
    "ColomboAcousticDrumkit": Kit("M. Guglielmetti", "GPL-2+ with an exception for compositions"),
    "ElectricEmpireKit": Kit("A. Pavlov", "GPL-2+"),
    "ForzeeStereo": Kit("V. Sadovnikov and A. Belokurov", "GPL-2"),
    "Gimme A Hand 1.0": Kit("G. MacArthur", "GPL-2"),
    "HardElectro1": Kit("A. Pavlov", "GPL-2+"),
    "Millo-Drums_v.1": Kit("E. Grilli", "GPL-2"),
    "Millo_MultiLayered2": Kit("E. Grilli", "GPL-2"),
    "Millo_MultiLayered3": Kit("E. Grilli", "GPL-2"),
    "The Black Pearl 1.0": Kit("G. MacArthur", "GPL-2"),
    "VariBreaks": Kit("A. Pavlov", "GPL-2+"),
    "circAfrique v4": Kit("J. Harney", "CC-BY-SA-3.0"),
    "rumpf_kit_z01_h2": Kit("E. Rumpf", "CC-BY-3.0"),
}
PERC = "perc"  # all other percussion, and strokes of sticks and rims
_ROOT, _KIT = "usr/share/hydrogen/data/drumkits", "drumkit.xml"
_SOUNDS = (".wav", ".flac", ".aiff")
_KINDS = {
    "clap": re.compile(r"clap"),
    "kick": re.compile(r"kick|bass ?drum"),
    "snare": re.compile(r"snare|redo"),  # redoblante
    "tom": re.compile(r"\btom"),
    "hihat": re.compile(r"\bhat\b|hi-?hat|\bo?hh\b"),
    "cymbal": re.compile(r"\b(ride|crash|splash|china|cymbal|paiste)"),
}
_NAMELESS = re.compile(r"(\d+|sample: .*|[a-g]#?\d -)?")  # numbers, files and keys, which say nothing of the sound


def drums(info: DatasetInfo, package: Package = HYDROGEN_DRUMKITS) -> Dataset:
    """Labels by the names that the kits give their instruments; sounds without a name are left out.

    Kits of one maker are one group, since some of them share recordings.
    """
    kits: dict[str, dict[str, str]] = {}

    def sounds() -> Iterator[tuple[str, bytes]]:
        for name, content in package.members(f"{_ROOT}/*"):
            file = name.removeprefix(f"{_ROOT}/")
            if file.endswith(f"/{_KIT}"):
                kits[kit_of(file)] = instruments(content)
            elif file.endswith(_SOUNDS):
                yield file, content

    strokes = found(package.file, sounds(), lambda file: file)
    named: Found[str] = Found(rejected=strokes.rejected)  # a kit's names may come after its sounds
    for clip, file in zip(strokes.clips, strokes.files, strict=True):
        kit, _, sound = file.partition("/")
        if label := kind(kits.get(kit, {}).get(sound, "")):
            named.clips.append(clip)
            named.files.append(file)
            named.about.append(label)
    return named.dataset(
        info,
        labels=named.about,
        groups=[KITS[kit].maker if kit in KITS else kit for kit in map(kit_of, named.files)],
        preparation={"rate": 16000, "seconds": 1.024, "channels": 1, "loudness": -23.0, "trim": -50.0},
        licences={kit: KITS[kit].licence for kit in kits if kit in KITS},
    )


def kit_of(file: str) -> str:
    return file.partition("/")[0]


def instruments(content: bytes) -> dict[str, str]:
    """File -> name of the first instrument that plays it, of a drumkit.xml of Hydrogen."""
    names: dict[str, str] = {}
    for instrument in ElementTree.fromstring(content).iterfind(".//{*}instrument"):
        for file in instrument.iterfind(".//{*}filename"):
            names.setdefault((file.text or "").strip(), (instrument.findtext("{*}name") or "").strip())
    return names


def kind(instrument: str) -> str:
    """The class of an instrument by its name; "" for a name that says nothing of the sound."""
    name = re.sub(r"\(.*\)", "", instrument.lower()).strip()
    if _NAMELESS.fullmatch(name):
        return ""
    return next((label for label, pattern in _KINDS.items() if pattern.search(name)), PERC)
