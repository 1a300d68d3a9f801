"""What does not go together is refused, in words, before any work is done: the list of all pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modalities.vectors.adapter import Vectors
from pfgm_science.constraints import Known
from pfgm_science.editing import interpolate, vary
from pfgm_science.errors import ConfigError
from pfgm_science.likelihood import log_likelihood
from pfgm_science.measurement import Measurement
from pfgm_science.model import Guidance, Model, Start, fit
from pfgm_science.solvers import FIXED, SOLVERS, DormandPrince, StochasticHeun

TINY: dict[str, Any] = {"steps": 1, "batch_size": 8, "network": {"width": 8, "depth": 1, "embedding": 8}}
ROWS = np.random.default_rng(0).standard_normal((30, 3))
MASK = [True, False, False]
ADAPTIVE = [name for name, solver in SOLVERS.items() if isinstance(solver, DormandPrince)]
STOCHASTIC = [name for name, solver in SOLVERS.items() if isinstance(solver, StochasticHeun)]
FEW = {"evaluations": 3}


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    other = np.random.default_rng(0).standard_normal((30, 2))
    return {
        "D = inf": fit(Vectors(), ROWS, dimension=math.inf, **TINY),
        "D = 16": fit(Vectors(), ROWS, dimension=16, **TINY),
        "range": fit(Vectors(), ROWS, dimension_range=(8, 64), **TINY),
        "by class": fit(Vectors(), ROWS, condition={"kind": ["a", "b", "c"] * 10}, dimension=16, **TINY),
        "of two columns": fit(Vectors(), other, dimension=16, **TINY),
    }


PAIRS: dict[str, tuple[str, Callable[..., Any], str]] = {
    **{
        f"{name} and a number of evaluations": (
            "D = 16",
            lambda m, s=name: m.sample(2, solver=s, evaluations=9),
            "chooses its own",
        )
        for name in ADAPTIVE
    },
    **{
        f"{name} and kept parts": (
            "D = 16",
            lambda m, s=name: m.sample(2, solver=s, keep=Known(ROWS[:1], MASK)),
            "take another solver",
        )
        for name in ADAPTIVE
    },
    **{
        f"{name} and interpolation": (
            "D = 16",
            lambda m, s=name: interpolate(m, ROWS[:1], ROWS[1:2], solver=s),
            "adds noise",
        )
        for name in STOCHASTIC
    },
    "another D than the one of training": ("D = 16", lambda m: m.sample(2, dimension=8), "cannot run at D = 8"),
    "D outside the range of training": ("range", lambda m: m.sample(2, dimension=4), "knows nothing of D = 4"),
    "a likelihood at another D by at_dimension": (
        "D = inf",
        lambda m: log_likelihood(m, ROWS[:2], dimension=8),
        "leave --dimension out",
    ),
    "guidance without a condition": (
        "D = 16",
        lambda m: m.sample(2, guidance=2.0, **FEW),
        "trained without conditions",
    ),
    "guidance by a model of other objects": (
        "D = 16",
        lambda m: m.sample(2, guidance=Guidance(2.0, by=fit(Vectors(), ROWS[:, :2], dimension=16, **TINY))),
        "another kind or size",
    ),
    "guidance by a model of another D": (
        "D = 16",
        lambda m: m.sample(2, guidance=Guidance(2.0, by=fit(Vectors(), ROWS, dimension=8, **TINY))),
        "trained at D = 8 and cannot run at D = 16",
    ),
    "a condition the model does not know": ("D = 16", lambda m: m.sample(2, condition={"kind": "a"}), "kind"),
    "a class the model does not know": ("by class", lambda m: m.sample(2, condition={"kind": "d"}), "'d'"),
    "a start above the highest level": ("D = 16", lambda m: vary(m, ROWS[:2], 100.0), "can start between"),
    "kept parts and a start of other shapes": (
        "D = 16",
        lambda m: m.sample(3, keep=Known(ROWS[:1], MASK), start=Start(m.draw(2, **FEW), 1.0)),
        "cannot be drawn from what is given",
    ),
    "2 objects to keep for 3 samples": (
        "D = 16",
        lambda m: m.sample(3, keep=Known(ROWS[:2], MASK)),
        "one, or one a sample",
    ),
    "a mask of another shape": (
        "D = 16",
        lambda m: m.sample(2, keep=Known(ROWS[:1], [True, False])),
        "do not go together",
    ),
    "a mask of other values": ("D = 16", lambda m: m.sample(2, keep=Known(ROWS[:1], [2, 0, 0])), "true and false"),
    "masks for other objects": ("D = 16", lambda m: m.sample(2, keep=Known(ROWS[:2].tolist(), [MASK])), "one each"),
    "objects that are no arrays": (
        "D = 16",
        lambda m: m.sample(2, keep=Known(np.array([["a", "b", "c"]]), MASK)),
        "no such arrays",
    ),
    "no takes of a step": ("D = 16", lambda m: m.sample(2, keep=Known(ROWS[:1], MASK, 0)), "repeats is 0"),
    "takes between no levels": (
        "D = 16",
        lambda m: m.sample(2, keep=Known(ROWS[:1], MASK, 2, 1.0, 0.5)),
        "0 <= low <= high",
    ),
    "a measurement met again in steps of its own": (
        "D = 16",
        lambda m: m.sample(2, measurement=Measurement(np.eye(3)[:1], [0.0], repeats=2), solver="dopri5"),
        "take another solver",
    ),
    "a graph without a GPU": ("D = 16", lambda m: m.sample(2, graph=True), "needs a GPU"),
    "a graph of noise": ("D = 16", lambda m: m.sample(2, graph=True, solver="stochastic"), "cannot be recorded"),
    "a graph of steps of its own": ("D = 16", lambda m: m.sample(2, graph=True, solver="dopri5"), "cannot be recorded"),
    "a graph of known parts": (
        "D = 16",
        lambda m: m.sample(2, graph=True, keep=Known(ROWS[:1], MASK)),
        "nothing known",
    ),
    "a graph of an expectation": (
        "D = inf",
        lambda m: m.sample(2, graph=True, dimension=8),
        "cannot be recorded",
    ),
    "a grid of no name": ("D = 16", lambda m: m.sample(2, grid="carras"), "there are karras, log-uniform, fitted"),
    "a solver of no name": ("D = 16", lambda m: m.sample(2, solver="hoyn"), "there are euler, heun"),
    "a precision of no name": ("D = 16", lambda m: m.at_precision("float8"), "there are float32 and bfloat16"),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_what_does_not_go_together_is_refused(pair: str, models: dict[str, Model]) -> None:
    model, call, words = PAIRS[pair]
    with pytest.raises(ConfigError) as error:
        call(models[model])
    assert words in str(error.value)


def test_everything_else_goes_together(models: dict[str, Model]) -> None:
    """Every solver with every grid, guidance, kept parts and a start, but for the pairs above."""
    model, start = models["by class"], Start(models["by class"].draw(2, **FEW), 1.0)
    known = Known(ROWS[:1], MASK, 2)
    for name in SOLVERS:
        evaluations = 12 if name not in ADAPTIVE else None
        for grid in ("karras", "log-uniform", "fitted"):
            for more in ({}, {"keep": known}, {"start": start}, {"keep": known, "start": start}):
                if name in ADAPTIVE and "keep" in more:
                    continue
                drawn = model.sample(
                    2, solver=name, evaluations=evaluations, grid=grid, guidance=2.0, condition={"kind": "a"}, **more
                )
                assert np.isfinite(drawn).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sample", "--keep", "mask.npy"), "--keep needs --from"),
        (("sample", "--from", "rows.npy"), "--from needs --keep"),
        (("sample", "--repeats", "3"), "they need --keep or --measure"),
        (("sample", "--repeats-interval", "0.1,1"), "they need --keep or --measure"),
        (("sample", "--keep", "absent.npy", "--from", "rows.npy"), "absent.npy"),
        (("sample", "--keep", "rows.csv", "--from", "rows.npy"), "must be an .npy file"),
        (("sample", "--measure", "mask.npy"), "needs both --measure"),
        (("sample", "--measure", "mask.npy", "--result", "mask.npy"), "must be [measurements, 3]"),
        (("sample", "--measure", "rows.csv", "--result", "mask.npy"), "must be an .npy file"),
        (("sample", "--graph"), "needs a GPU"),
        (("sample", "--grid", "fited"), "Did you mean fitted"),
        (("sample", "--precision", "half"), "there are float32 and bfloat16"),
        (("sample", "--solver", "dopri5", "--keep", "mask.npy", "--from", "rows.npy"), "take another solver"),
        (("interpolate", "--from", "one.npy"), "at least 2"),
        (("interpolate", "--from", "rows.npy", "--solver", "stochastic"), "adds noise"),
        (("interpolate",), "--from"),
        (("vary", "--from", "rows.npy", "--level", "500"), "can start between"),
        (("vary", "--from", "absent.npy"), "neither a file or folder nor a data set"),
        (("vary", "--from", "rows.npy", "--label", "a"), "label"),
        (("likelihood", "--solver", "stochastic"), "--solver is not an option of `pfgm likelihood`"),
    ],
)
def test_the_command_line_refuses_in_words(
    words: tuple[str, ...],
    said: str,
    models: dict[str, Model],
    tmp_path: Path,
    pfgm: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    models["D = 16"].save(tmp_path / "model.safetensors")
    np.save(tmp_path / "mask.npy", np.array(MASK))
    np.save(tmp_path / "rows.npy", ROWS[:3])
    np.save(tmp_path / "one.npy", ROWS[:1])
    (tmp_path / "rows.csv").write_text("a,b,c\n1,2,3\n")
    answer = pfgm(words[0], "model.safetensors", *words[1:])
    assert answer.code == 2 and said in answer.err and "Traceback" not in answer.err
    assert not list(tmp_path.glob("*-seed0*"))


def test_no_fixed_solver_is_left_out_of_the_pairs() -> None:
    assert set(SOLVERS) == {*FIXED, *ADAPTIVE, *STOCHASTIC}
