from __future__ import annotations

import pytest
import torch

from pfgm_science.batch import Batch, concatenate, expand, free_coordinates


def batch(n: int = 3, masked: bool = True, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, 2, 4, generator=generator)
    mask = (torch.rand(n, 2, 4, generator=generator) < 0.5).float()
    condition = {"label": torch.arange(n), "vector": torch.randn(n, 2, generator=generator)}
    return Batch(values, mask if masked else None, condition)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="mask has shape"):
        Batch(torch.zeros(3, 2), torch.zeros(3, 1))
    with pytest.raises(ValueError, match=r"condition 'label' has .* samples"):
        Batch(torch.zeros(3, 2), condition={"label": torch.zeros(2)})


@pytest.mark.parametrize("index", [slice(1, 3), torch.tensor([2, 0])])
def test_samples_are_chosen_with_their_mask_and_condition(index: slice | torch.Tensor) -> None:
    whole = batch()
    part = whole[index]
    assert len(part) == 2 and part.mask is not None and part.condition is not None
    assert whole.mask is not None and whole.condition is not None
    assert torch.equal(part.values, whole.values[index]) and torch.equal(part.mask, whole.mask[index])
    assert all(torch.equal(part.condition[k], whole.condition[k][index]) for k in whole.condition)


def test_dtype_is_that_of_values_and_mask_alone() -> None:
    moved = batch().to("cpu", torch.float64)
    assert moved.values.dtype == torch.float64 and moved.mask is not None and moved.mask.dtype == torch.float64
    assert moved.condition is not None and moved.condition["label"].dtype == torch.int64
    assert batch().to("cpu").values.dtype == torch.float32
    assert batch().to(dtype=torch.float64).values.dtype == torch.float64


def test_concatenation_fills_in_missing_masks() -> None:
    one, two = batch(3), batch(2, masked=False, seed=1)
    both = concatenate([one, two])
    assert len(both) == 5 and both.mask is not None and one.mask is not None and both.condition is not None
    assert torch.equal(both.mask, torch.cat([one.mask, torch.ones(2, 2, 4)]))
    assert torch.equal(both.condition["label"], torch.tensor([0, 1, 2, 0, 1]))
    assert concatenate([two, two]).mask is None
    assert concatenate([Batch(torch.zeros(1, 2))]).condition is None


def test_free_coordinates_are_counted_per_sample() -> None:
    values = torch.zeros(2, 3, 5)
    mask = torch.zeros(2, 3, 5)
    mask[0, 0] = 1
    mask[1] = 1
    assert free_coordinates(values, None).tolist() == [15, 15]
    assert free_coordinates(values, mask).tolist() == [5, 15]
    assert free_coordinates(values.double(), mask.bool()).dtype == torch.float64
    assert free_coordinates(torch.zeros(0, 3), None).shape == (0,)


def test_expand_broadcasts_over_the_shape_of_a_sample() -> None:
    assert expand(torch.ones(4), torch.zeros(4, 3, 2)).shape == (4, 1, 1)
    assert expand(torch.ones(4), torch.zeros(4)).shape == (4,)
