"""The speed benchmark compares the same work on both sides, counted in calls of the network. No test on a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from benchmarks import speed
from benchmarks.runner import Table
from pfgm_science.denoiser import Preconditioned
from pfgm_science.errors import PfgmError
from pfgm_science.solvers import FIXED


class Counted:
    """Stands in for `_ratio` and `_denoiser`: runs each side once and counts the images that networks were shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images, self.sides = 0, (0, 0)
        build = speed._denoiser

        def denoiser() -> Preconditioned:
            built = build()
            built.network.register_forward_hook(self.seen)
            return built

        def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int, what: str, inner: int = 1) -> Any:
            self.sides = (self.count(ours), self.count(theirs))
            return {"value": 1.0, "what": what, "peer_seconds": 10.0}

        monkeypatch.setattr(speed, "_denoiser", denoiser)
        monkeypatch.setattr(speed, "_ratio", ratio)

    def seen(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        self.images += len(arguments[0])

    def count(self, function: Callable[[], Any]) -> int:
        self.images = 0
        function()
        return self.images


@pytest.mark.parametrize(
    ("measure", "images"),
    [("training", 64), ("azula", 16 * 16), ("diffusers_euler", 16 * 9), ("diffusers_dpm2m", 16 * 9)],
)
def test_both_sides_call_the_network_alike(measure: str, images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    try:
        getattr(speed, measure)(1)
    except PfgmError as error:
        pytest.skip(str(error))  # azula and diffusers are peers, not dependencies
    assert counted.sides == (images, images)


@pytest.mark.parametrize("solver", [*FIXED, "stochastic"])
def test_every_loop_is_compared_with_as_many_bare_calls(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    speed.loop(solver, 1)
    assert counted.sides[0] == counted.sides[1] and 16 * 16 <= counted.sides[0] <= 16 * 17


@pytest.mark.parametrize("way", ["bfloat16"])
def test_the_network_is_run_in_two_ways(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    speed.network(way, 1)
    assert counted.sides == (64, 64)


def test_ratios_are_kept_with_their_goal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--only", "noise", "noise-bound", "--repeats", "2", "--results", str(tmp_path)]
    assert speed.main(words) == 0
    cells = Table("speed", tmp_path).cells
    assert {cell["key"]["measure"] for cell in cells} == {"noise", "noise-bound"}
    for cell in cells:
        figures = cell["figures"]
        assert 0 < figures["low"] <= figures["value"] <= figures["high"]
        assert figures["goal"] == speed.GOALS[cell["key"]["measure"]]
    before = (tmp_path / "speed.json").read_bytes()
    assert speed.main(words) == 0 and (tmp_path / "speed.json").read_bytes() == before
    assert "goal <= 0.1" in capsys.readouterr().out
    assert speed.main([*words, "--again"]) == 0 and (tmp_path / "speed.json").read_bytes() != before
