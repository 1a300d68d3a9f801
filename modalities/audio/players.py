"""Players: sounds that a page holds within itself, each beside its spectrogram, all equally loud."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from modalities.audio.codec import encoded
from modalities.audio.levels import FLOOR, sounding_db
from modalities.audio.objects import Clip, checked
from modalities.audio.spectrograms import thumbnail
from pfgm_science.errors import DataError
from pfgm_science.report import Html

LEVEL, PEAK = -20.0, -1.0  # dB of full scale: the level of every player, and what no sample may exceed
MOST_GAIN = 40.0  # dB: what is quieter than that is silence, and stays quiet
SHORT = 5.0  # seconds: longer clips have the controls of the browser as well, to move about in them
LARGEST = 512 * 1024  # bytes of an uncompressed file; what is larger is embedded as mp3
MOMENT = 0.05  # seconds that an ear takes in at a time
GATE = 20.0  # dB below the loudest moment; what is quieter is hardly heard beside it, and does not count

LOUDNESS = (
    f"Every clip is played equally loud (−{-LEVEL:g} dB RMS while it sounds, less where peaks would pass −{-PEAK:g} "
    "dB); the level below it is its own. Colours span 80 dB down from the loudest point of each clip; frequencies rise "
    "from 0 to half the sample rate."
)

STYLE, SCRIPT = (Path(__file__).with_name(f"players.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))

Cell = Clip | tuple[Clip, str] | None


def level(clip: Clip) -> float:
    """Level of a clip where it sounds, in dB of full scale: the RMS of its moments (50 ms) within 20 dB of the loudest.

    Silence before and after does not count, so that a short sound is not taken for a quiet one. levels.FLOOR for a clip
    that is silent altogether.
    """
    size = max(1, round(MOMENT * clip.rate))
    whole = max(clip.samples // size * size, min(size, clip.samples))  # a few last samples are no moment
    return sounding_db(clip.plain[:, :whole], clip.rate, MOMENT, -GATE)


def levelled(clip: Clip) -> Clip:
    """The clip at the level LEVEL, or as loud as peaks of PEAK allow; gain is one number, so its shape is unchanged."""
    wave = clip.plain
    if not wave.any():
        return clip
    peak = 20 * math.log10(float(wave.abs().max()))
    gain = min(LEVEL - level(clip), MOST_GAIN, PEAK - peak)
    return Clip(wave * 10 ** (gain / 20), clip.rate)


def file(clip: Clip) -> tuple[str, bytes]:
    """MIME type and bytes of a file that every browser plays: wav of 16 bits, or mp3 where that were over LARGEST."""
    if 2 * clip.waveform.numel() > LARGEST:
        try:
            return "audio/mpeg", encoded(clip, ".mp3")
        except DataError:  # it has no such rate: then the page is larger, and nothing else
            pass
    return "audio/wav", encoded(clip, ".wav")


def player(clip: Clip, title: str = "", note: str = "", name: str = "", seconds: float = 0.0) -> str:
    """A fragment of HTML: a spectrogram that plays its clip when it is clicked on, at one level for all.

    title stands above, the duration and level of the clip and then note below; name: what it is for those who do not
    see it (title, if none). seconds: what the width of the picture stands for (the duration of the clip, if that is
    longer). The page needs STYLE and SCRIPT as well, and nothing else: sound and picture are within the fragment.
    """
    (clip,) = checked([clip])
    called = escape(name or title or "sound", quote=True)
    kind, data = file(levelled(clip))
    own = level(clip)
    loudness = "silent" if own <= FLOOR else f"{own:.0f} dB".replace("-", "−")
    below = [f"{clip.seconds:.2g} s, {loudness}" if clip.seconds < 10 else f"{clip.seconds:.0f} s, {loudness}", note]
    width = 100 * min(1.0, clip.seconds / seconds) if seconds > 0 else 100
    controls = "controls " if clip.seconds > SHORT else ""
    # A browser makes some dozens of sounds of a page ready and no more: each is named in data, and made when played.
    return (
        f'<div class="player">{f"<b>{escape(title)}</b>" if title else ""}'
        f'<button type="button" aria-label="Play {called}" aria-pressed="false" style="--width:{width:.4g}%">'
        f'<img src="{_inside("image/png", thumbnail(clip))}" alt="Spectrogram of {called}"><i></i></button>'
        f'<audio {controls}preload="none" aria-label="{called}" data-seconds="{clip.seconds:.6g}" '
        f'data-sound="{_inside(kind, data)}"></audio>'
        f"{''.join(f'<small>{escape(line)}</small>' for line in below if line)}</div>"
    )


def wall(
    clips: Sequence[Clip], titles: Sequence[str] = (), notes: Sequence[str] = (), title: str = "", caption: str = ""
) -> Html:
    """Players beside each other, as many in a row as fit; title: what they are, before all of them; caption: after.

    Raises DataError for titles or notes that are not as many as clips, and for what is no clip.
    """
    shown = checked(clips)
    for what, given in (("titles", titles), ("notes", notes)):
        if given and len(given) != len(shown):
            raise DataError(f"{len(given)} {what} for {len(shown)} clips: give one to each, or none")
    longest = max((clip.seconds for clip in shown), default=0.0)
    parts = []
    for i, clip in enumerate(shown):
        above = titles[i] if titles else str(i + 1)
        name = f"{title} {above}".strip()
        parts.append(f"<li>{player(clip, above, notes[i] if notes else '', name, longest)}</li>")
    head = f"<p><strong>{escape(title)}</strong></p>" if title else ""
    foot = f"<p><small>{escape(caption)}</small></p>" if caption else ""
    return Html(f'{head}<ul class="players">{"".join(parts)}</ul>{foot}', STYLE, SCRIPT)


def listening_table(
    rows: Sequence[tuple[str, Sequence[Cell]]], columns: Sequence[str], heading: str = "", caption: str = LOUDNESS
) -> Html:
    """A grid to listen to: a row a class (or D, or number of steps), a column a kind (real, generated, nearest).

    rows: (name of the row, cells); a cell is a clip, a clip with a note that stands below it, or None for nothing.
    heading: what the names of rows are. It scrolls within the page where it is wider, names of rows stay in sight.

    Raises DataError for a row that is not as long as columns, and for what is no clip.
    """
    for name, cells in rows:
        if len(cells) != len(columns):
            raise DataError(f"the row {name!r} has {len(cells)} cells under {len(columns)} columns")
    clips = checked([cell[0] if isinstance(cell, tuple) else cell for _, row in rows for cell in row if cell])
    longest = max((clip.seconds for clip in clips), default=0.0)

    def shown(cell: Cell, name: str) -> str:
        if cell is None:
            return "<td></td>"
        clip, note = cell if isinstance(cell, tuple) else (cell, "")
        return f"<td>{player(clip, '', note, name, longest)}</td>"

    body = [
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(shown(cell, f"{name}, {column}") for cell, column in zip(cells, columns, strict=True))
        + "</tr>"
        for name, cells in rows
    ]
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in (heading, *columns))
    note = f"<caption><span>{escape(caption)}</span></caption>" if caption else ""
    return Html(
        f'<div class="table listening" tabindex="0"><table>{note}<thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>",
        STYLE,
        SCRIPT,
    )


def _inside(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
