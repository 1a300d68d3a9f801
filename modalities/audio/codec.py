"""One sound file and one clip: bytes of wav, flac, ogg (Vorbis, Opus), mp3 and aiff, in and out, by soundfile."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch

from modalities.audio.objects import MOST_CHANNELS, Clip
from modalities.audio.preparation import LEAST_RATE, MOST_RATE, mixed
from modalities.audio.resampling import resampled
from pfgm_science.errors import DataError

if TYPE_CHECKING:
    import soundfile

Array = np.ndarray[Any, Any]

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64")
LONGEST = 60.0  # seconds of a clip that is read whole
WRITTEN = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_BLOCK = 1 << 16  # frames that are read or written at once
_UNRECOGNISED = 1  # code of libsndfile
_SLOPPY = 64  # bytes; some programs count the header as sound
_OGG_PAGE = 27 + 255 + 255 * 255  # bytes of the largest
_LAST = 0x04  # flag of the page that ends an Ogg stream
_GOES_ON = b"\xff"  # the last length of a page whose last packet goes on in the next
_PCM = 32768
_LOUDEST = 100.0  # times full scale, 40 dB: no mix of floats passes it by as much, and integers of 8 bits do by more


def decoded(file: BinaryIO, *, rate: int | None = None, most: float | None = None) -> Clip:
    """The clip in a file, at its own rate or at `rate` Hz; DataError with the reason where it cannot be used.

    most: seconds that are read of it. Without, a file of more than 60 s is refused before anything of it is read.
    """
    import soundfile

    head = file.read(12)
    if not head:
        raise DataError("the file is empty")
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            _check_header(sound, most)
            _check_whole(file, sound, head)
            waveform = _waveform(sound, most)
            own = int(sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise DataError(_explained(error, head)) from error
    if not waveform.isfinite().all():
        raise DataError("it has samples that are not finite (NaN or infinite)")
    if (peak := float(waveform.abs().max())) > _LOUDEST:
        raise DataError(_too_loud(peak))
    return Clip(waveform if rate is None else resampled(waveform, own, rate), rate or own)


def encoded(clip: Clip, ending: str) -> bytes:
    """A file of the clip: 16 bits in .wav and .flac, so that what is beyond full scale is clipped; DataError for a rate
    that the format does not have."""
    import soundfile

    form, subtype = WRITTEN[ending]
    values = clip.plain.clamp(-1, 1).T.numpy()
    if subtype == "PCM_16":  # rounded here, because soundfile's own factor is not the inverse of its reading
        values = np.clip(np.rint(values * _PCM), -_PCM, _PCM - 1).astype(np.int16)
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(buffer, "w", clip.rate, clip.channels, subtype, format=form) as sound:
            for start in range(0, len(values), _BLOCK):  # libvorbis overflows its stack on minutes at once
                sound.write(values[start : start + _BLOCK])
    except (soundfile.LibsndfileError, ValueError) as error:
        raise DataError(
            f"a clip of {clip.rate} Hz cannot be written as {ending} ({error}): opus knows 8000, 12000, 16000, 24000 "
            "and 48000 Hz, mp3 what is common from 8000 to 48000; .wav takes any rate"
        ) from error
    return buffer.getvalue()


def in_a_row(clips: list[Clip], gap: float) -> Clip:
    """One clip of several, one after the other with `gap` seconds of silence between; DataError for mixed rates."""
    rates = {clip.rate for clip in clips}
    if len(rates) > 1:
        known = ", ".join(f"{rate}" for rate in sorted(rates))
        raise DataError(f"the clips have rates of {known} Hz, and one file has one: write a folder or a .zip")
    channels = max(clip.channels for clip in clips)
    silence = torch.zeros(channels, round(gap * clips[0].rate))
    parts = [part for clip in clips for part in (silence, mixed(clip.plain, channels))]
    return replace(clips[0], waveform=torch.cat(parts[1:], dim=1))


def _check_header(sound: soundfile.SoundFile, most: float | None) -> None:
    if not 1 <= sound.channels <= MOST_CHANNELS:
        raise DataError(
            f"it has {sound.channels} channels, and one (mono) or two (stereo) can be used: mix it down, or save its "
            "channels as files of their own"
        )
    if not LEAST_RATE <= sound.samplerate <= MOST_RATE:
        raise DataError(f"its sample rate is {sound.samplerate} Hz: {LEAST_RATE} to {MOST_RATE} can be used")
    if most is None and sound.seekable() and sound.frames > LONGEST * sound.samplerate:
        raise DataError(_too_long(sound.frames / sound.samplerate))


def _too_long(seconds: float) -> str:
    return f"it lasts {seconds:,.0f} s, longer than {LONGEST:g} s; give seconds= to use its first seconds"


def _too_loud(peak: float) -> str:
    return (
        f"its peak is {peak:.6g}, full scale is 1 and at most {_LOUDEST:g} can be used: samples that were saved as "
        f"floats without a change of scale must be divided by that of their integers ({_PCM} for 16 bits)"
    )


def _check_whole(file: BinaryIO, sound: soundfile.SoundFile, head: bytes) -> None:
    """DataError where less is there than the file says, which libsndfile passes over in .wav and .ogg."""
    said = re.search(r"^data : (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE)
    if said and head[:4] in (b"RIFF", b"RIFX"):
        promised, there = int(said[1]), int(said[2])
        if there + _SLOPPY < promised < 0x7FFF0000:  # beyond: what programs put there that write to a pipe
            raise DataError(f"truncated: {there} bytes of sound are there, and its header says {promised}")
    if head[:4] == b"OggS":
        _check_last_page(file)
    if not sound.frames:
        raise DataError("it has no samples")


def _check_last_page(file: BinaryIO) -> None:
    """DataError where the last Ogg page (RFC 3533, section 6) ends beyond the file, or in the middle of a packet.

    Some writers leave out the flag that ends a stream: a file without it is not refused for that alone.
    """
    place = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _OGG_PAGE))
    tail = file.read()
    file.seek(place)
    page = tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
    segments = page[26] if len(page) > 26 else 0
    lengths = page[27 : 27 + segments]
    if len(page) < 27 or len(lengths) < segments or len(page) < 27 + segments + sum(lengths):
        raise DataError("truncated: its last page is not whole")
    if not page[5] & _LAST and lengths[-1:] == _GOES_ON:
        raise DataError("truncated: its last page ends in the middle of a packet, and is not the last of its stream")


def _waveform(sound: soundfile.SoundFile, most: float | None) -> torch.Tensor:
    """Float32 [channels, samples], at most the first `most` seconds."""
    limit = round((LONGEST if most is None else most) * sound.samplerate)
    blocks = list(_blocks(sound, limit + 1))
    waveform = torch.from_numpy(np.concatenate(blocks)) if blocks else torch.zeros(0, sound.channels)
    if most is None and len(waveform) > limit:  # of a stream that does not say how long it is
        raise DataError(_too_long(len(waveform) / sound.samplerate))
    promised = min(sound.frames, limit)
    if len(waveform) < promised and sound.frames < 1 << 62:  # more: the length is not known
        raise DataError(f"truncated: {len(waveform)} of {sound.frames} samples are there")
    if not len(waveform):
        raise DataError("it has no samples")
    return waveform[:limit].T.contiguous()


def _blocks(sound: soundfile.SoundFile, limit: int) -> Iterator[Array]:
    while limit > 0:
        block = sound.read(min(limit, _BLOCK), dtype="float32", always_2d=True)
        if not len(block):
            return
        limit -= len(block)
        yield block


def _explained(error: soundfile.LibsndfileError, head: bytes) -> str:
    if error.code == _UNRECOGNISED:
        return f"no sound of a known format (it begins with {head!r})"
    why = "" if "does not exist" in error.error_string else f" ({error.error_string})"
    return f"damaged, truncated, or of an encoding that is not known{why}"


__all__ = ["LONGEST", "SUFFIXES", "WRITTEN", "decoded", "encoded", "in_a_row"]
