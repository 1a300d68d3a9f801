"""What a person should know of sounds before a model is trained on them: a table of lengths, levels and faults."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modalities.audio.levels import RUN, SILENT, clipped, level_db, sounding_part
from modalities.audio.objects import Clip, checked
from modalities.audio.preparation import OFFSET
from modalities.audio.resampling import resampled
from pfgm_science.data import Dataset, fingerprint
from pfgm_science.errors import DataError

Array = np.ndarray[Any, Any]
Row = tuple[str, object]

EDGE = -50.0  # dB of the loudest frame; quieter frames at the ends count as silence where no trim is set
_NAMED = 3  # clips that are named in a row of the table
_CLASSES = 40  # classes that are counted one by one
_RESAMPLED = 200  # clips of which it is measured what a rate takes from them


@dataclass(frozen=True)
class Measure:
    """What is found of one clip. level: dB of full scale. peak: its largest sample, where full scale is 1. silence:
    seconds at its start and at its end. offset: the mean of the channel where it is largest. identity: says whether two
    clips are equal, sample by sample."""

    seconds: float
    rate: int
    channels: int
    level: float
    peak: float
    clipped: bool
    silence: tuple[float, float]
    offset: float
    identity: str


def measured(clip: Clip, edge: float = EDGE) -> Measure:
    """Measures of a clip; edge: dB of the loudest frame below which its ends are silence."""
    wave = clip.plain
    start, stop = sounding_part(wave, clip.rate, edge)
    means = wave.double().mean(dim=1)
    return Measure(
        seconds=clip.seconds,
        rate=clip.rate,
        channels=clip.channels,
        level=level_db(wave),
        peak=float(wave.abs().max()),
        clipped=clipped(wave),
        silence=(start / clip.rate, (clip.samples - stop) / clip.rate),
        offset=float(means[means.abs().argmax()]),
        identity=fingerprint(wave.numpy(), np.array(clip.rate)),
    )


def inspect(
    data: Dataset, *, rate: int | None = None, seconds: float | None = None, trim: float | None = None
) -> list[Row]:
    """A row (name, what was found) for each thing to know of the clips of a data set.

    rate, seconds, trim: how they will be prepared, as far as that is known; those that are absent are taken from
    details["preparation"]. With seconds, it is said how many clips are cut and how many filled up with silence. Where
    details["begun"] says that only so many seconds of each were read, the report is of these, and says so.
    """
    clips = checked(data.objects)
    if not clips:
        raise DataError("there are no sounds to report on: at least one clip is needed")
    settings = dict(data.details.get("preparation", {}))
    rate, seconds, trim = rate or settings.get("rate"), seconds or settings.get("seconds"), trim or settings.get("trim")
    names = _names(data)
    found = [measured(clip, EDGE if trim is None else trim) for clip in clips]
    begun = data.details.get("begun")
    rows = _begun(found, names, begun) + _sizes(found) + _levels(found, names) + _faults(found, names, begun)
    rows += _classes(data.condition)
    rows += _preparation(clips, found, rate, seconds, trim)
    rows += [(f"left out, {_times(count)}", reason) for reason, count in _reasons(data).most_common()]
    return rows


def _begun(found: Sequence[Measure], names: Sequence[str], begun: float | None) -> list[Row]:
    """What was not read, of which no row can tell."""
    if begun is None:
        return []
    going_on = _share(found, names, lambda each: _reaches(each, begun))
    return [(f"read no further than {begun:g} s", f"{going_on}; lengths and all else here are of what was read")]


def _reaches(each: Measure, begun: float | None) -> bool:
    """Whether a clip may go on where reading stopped; samples of a new rate end within one of it."""
    return begun is not None and each.seconds > begun - 2 / each.rate


def _sizes(found: Sequence[Measure]) -> list[Row]:
    seconds = np.array([each.seconds for each in found])
    rates = Counter(f"{each.rate:,} Hz" for each in found)
    channels = Counter("mono" if each.channels == 1 else "stereo" for each in found)
    return [
        ("seconds", f"{_spread(seconds)}; {_duration(float(seconds.sum()))} in all"),
        ("sample rates", _counts(rates)),
        ("channels", _counts(channels)),
    ]


def _levels(found: Sequence[Measure], names: Sequence[str]) -> list[Row]:
    total = sum(each.seconds for each in found)
    before, after = (sum(each.silence[end] for each in found) for end in (0, 1))
    return [
        ("level, dB of full scale", _spread(np.array([each.level for each in found]), ".1f")),
        ("silence at the ends", f"{before / total:.1%} of the time before sounds, {after / total:.1%} after them"),
        (f"silent, below {SILENT:g} dB", _share(found, names, lambda each: each.level < SILENT)),
    ]


def _faults(found: Sequence[Measure], names: Sequence[str], begun: float | None) -> list[Row]:
    largest = max(range(len(found)), key=lambda i: abs(found[i].offset))
    off = _share(found, names, lambda each: abs(each.offset) > OFFSET)
    above = _share(found, names, lambda each: each.peak > 1)
    return [
        (f"clipped, {RUN} samples at full scale", _share(found, names, lambda each: each.clipped)),
        ("beyond full scale, a peak above 1", f"{above}; the largest is {max(each.peak for each in found):.3g}"),
        (f"DC offset above {OFFSET:g}, taken away", f"{off}; the largest is {found[largest].offset:.2g}"),
        ("duplicates", _duplicates(found, names, begun)),
    ]


def _duplicates(found: Sequence[Measure], names: Sequence[str], begun: float | None) -> str:
    """Pairs that are equal in what was read of them: files that were read to their ends are one and the same."""
    first: dict[str, int] = {}
    pairs = [
        f"{names[i]} {'begins as' if _reaches(each, begun) else 'is'} {names[first[each.identity]]}"
        for i, each in enumerate(found)
        if first.setdefault(each.identity, i) != i
    ]
    return f"{len(pairs):,}: {_listed(pairs)}" if pairs else "none"


def _classes(condition: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for name, given in condition.items():
        values = np.asarray(given)
        if values.ndim == 1 and values.dtype.kind != "f":
            rows.append((name, _counts(Counter(map(str, values.tolist())))))
        elif values.ndim == 1:
            rows.append((name, f"numbers, {_spread(values)}"))
    return rows


def _preparation(
    clips: Sequence[Clip], found: Sequence[Measure], rate: int | None, seconds: float | None, trim: float | None
) -> list[Row]:
    """What becomes of the clips at the rate and length of training; a proposal where no length is known."""
    sounding = [each.seconds - (0 if trim is None else sum(each.silence)) for each in found]
    if seconds is None:
        rows: list[Row] = [("a length that holds 95%", f"seconds={float(np.quantile(sounding, 0.95)):.3g}")]
    else:
        longer = sum(each > seconds + 1e-6 for each in sounding)
        missing = sum(max(0.0, seconds - each) for each in sounding) / (seconds * len(found))
        text = f"{longer / len(found):.1%} are longer and cut, {missing:.1%} of the time is silence after shorter ones"
        rows = [(f"at {seconds:g} s", text)]
    if rate is not None:
        rows += _rates(clips, rate)
    return rows


def _rates(clips: Sequence[Clip], rate: int) -> list[Row]:
    """What a change of the rate takes from clips that have a higher one, and what clips of a lower one lack."""
    rows: list[Row] = []
    higher = [clip for clip in clips if clip.rate > rate]
    lower = [clip for clip in clips if clip.rate < rate]
    if higher:
        lost = np.mean([_lost(clip, rate) for clip in higher[:: -(-len(higher) // _RESAMPLED)]])
        rows.append((f"at {rate:,} Hz", f"{lost:.1%} of the power is lost, which is above {rate // 2:,} Hz"))
    if lower:
        least = min(clip.rate for clip in lower)
        said = f"{len(lower):,} of {len(clips):,} clips, the lowest of which has nothing above {least // 2:,} Hz"
        rows.append((f"below {rate:,} Hz", said))
    return rows


def _lost(clip: Clip, rate: int) -> float:
    """The share of a clip's power that is gone at this rate."""
    before = float(clip.plain.double().square().sum()) / clip.rate
    after = float(resampled(clip.plain, clip.rate, rate).double().square().sum()) / rate
    return max(0.0, 1 - after / before) if before > 0 else 0.0


def _reasons(data: Dataset) -> Counter[str]:
    """Why records were left out, and how many for each reason; numbers in reasons do not tell them apart."""
    return Counter(re.sub(r"\d[\d,.]*", "N", record.reason) for record in data.rejected)


def _names(data: Dataset) -> list[str]:
    """What clips are called: their files, where there is one for each, else their numbers."""
    files = data.details.get("files", ())
    return list(files) if len(files) == len(data) else [f"clip {index}" for index in range(len(data))]


def _share(found: Sequence[Measure], names: Sequence[str], fault: Callable[[Measure], bool]) -> str:
    """How many have a fault, and the first few of them by name."""
    having = [name for name, each in zip(names, found, strict=True) if fault(each)]
    return f"{len(having):,} of {len(found):,}: {_listed(having)}" if having else "none"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _counts(counts: Counter[str]) -> str:
    if len(counts) > _CLASSES:
        return f"{len(counts):,} classes, of {min(counts.values()):,} to {max(counts.values()):,} clips"
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))


def _spread(values: Array, form: str = ".3g") -> str:
    low, first, middle, last, high = np.quantile(values, [0, 0.05, 0.5, 0.95, 1])
    return f"{low:{form}} to {high:{form}}, median {middle:{form}}, most {first:{form}} to {last:{form}}"


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
