"""Networks of other people in the place of ours, on the same engine: audio-diffusion-pytorch's U-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from modalities.audio.adapter import Audio
from pfgm_science.batch import Condition
from pfgm_science.condition import ConditionSpec
from pfgm_science.embedding import NoiseEmbedding
from pfgm_science.errors import PfgmError

EMBEDDING = 128
# As its README sets it up for waveforms, with fewer channels and levels.
PEER: dict[str, Any] = {
    "channels": [32, 64, 128, 128, 128],
    "factors": [1, 4, 4, 4, 2],
    "items": [1, 2, 2, 2, 2],
    "attentions": [0, 0, 0, 1, 1],
    "attention_heads": 4,
    "attention_features": 32,
}


class PeerAudio(Audio):
    """Sounds as ours, of which the network is the U-Net of audio-diffusion-pytorch (MIT; F. Schneider, 2022)."""

    def network(self, settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
        return _Peer(self.channels, specs)


class _Peer(nn.Module):
    def __init__(self, channels: int, specs: Sequence[ConditionSpec]) -> None:
        super().__init__()
        self.embedding = NoiseEmbedding(EMBEDDING, specs)
        self.unet = unet_class()(
            dim=1,
            in_channels=channels,
            modulation_features=EMBEDDING,
            use_modulation=True,
            use_time_conditioning=False,  # the features are the embedding of noise level and class
            **PEER,
        )

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        answer: Tensor = self.unet(x, features=self.embedding(noise_level, condition))
        return answer


def unet_class() -> Any:
    """Its UNetV0; PfgmError that says how it is installed."""
    from modalities.audio.torch_audio import torchaudio  # noqa: F401  before it is imported there

    try:
        from audio_diffusion_pytorch import UNetV0
    except ImportError as error:
        raise PfgmError(
            f"the peer is not there ({error}): pip install --no-deps audio-diffusion-pytorch==0.1.3 a-unet==0.0.16 "
            "einops-exts==0.0.4"
        ) from None
    return UNetV0
