"""Adapters are found by entry point, also those of other packages."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pfgm_science import adapters
from pfgm_science.errors import CheckpointError, ConfigError
from pfgm_science.model import fit, load

# An adapter as somebody else would write it: angles, as points on the unit circle.
MODULE = """
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
import torch
from torch import nn
from pfgm_science.batch import Batch
from pfgm_science.data import Dataset, DatasetInfo

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
    def forward(self, x, noise_level, condition=None, mask=None):
        return self.layer(torch.cat([x, noise_level[:, None]], 1))

@dataclass(frozen=True)
class Angles:
    name: ClassVar[str] = "angles"
    @classmethod
    def restore(cls, settings): return cls()
    def settings(self): return {}
    def fit(self, data): return self
    def encode(self, objects):
        a = np.asarray(objects, dtype=np.float64)
        return Batch(torch.from_numpy(np.stack([np.cos(a), np.sin(a)], 1)).float())
    def decode(self, batch):
        x, y = batch.values.double().numpy().T
        return np.arctan2(y, x)
    def template(self, count, seed): return Batch(torch.zeros(count, 2))
    def network(self, settings, specs): return Net()
    def recipe(self, count): return {"dimension": 16.0, "training": {"steps": 20, "batch_size": 8}}
    def read(self, path, **options): return Dataset(np.loadtxt(path))
    def write(self, path, objects): np.savetxt(path, objects)
    def datasets(self): return [DatasetInfo("even", "even angles", "CC0-1.0", "made", "100")]
    def dataset(self, name): return Dataset(np.linspace(-3, 3, 100), name=name, licence="CC0-1.0")
    def features(self, objects): return self.encode(objects).values.double().numpy()
    def picture(self, objects, title=""): raise NotImplementedError
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a package as an installer leaves it."""
    site = tmp_path / "site"
    info = site / "angles_for_pfgm-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: angles-for-pfgm\nVersion: 1.0\n")
    (info / "RECORD").write_text("angles_for_pfgm.py,,\n")
    (info / "entry_points.txt").write_text(
        "[pfgm_science.adapters]\nangles = angles_for_pfgm:Angles\n"
        "broken = angles_for_pfgm:Nothing\nmissing = a_module_that_nobody_has:Thing\n"
    )
    (site / "angles_for_pfgm.py").write_text(MODULE)
    return site


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(package))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "angles_for_pfgm", raising=False)
    return package


def test_the_adapters_of_this_distribution() -> None:
    assert {"images", "vectors"} <= set(adapters.names())
    assert adapters.find("vectors").name == "vectors"
    assert "angles" not in adapters.names()


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"no modality 'vector'; there are .*images.*vectors\. Did you mean 'vectors'"
    ):
        adapters.find("vector")
    with pytest.raises(ConfigError, match=r"'zzz'.*If another package brings it, install that package"):
        adapters.find("zzz")


def test_adapter_of_another_package_trains_saves_and_loads(installed: Path, tmp_path: Path) -> None:
    assert "angles" in adapters.names()
    adapter = adapters.find("angles")()
    assert isinstance(adapter, adapters.Adapter)
    model = fit(adapter, adapter.dataset("even"), folder=tmp_path / "run")
    assert (model.config.adapter, model.config.dimension, model.config.training.steps) == ("angles", 16.0, 20)
    samples = model.sample(5, evaluations=5)
    assert samples.shape == (5,) and np.abs(samples).max() <= np.pi
    np.testing.assert_array_equal(load(tmp_path / "run").sample(5, evaluations=5), samples)


def test_adapter_that_cannot_be_loaded_says_why(installed: Path) -> None:
    with pytest.raises(ConfigError, match=r"'broken' \(angles_for_pfgm:Nothing\) cannot be loaded: .*Nothing"):
        adapters.find("broken")
    with pytest.raises(ConfigError, match=r"'missing'.*cannot be loaded: .*a_module_that_nobody_has"):
        adapters.find("missing")


def test_checkpoint_of_an_adapter_that_is_not_installed(package: Path, tmp_path: Path) -> None:
    """One process has the package and trains by name, another (this one) has it not."""
    script = (
        "import sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from pfgm_science import adapters\n"
        "from pfgm_science.model import fit, load\n"
        "adapter = adapters.find('angles')()\n"
        "fit(adapter, adapter.dataset('even'), steps=2, folder=sys.argv[1])\n"
        "print(len(load(sys.argv[1]).sample(4, evaluations=3)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "4"
    with pytest.raises(CheckpointError, match=r"no modality 'angles'; there are .*install that package"):
        load(tmp_path / "run")
