"""Small trained models that come with an adapter: found by name, so that a first sample needs no training.

They are the .safetensors files in the folder `models` beside an adapter's module.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfgm_science import adapters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pfgm_science.model import Model

FOLDER = "models"


def models() -> dict[str, Path]:
    """Name -> file of every model that comes with an installed adapter."""
    found: dict[str, Path] = {}
    for point in entry_points(group=adapters.GROUP):
        spec = importlib.util.find_spec(point.module.rpartition(".")[0] or point.module)
        for place in (spec.submodule_search_locations or []) if spec else []:
            found |= {file.stem: file for file in sorted((Path(place) / FOLDER).glob("*.safetensors"))}
    return found


def resolved(path: str | Path) -> Path:
    """The path itself if there is something, else the shipped model of that name, else the path."""
    given = Path(path)
    return given if given.exists() else models().get(str(path), given)


def ship(model: Model, path: str | Path, figures: Mapping[str, Any], recipe: str) -> None:
    """Write a model in half its size (bfloat16), with its card inside: figures, and the command that trained it.

    Data, licence and settings are in the header of every model; figures and recipe join them there.
    """
    from dataclasses import replace

    import torch

    card = {**model.history, "figures": dict(figures), "recipe": recipe}
    replace(model, history=card).save(path, dtype=torch.bfloat16)
