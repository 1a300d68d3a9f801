from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pfgm_science.condition import (
    DIMENSION,
    ConditionEmbedding,
    ConditionSpec,
    describe,
    dimension_feature,
    drop,
    encode,
    without,
)
from pfgm_science.errors import ConfigError, DataError

SPECS = (ConditionSpec("digit", "class", 3, ("0", "1", "7")), ConditionSpec("weight", "vector", 2))


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_whole_numbers_and_strings_are_classes_and_fractions_are_vectors() -> None:
    specs = describe({
        "digit": np.array([7, 0, 1, 7]),
        "kind": ["cat", "dog", "cat", "ant"],
        "flag": np.array([True, False, True, True]),
        "mass": np.array([0.5, 1.0, 2.0, 3.0]),
        "place": np.zeros((4, 3), np.float32),
    })  # fmt: skip
    assert specs == (
        ConditionSpec("digit", "class", 3, ("0", "1", "7")),
        ConditionSpec("kind", "class", 3, ("ant", "cat", "dog")),
        ConditionSpec("flag", "class", 2, ("False", "True")),
        ConditionSpec("mass", "vector", 1),
        ConditionSpec("place", "vector", 3),
    )
    assert describe({}) == ()


def test_classes_keep_the_order_of_their_numbers() -> None:
    (spec,) = describe({"digit": np.array([10, 9, 100])})
    assert spec.classes == ("9", "10", "100")


@pytest.mark.parametrize("value", [np.zeros((4, 2), complex), np.zeros((4, 0)), np.array([None, "a"]), np.float64(1)])
def test_what_is_neither_class_nor_vector_is_refused(value: np.ndarray) -> None:
    with pytest.raises(DataError, match="condition 'odd' has type"):
        describe({"odd": value})


def test_labels_of_bytes_are_read_as_text() -> None:
    labels = np.array([b"cat", b"dog", b"cat"])
    specs = describe({"kind": labels})
    assert specs[0].classes == ("cat", "dog")
    assert encode(specs, {"kind": labels}, 3)["kind"].tolist() == [0, 1, 0]


def test_the_name_of_d_itself_is_kept() -> None:
    with pytest.raises(DataError, match="this name is kept for D itself"):
        describe({DIMENSION: np.zeros((4, 2))})


def test_encoding_gives_indices_and_rows() -> None:
    encoded = encode(SPECS, {"digit": [7, 0, 1], "weight": np.arange(6).reshape(3, 2)}, 3)
    assert encoded["digit"].tolist() == [2, 0, 1] and encoded["digit"].dtype == torch.int64
    assert encoded["weight"].tolist() == [[0, 1], [2, 3], [4, 5]] and encoded["weight"].dtype == torch.float32


def test_one_value_is_repeated() -> None:
    for digit in (7, "7", [7], np.array([7])):
        assert encode(SPECS, {"digit": digit}, 4)["digit"].tolist() == [2] * 4
    for weight in ([1.0, 2.0], [[1.0, 2.0]]):
        assert encode(SPECS, {"weight": weight}, 4)["weight"].tolist() == [[1, 2]] * 4
    scalar = (ConditionSpec("mass", "vector", 1),)
    assert encode(scalar, {"mass": 3.0}, 2)["mass"].tolist() == [[3], [3]]
    assert encode(scalar, {"mass": [3.0, 4.0]}, 2)["mass"].tolist() == [[3], [4]]


def test_what_is_not_given_says_so() -> None:
    encoded = encode(SPECS, {}, 2)
    assert encoded["digit"].tolist() == [-1, -1] and encoded["digit"].dtype == torch.int64
    assert encoded["weight"].shape == (2, 2) and bool(encoded["weight"].isnan().all())


def test_what_is_described_can_be_encoded() -> None:
    values = {
        "kind": np.array(["b", "a", "b"]),
        "flag": np.array([True, False, True]),
        "mass": np.array([1.0, 2.0, 3.0]),
    }
    encoded = encode(describe(values), values, 3)
    assert encoded["kind"].tolist() == [1, 0, 1] and encoded["flag"].tolist() == [1, 0, 1]
    assert encoded["mass"].tolist() == [[1], [2], [3]]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"digits": 7}, r"'digits' is not one of this model's conditions \('digit', 'weight'\)"),
        ({"digit": 5}, r"digit '5' is not a class of this model \(0, 1, 7\)"),
        ({"digit": [0, 1]}, "has 2 values for 3 samples"),
        ({"weight": [1.0, 2.0, 3.0]}, r"has shape \(3,\); it must be \(3, 2\)"),
        ({"weight": "heavy"}, "condition 'weight' is 'heavy': it must be numbers, 2 a sample"),
        ({"weight": np.zeros((2, 2))}, r"has shape \(2, 2\); it must be \(3, 2\)"),
    ],
)
def test_unknown_and_misshapen_conditions_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encode(SPECS, given, 3)


def test_the_nearest_class_is_offered_and_models_without_conditions_say_so() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'Scarf'\?"):
        encode((ConditionSpec("kind", "class", 2, ("Scarf", "Boot")),), {"kind": "scarf"}, 1)
    with pytest.raises(ConfigError, match="trained without conditions"):
        encode((), {"kind": "scarf"}, 1)


def condition(count: int = 1000) -> dict[str, torch.Tensor]:
    return {"digit": torch.arange(count), "weight": torch.ones(count, 2), DIMENSION: torch.ones(count, 2)}


def test_a_sample_loses_all_its_conditions_or_none_and_keeps_its_dimension() -> None:
    dropped = drop(condition(), 0.3, gen())
    assert dropped is not None
    gone = dropped["digit"] == -1
    # Binomial, standard error 14.5 samples; 5 of them fail by luck once in 2e6 seeds.
    assert abs(int(gone.sum()) - 300) < 73
    assert torch.equal(dropped["weight"].isnan().all(1), gone) and torch.equal(dropped["weight"].isnan().any(1), gone)
    assert torch.equal(dropped["digit"][~gone], torch.arange(1000)[~gone])
    assert torch.equal(dropped[DIMENSION], torch.ones(1000, 2))
    again = drop(condition(), 0.3, gen())
    assert again is not None and torch.equal(again["digit"], dropped["digit"])


def test_dropping_never_always_and_nothing() -> None:
    whole = condition(5)
    assert drop(whole, 0.0, gen()) is whole
    assert drop(None, 0.5, gen()) is None and drop({}, 0.5, gen()) == {}
    all_gone, bare = drop(whole, 1.0, gen()), without(whole)
    assert all_gone is not None and bare is not None
    for name in whole:
        torch.testing.assert_close(all_gone[name], bare[name], equal_nan=True)
    assert bare["digit"].tolist() == [-1] * 5 and bool(bare["weight"].isnan().all())
    assert torch.equal(bare[DIMENSION], whole[DIMENSION])
    assert whole["digit"].tolist() == [0, 1, 2, 3, 4]
    assert without(None) is None


def embedding(specs: tuple[ConditionSpec, ...] = SPECS) -> ConditionEmbedding:
    made = ConditionEmbedding(specs, 8)
    with torch.no_grad():
        for i, p in enumerate(made.parameters()):
            p.copy_(torch.randn(p.shape, generator=gen(i)))
    return made


def test_absent_conditions_embed_as_not_given() -> None:
    embed = embedding()
    absent = embed(None, 4)
    assert absent.shape == (4, 8) and bool(torch.isfinite(absent).all())
    torch.testing.assert_close(absent, embed({}, 4))
    torch.testing.assert_close(absent, embed(encode(SPECS, {}, 4), 4))
    torch.testing.assert_close(absent, embed(without(encode(SPECS, {"digit": 7, "weight": [0.0, 0.0]}, 4)), 4))


def test_every_condition_tells_samples_apart() -> None:
    embed = embedding()
    rows = [
        embed(encode(SPECS, given, 1), 1)
        for given in (
            {},
            {"digit": 0},
            {"digit": 7},
            {"weight": [0, 0]},
            {"weight": [0, 1]},
            {"digit": 7, "weight": [0, 1]},
        )
    ]
    assert float(torch.pdist(torch.cat(rows).detach()).min()) > 0.1


@pytest.mark.parametrize("name", ["type", "half", "values", "a.b", ""])
def test_any_name_can_be_embedded(name: str) -> None:
    spec = ConditionSpec(name, "class", 2, ("a", "b"))
    assert embedding((spec,))(encode([spec], {name: "b"}, 3), 3).shape == (3, 8)


def test_an_embedding_is_a_sum_over_conditions_and_learns_every_part() -> None:
    embed = embedding()
    digit, weight = encode(SPECS, {"digit": 7}, 1), encode(SPECS, {"weight": [1, 2]}, 1)
    both = {"digit": digit["digit"], "weight": weight["weight"]}
    torch.testing.assert_close(embed(both, 1), embed(digit, 1) + embed(weight, 1) - embed(None, 1))
    (embed(both, 1).sum() + embed(None, 1).sum()).backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in embed.parameters())


def test_the_dimension_is_a_finite_feature_for_every_d() -> None:
    D = torch.tensor([1e-3, 0.5, 1.0, 64.0, 2048.0, 1e12, math.inf])
    feature = dimension_feature(D, torch.full((7,), 3072))
    assert feature.shape == (7, 2) and feature.dtype == torch.float32
    assert bool(torch.isfinite(feature).all()) and feature[-1].tolist() == [0, 0]
    assert bool((feature[:-1].diff(dim=0) < 0).all())
    torch.testing.assert_close(feature[-2], feature[-1], rtol=0, atol=1e-5)


def test_a_tensor_a_sample_is_the_vector_of_its_entries() -> None:
    maps = np.arange(24.0).reshape(4, 2, 3)
    (spec,) = describe({"map": maps})
    assert (spec.kind, spec.size) == ("vector", 6)
    assert torch.equal(encode([spec], {"map": maps}, 4)["map"], torch.arange(24.0).reshape(4, 6))
    assert torch.equal(encode([spec], {"map": maps[1]}, 3)["map"], torch.arange(6.0, 12.0).repeat(3, 1))
    with pytest.raises(ConfigError, match=r"\(3, 2, 3\); it must be \(4, 6\)"):
        encode([spec], {"map": maps[:3]}, 4)
