"""pfgm-science: scientific generation with PFGM++.

    import pfgm_science as pfgm
    from modalities.images import Images

    model = pfgm.fit(Images(), images, dimension=128)
    new = model.sample(100, seed=0)
    model.save("mine.safetensors")

Names are imported when they are first used (PEP 562), so that importing the package takes no time and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pfgm_science.adapters import Adapter
    from pfgm_science.batch import Batch
    from pfgm_science.bends import Bends
    from pfgm_science.condition import ConditionEmbedding, ConditionSpec
    from pfgm_science.config import LevelsConfig, RunConfig, TrainingConfig
    from pfgm_science.constraints import Kept, Known
    from pfgm_science.data import Dataset, DatasetInfo
    from pfgm_science.denoiser import AtDimension, Denoiser, GivenDimension, Preconditioned, at_dimension
    from pfgm_science.editing import interpolate, vary
    from pfgm_science.errors import BadRecord, CheckpointError, ConfigError, DataError, PfgmError
    from pfgm_science.exact import FiniteSet, Gaussian, Mixture
    from pfgm_science.flow import LogDensity, log_density, transport
    from pfgm_science.guidance import EnergyGuided, Guided, autoguidance, classifier_free
    from pfgm_science.likelihood import Likelihood, log_likelihood
    from pfgm_science.measurement import Measured, Measurement
    from pfgm_science.model import Guidance, Model, fit, load
    from pfgm_science.noise import StudentT
    from pfgm_science.objective import denoising_loss
    from pfgm_science.sampling import last, sample
    from pfgm_science.schedule import Levels, karras, log_uniform
    from pfgm_science.solvers import (
        DEIS,
        IPNDM,
        DormandPrince,
        DPMSolver2M,
        DPMSolver3M,
        Euler,
        Heun,
        Solver,
        State,
        StochasticHeun,
        Trig2M,
        UniPC,
    )
    from pfgm_science.stochastic import Renewal, Repeated
    from pfgm_science.training import Interrupted, train

    __version__: str

_HOMES = {
    "adapters": ("Adapter",),
    "batch": ("Batch",),
    "bends": ("Bends",),
    "condition": ("ConditionEmbedding", "ConditionSpec"),
    "config": ("LevelsConfig", "RunConfig", "TrainingConfig"),
    "constraints": ("Kept", "Known"),
    "data": ("Dataset", "DatasetInfo"),
    "denoiser": ("AtDimension", "Denoiser", "GivenDimension", "Preconditioned", "at_dimension"),
    "editing": ("interpolate", "vary"),
    "errors": ("BadRecord", "CheckpointError", "ConfigError", "DataError", "PfgmError"),
    "exact": ("FiniteSet", "Gaussian", "Mixture"),
    "flow": ("LogDensity", "log_density", "transport"),
    "guidance": ("EnergyGuided", "Guided", "autoguidance", "classifier_free"),
    "likelihood": ("Likelihood", "log_likelihood"),
    "measurement": ("Measured", "Measurement"),
    "model": ("Guidance", "Model", "fit", "load"),
    "noise": ("StudentT",),
    "objective": ("denoising_loss",),
    "sampling": ("last", "sample"),
    "schedule": ("Levels", "karras", "log_uniform"),
    "solvers": (
        "DEIS",
        "IPNDM",
        "DPMSolver2M",
        "DPMSolver3M",
        "DormandPrince",
        "Euler",
        "Heun",
        "Solver",
        "State",
        "StochasticHeun",
        "Trig2M",
        "UniPC",
    ),
    "stochastic": ("Renewal", "Repeated"),
    "training": ("Interrupted", "train"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DEIS",
    "IPNDM",
    "Adapter",
    "AtDimension",
    "BadRecord",
    "Batch",
    "Bends",
    "CheckpointError",
    "ConditionEmbedding",
    "ConditionSpec",
    "ConfigError",
    "DPMSolver2M",
    "DPMSolver3M",
    "DataError",
    "Dataset",
    "DatasetInfo",
    "Denoiser",
    "DormandPrince",
    "EnergyGuided",
    "Euler",
    "FiniteSet",
    "Gaussian",
    "GivenDimension",
    "Guidance",
    "Guided",
    "Heun",
    "Interrupted",
    "Kept",
    "Known",
    "Levels",
    "LevelsConfig",
    "Likelihood",
    "LogDensity",
    "Measured",
    "Measurement",
    "Mixture",
    "Model",
    "PfgmError",
    "Preconditioned",
    "Renewal",
    "Repeated",
    "RunConfig",
    "Solver",
    "State",
    "StochasticHeun",
    "StudentT",
    "TrainingConfig",
    "Trig2M",
    "UniPC",
    "__version__",
    "at_dimension",
    "autoguidance",
    "classifier_free",
    "denoising_loss",
    "fit",
    "interpolate",
    "karras",
    "last",
    "load",
    "log_density",
    "log_likelihood",
    "log_uniform",
    "sample",
    "train",
    "transport",
    "vary",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """Of the installed package; "source" when it runs from a folder that was never installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pfgm-science")
    except PackageNotFoundError:
        return "source"
