"""Sounds by name: sets that ship in Debian packages, read where they are, and tones that are made here.

A name can be followed by settings, where a set has any: `syllables:speaker=5`. What a set allows is said when a setting
is wrong. Clips stay in their packages, which are not installed, and keep their licences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from modalities.audio import drum_sets, simulated_sets, speech_sets
from pfgm_science.data import Dataset, DatasetInfo, settings_in


def names() -> list[DatasetInfo]:
    """The sets that `load` knows, the default one first."""
    return [info for info, _ in _LOADERS.values()]


def load(name: str) -> Dataset:
    """A set by name, with any settings in it.

    Objects are clips at the rates of their files, with condition {"label": [n] class names}. details["preparation"] is
    what makes them ready for a network, and details["files"], where there are any, names each clip in its package, in
    the order of the whole set (`Dataset.split_indices` says which of them a part holds). What cannot be used is in
    `rejected`.
    Raises PfgmError for a name that is not there, or what cannot be fetched; ConfigError for a setting.
    """
    base, *given = name.split(":")
    info = DatasetInfo.find(names(), base)
    settings = settings_in(name, given, _SETTINGS.get(info.name, {}))
    return replace(_LOADERS[info.name][1](info, **settings), name=name)


_LOADERS: dict[str, tuple[DatasetInfo, Callable[..., Dataset]]] = {
    speech_sets.SYLLABLES.name: (speech_sets.SYLLABLES, speech_sets.syllables),
    drum_sets.DRUMS.name: (drum_sets.DRUMS, drum_sets.drums),
    speech_sets.WORDS.name: (speech_sets.WORDS, speech_sets.words),
    speech_sets.PROMPTS.name: (speech_sets.PROMPTS, speech_sets.prompts),
    simulated_sets.TONES.name: (simulated_sets.TONES, simulated_sets.tones),
}
_SETTINGS: dict[str, dict[str, Any]] = {
    speech_sets.SYLLABLES.name: {"speaker": speech_sets.BOTH},
    simulated_sets.TONES.name: {"count": simulated_sets.COUNT, "seed": 0},
}
