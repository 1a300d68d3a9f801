"""One graph for the whole loop: that nothing in it asks the device for a value, and the same samples on a GPU."""

from __future__ import annotations

import math
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from modalities.graphs.adapter import Graphs
from modalities.graphs.recipes import Tree
from modalities.images.adapter import Images
from modalities.vectors.adapter import Vectors
from pfgm_science.denoiser import GivenDimension, Remembering, at_dimension
from pfgm_science.guidance import autoguidance, classifier_free
from pfgm_science.model import Model, fit
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import karras
from pfgm_science.solvers import FIXED

LEVELS = karras(5).tolist()
TINY: dict[str, Any] = {"steps": 1, "batch_size": 4}
ROWS = np.random.default_rng(0).normal(size=(40, 20))
PICTURES = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
SMALL = {"channels": 4, "multipliers": [1]}
SLIM = {"width": 8, "pair_width": 8, "depth": 1, "heads": 2, "product": 2, "walks": 3, "embedding": 8}
NAMES = ("rows", "rows, any D", "pictures", "graphs")


class OnOneDevice(TorchDispatchMode):
    """Fails where an operation has a tensor elsewhere: it would be a copy from the host while a graph is recorded.

    On the device "meta", where tensors have no values, asking for one fails by itself.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        answer = func(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs, answer)):
            assert not isinstance(tensor, torch.Tensor) or tensor.is_meta, f"{func} has a tensor on {tensor.device}"
        return answer


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    kinds = {"kind": np.arange(40) % 2}
    return {
        "rows": fit(Vectors(), ROWS, condition=kinds, dimension=16, **TINY),
        "rows, any D": fit(Vectors(), ROWS, condition=kinds, dimension_range=(8, 64), **TINY),
        "pictures": fit(Images(), PICTURES, dimension=math.inf, network=SMALL, **TINY),
        "graphs": fit(Graphs(), Tree((4, 7)).draw(12, 0), dimension=64, network=SLIM, **TINY),
    }


WAYS = {
    "plain": lambda denoiser: denoiser,
    "guided": lambda denoiser: classifier_free(denoiser, 2.0, low=0.1, high=3.0),
    "guided by another": lambda denoiser: autoguidance(denoiser, denoiser, 2.0),
}


@pytest.mark.parametrize("solver", FIXED)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_the_loop_asks_for_a_value(
    name: str, way: str, solver: str, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *how, **more: nullcontext())  # has none for the device "meta"
    model = models[name]
    denoiser: Any = deepcopy(model.denoiser).to("meta")
    if name == "rows, any D":
        denoiser = GivenDimension(denoiser, 32.0)
    if name == "pictures":
        denoiser = at_dimension(denoiser, 64.0)
    if name == "graphs":
        denoiser = Remembering(denoiser)
    template = model.adapter.template(3, 0)
    mask = None if template.mask is None else torch.empty_like(template.mask, device="meta")
    condition = {"kind": torch.empty(3, dtype=torch.long, device="meta")} if model.specs else None
    x = torch.empty(template.values.shape, dtype=torch.float64, device="meta")
    with OnOneDevice():
        end = last(sample(WAYS[way](denoiser), x, LEVELS, solver=FIXED[solver], condition=condition, mask=mask))
    assert end.x.shape == x.shape and end.x.is_meta


def test_a_value_that_is_asked_for_is_found() -> None:
    """The check can fail: a branch on a value, and a number that comes from the host."""
    x = torch.empty(3, 2, dtype=torch.float64, device="meta")

    def branching(x, sigma, condition=None, mask=None):  # type: ignore[no-untyped-def]
        return x if bool((x > 0).any()) else -x

    def copying(x, sigma, condition=None, mask=None):  # type: ignore[no-untyped-def]
        return x * torch.tensor(0.5, dtype=x.dtype)

    for denoiser in (branching, copying):
        with pytest.raises((RuntimeError, AssertionError)), OnOneDevice():
            last(sample(denoiser, x, LEVELS))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="one graph for the whole loop needs a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_loop_draws_the_same(name: str, models: dict[str, Model]) -> None:
    model = models[name].to("cuda")
    how: dict[str, Any] = {"batch_size": 4, "evaluations": 9, "seed": 3}
    expected = model.draw(10, **how).values
    torch.testing.assert_close(model.draw(10, graph=True, **how).values, expected, rtol=1e-5, atol=1e-5)
