"""The command line: every command does what it says, says what it did, and leaves with the right code."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from command import Pfgm
from PIL import Image

from modalities.images.adapter import Images
from modalities.vectors import Vectors
from pfgm_science import checkpoint, cli, commands, demo, evaluation
from pfgm_science.constraints import Known
from pfgm_science.data import Dataset
from pfgm_science.editing import interpolate, vary
from pfgm_science.measurement import Measurement
from pfgm_science.model import Guidance, load
from pfgm_science.solvers import SOLVERS, DormandPrince
from pfgm_science.training import read_log

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("without_tensorboard")
TINY = ("--steps", "4", "--batch-size", "8", "--set", "network.width=8", "--set", "network.depth=1")
COMMANDS = ("demo", "train", "sample", "vary", "interpolate", "evaluate", "likelihood", "benchmark", "info", "data")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 rows with a class and two features."""
    path = tmp_path_factory.mktemp("data") / "table.csv"
    rows = np.random.default_rng(0).normal(size=(40, 2))
    lines = [f"{a:.6f},{b:.6f},{'xy'[i % 2]}" for i, (a, b) in enumerate(rows)]
    path.write_text("\n".join(["a,b,kind", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a conditional model, trained at D = inf through the command line."""
    folder = tmp_path_factory.mktemp("run") / "trained"
    words = ["train", "vectors", str(table), "--label", "kind", "--dimension", "inf", *TINY, "--out", str(folder)]
    assert cli.main(words) == 0
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  pfgm {command}" in text


def test_help_without_a_command_lists_all(pfgm: Pfgm) -> None:
    answer = pfgm()
    assert answer.code == 0
    assert all(re.search(rf"\n    {command}\s", answer.out) for command in COMMANDS)


def test_help_of_sampling_names_every_solver(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["sample", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in SOLVERS)


def test_the_examples_of_the_help_can_be_parsed() -> None:
    _, parsers = cli._parsers()
    lines = [line.split("#")[0].split() for parser in parsers.values() for line in str(parser.epilog).splitlines()[1:]]
    assert len(lines) > 15
    for line in lines:
        assert line[0] == "pfgm"
        if "--help" not in line:
            words = line[1:]
            parser, commands_ = cli._parsers()
            cli._check_options(words, parser, commands_)
            parser.parse_args(words)


def test_training_writes_a_model_with_what_was_asked_for(run: Path) -> None:
    model = load(run)
    assert model.config.dimension == float("inf")
    assert model.config.training.steps == 4
    assert model.config.training.batch_size == 8
    assert model.config.network == {"width": 8, "depth": 1}
    assert model.specs[0].classes == ("x", "y")
    assert model.history["data"]["samples"] == 40
    assert [entry["step"] for entry in read_log(run / "log.jsonl") if entry["event"] == "train"] == [4]


def test_training_again_with_the_same_command_finds_it_done(run: Path, table: Path, pfgm: Pfgm) -> None:
    before = load(run).denoiser.state_dict()
    answer = pfgm("train", "vectors", table, "--label", "kind", "--dimension", "inf", *TINY, "--out", run)
    assert answer.code == 0
    assert "from step 4" in answer.err
    assert str(run / "model.safetensors") in answer.out
    after = load(run).denoiser.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_settings_come_from_recipe_then_file_then_options(table: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    file = tmp_path / "my.toml"
    file.write_text(
        "dimension = 7\nseed = 3\n[training]\nsteps = 2\nbatch_size = 4\nwarmup = 1\n[network]\nwidth = 12\n"
    )
    out = tmp_path / "run"
    chosen = ("--set", "training.batch_size=5", "--set", "network.depth=1", "--seed", "9", "--set", "seed=8")
    answer = pfgm("train", "vectors", table, "--label", "kind", "--config", file, *chosen, "--out", out)
    assert answer.code == 0, answer.err
    config = load(out).config
    assert (config.dimension, config.seed, config.network) == (7.0, 9, {"width": 12, "depth": 1})
    assert (config.training.steps, config.training.batch_size, config.training.warmup) == (2, 5, 1)
    assert config.training.learning_rate == Vectors().recipe(40)["training"]["learning_rate"]


def test_a_model_of_many_dimensions_samples_at_any(table: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    out = tmp_path / "run"
    words = ("train", "vectors", table, "--label", "kind", "--dimension-range", "8,2048", *TINY, "--out", out)
    assert pfgm(*words).code == 0
    assert load(out).config.dimension_range == (8.0, 2048.0)
    for D in ("9.5", "inf"):
        new = tmp_path / f"{D}.npy"
        assert pfgm("sample", out, "--count", 3, "--dimension", D, "--evaluations", 3, "--out", new).code == 0
        assert np.load(new).shape == (3, 2)


def test_a_run_without_out_gets_a_folder_named_after_the_data(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    monkeypatch.chdir(tmp_path)
    assert pfgm("train", "vectors", table, "--label", "kind", *TINY, "--steps", 1).code == 0
    assert (tmp_path / "runs" / "table" / "model.safetensors").exists()


def test_samples_are_those_of_the_python_way(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    out = tmp_path / "new.npy"
    words = ("--count", 5, "--label", "y", "--seed", 4, "--evaluations", 5, "--solver", "dpm2m", "--dimension", 64)
    answer = pfgm("sample", run, *words, "--batch-size", 2, "--out", out)
    calls = "; each evaluation called the network 32 times"
    assert (answer.code, answer.out) == (0, f"{out}: 5 samples{calls}\n")
    expected = load(run).sample(5, seed=4, condition={"label": "y"}, evaluations=5, solver="dpm2m", dimension=64.0)
    # Batches of another size add up in another order.
    np.testing.assert_allclose(np.load(out), expected, rtol=1e-5, atol=1e-5)


def test_an_adaptive_solver_takes_a_tolerance_and_no_evaluations(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    out = tmp_path / "new.npy"
    words = ("--count", 3, "--label", "y", "--solver", "dopri5", "--tolerance", 1e-6)
    assert pfgm("sample", run, *words, "--out", out).code == 0
    expected = load(run).sample(3, condition={"label": "y"}, solver=DormandPrince(1e-6))
    np.testing.assert_allclose(np.load(out), expected, rtol=1e-4, atol=1e-4)
    refused = pfgm("sample", run, *words, "--evaluations", 9, "--out", out, "--force")
    assert refused.code == 2 and "chooses its own number of evaluations" in refused.err
    words = ("--solver", "stochastic", "--evaluations", 7)
    churned = pfgm("sample", run, *words, "--churn", 0.2, "--out", tmp_path / "c.npy")
    assert churned.code == 0, churned.err
    refused = pfgm("sample", run, "--churn", -1, "--solver", "stochastic", "--out", tmp_path / "d.npy")
    assert refused.code == 2 and "churn is -1.0: it must be >= 0" in refused.err
    refused = pfgm("sample", run, "--tolerance", 1e-3, "--out", tmp_path / "b.npy")
    assert refused.code == 2 and "--tolerance needs --solver dopri5" in refused.err
    refused = pfgm("sample", run, "--tolerance", 1e-3, "--solver", "heun", "--out", tmp_path / "b.npy")
    assert refused.code == 2 and "heun has none; only dopri5 does" in refused.err


def test_guidance_by_the_condition_and_by_another_model(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    words = ("--count", 3, "--label", "y", "--evaluations", 5, "--guidance", 3)
    for name, more, how in (
        ("a.npy", (), Guidance(3.0)),
        ("b.npy", ("--guidance-interval", "0.1,2"), Guidance(3.0, 0.1, 2.0)),
        ("c.npy", ("--guide", run), Guidance(3.0, by=load(run))),
    ):
        answer = pfgm("sample", run, *words, *more, "--out", tmp_path / name)
        assert answer.code == 0, answer.err
        assert "called the network 2 times" in answer.out
        expected = load(run).sample(3, condition={"label": "y"}, evaluations=5, guidance=how)
        np.testing.assert_allclose(np.load(tmp_path / name), expected, rtol=1e-5, atol=1e-5)
    for wrong, said in (
        (("--guide", run), "need a weight"),
        (("--guidance", "2", "--guidance-interval", "3,1"), "0 <= LOW < HIGH"),
        (("--guidance", "2", "--guidance-interval", "3"), "is not LOW,HIGH"),
        (("--guidance", "nan"), "guidance weight is nan"),
    ):
        refused = pfgm("sample", run, *wrong, "--out", tmp_path / "d.npy")
        assert refused.code == 2 and said in refused.err


def test_parts_are_kept_from_the_command_line(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    rows = np.array([[0.5, -1.0], [2.0, 0.1]])
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "mask.npy", np.array([True, False]))
    words = ("--keep", tmp_path / "mask.npy", "--from", tmp_path / "rows.npy", "--repeats", 2, "--evaluations", 9)
    answer = pfgm("sample", run, *words, "--out", tmp_path / "new.npy")
    assert answer.code == 0, answer.err
    drawn = np.load(tmp_path / "new.npy")
    assert drawn.shape == (2, 2), "as many as there are objects"
    np.testing.assert_allclose(drawn[:, 0], rows[:, 0], rtol=1e-5)
    assert not np.isclose(drawn[:, 1], rows[:, 1]).any()
    expected = load(run).sample(2, keep=Known(rows, [True, False], 2), evaluations=9)
    np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-5)


def test_a_measurement_is_met_from_the_command_line(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    np.save(tmp_path / "A.npy", np.array([[1.0, 1.0]]))
    np.save(tmp_path / "z.npy", np.array([0.7]))
    words = ("--measure", tmp_path / "A.npy", "--result", tmp_path / "z.npy", "--repeats", 3, "--count", 4)
    answer = pfgm("sample", run, *words, "--repeats-interval", "0.1,2", "--out", tmp_path / "new.npy")
    assert answer.code == 0, answer.err
    drawn = np.load(tmp_path / "new.npy")
    np.testing.assert_allclose(drawn.sum(1), 0.7, rtol=1e-4, atol=1e-4)
    how = Measurement([[1.0, 1.0]], [0.7], repeats=3, low=0.1, high=2.0)
    np.testing.assert_allclose(drawn, load(run).sample(4, measurement=how), rtol=1e-5, atol=1e-5)
    once = load(run).sample(4, measurement=Measurement([[1.0, 1.0]], [0.7]))
    assert not np.allclose(drawn, once)


def test_variations_and_what_lies_between_from_the_command_line(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    rows = np.array([[0.5, -1.0], [2.0, 0.1], [0.0, 0.0]])
    np.save(tmp_path / "rows.npy", rows)
    how = ("--from", tmp_path / "rows.npy", "--evaluations", 9, "--seed", 3, "--grid", "fitted")
    answer = pfgm("vary", run, *how, "--level", 0.2, "--each", 2, "--label", "y", "--out", tmp_path / "v.npy")
    assert answer.code == 0, answer.err
    assert "2 variations of each of 3 objects" in answer.out
    options: dict[str, Any] = {"evaluations": 9, "seed": 3, "grid": "fitted"}
    expected = vary(load(run), rows, 0.2, each=2, condition={"label": "y"}, **options)
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), expected, rtol=1e-5, atol=1e-5)
    answer = pfgm("interpolate", run, *how, "--points", 4, "--out", tmp_path / "b.npy")
    assert answer.code == 0, answer.err
    assert "4 points on each of 2 ways" in answer.out
    expected = interpolate(load(run), rows[:2], rows[1:], 4, **options)
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), expected, rtol=1e-5, atol=1e-5)


def test_low_precision_from_the_command_line(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    words = ("sample", run, "--count", 3, "--evaluations", 5, "--precision", "bfloat16")
    assert pfgm(*words, "--out", tmp_path / "low.npy").code == 0
    low, full = np.load(tmp_path / "low.npy"), load(run).sample(3, evaluations=5)
    np.testing.assert_allclose(low, full, rtol=0.1, atol=0.1)


def test_label_is_short_for_a_condition(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    for name, words in (("a.npy", ("--label", "x")), ("b.npy", ("--condition", "label=x"))):
        assert pfgm("sample", run, "--count", 2, "--evaluations", 3, *words, "--out", tmp_path / name).code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


def test_samples_go_beside_the_model_unless_told_otherwise(run: Path, pfgm: Pfgm) -> None:
    answer = pfgm("sample", run / "model.safetensors", "--count", 2, "--evaluations", 1, "--seed", 77)
    assert answer.code == 0
    path = Path(answer.out.partition(":")[0])
    assert path == run / "samples-seed77.csv"
    assert len(path.read_text().splitlines()) == 3


def test_images_are_written_as_a_picture_and_as_a_folder(tmp_path: Path, pfgm: Pfgm) -> None:
    run = tmp_path / "run"
    tiny = ("--steps", 1, "--batch-size", 2, "--set", "network.channels=4", "--set", "network.multipliers=[1]")
    assert pfgm("train", "images", "digits", *tiny, "--out", run).code == 0
    for name in ("new.png", "folder", "new.zip"):
        answer = pfgm("sample", run, "--count", 2, "--label", 3, "--evaluations", 1, "--out", tmp_path / name)
        assert answer.code == 0, answer.err
    assert (tmp_path / "new.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "folder" / "3").glob("*.png"))) == 2, "in a folder of their class"


def test_vector_conditions_are_numbers_with_commas() -> None:
    specs = (SimpleNamespace(name="wind", kind="vector"), SimpleNamespace(name="season", kind="class"))
    found = commands.conditions_of(specs, [("wind", "0.5,1.2"), ("season", "1,2")])  # type: ignore[arg-type]
    assert found == {"wind": [0.5, 1.2], "season": "1,2"}


def test_info_of_a_run_is_readable_and_complete_as_json(run: Path, pfgm: Pfgm) -> None:
    answer = pfgm("info", run)
    assert answer.code == 0
    facts = json.loads(pfgm("info", run, "--json").out)
    for shown in ("vectors", "inf", "table", "unknown", facts["history"]["data"]["fingerprint"], "step 4", "x, y"):
        assert shown in answer.out
    assert facts["log"]["train"]["step"] == 4
    assert {key: facts[key] for key in facts if key != "log"} == checkpoint.read_header(run / "model.safetensors")


def test_info_of_the_installation(pfgm: Pfgm) -> None:
    facts = json.loads(pfgm("info", "--json").out)
    assert facts["versions"]["torch"] == torch.__version__
    assert {"images", "vectors"} <= set(facts["adapters"])
    assert f"{facts['versions']['torch']}" in pfgm("info").out


def test_data_lists_every_set_with_its_licence(pfgm: Pfgm) -> None:
    listed = json.loads(pfgm("data", "--json").out)
    names = {each["name"] for infos in listed.values() for each in infos}
    assert {"digits", "mnist5k", "moons", "wine"} <= names
    answer = pfgm("data", "images")
    assert "digits" in answer.out
    assert "CC-BY-4.0" in answer.out
    assert "moons" not in answer.out


def test_data_writes_a_set_with_its_labels(tmp_path: Path, pfgm: Pfgm) -> None:
    out = tmp_path / "digits.npz"
    answer = pfgm("data", "images", "digits", "--out", out)
    assert answer.code == 0
    assert "1,797" in answer.out
    arrays = np.load(out)
    assert arrays["images"].shape == (1797, 8, 8, 1)
    assert arrays["labels"].shape == (1797,)
    assert pfgm("data", "check", out, "--adapter", "images").code == 0


@pytest.mark.parametrize(
    ("modality", "name"),
    [
        ("audio", "tones:count=4"),
        ("graphs", "tree:nodes=9:count=4"),
        ("images", "digits"),
        ("sequences", "hairpins:count=9"),
        ("vectors", "wine"),
    ],
)
def test_the_file_that_is_advised_for_a_set_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm, modality: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = pfgm("data", modality, name)
    assert answer.code == 2
    words = answer.err.strip().partition("--out is missing: pfgm ")[2].split()
    assert words[:3] == ["data", modality, name]
    written = pfgm(*words)
    assert written.code == 0
    count = re.search(r"([\d,]+) objects", written.out)
    checked = pfgm("data", "check", words[-1], "--adapter", modality)
    assert checked.code == 0
    assert checked.out.split()[:2] == ["used", count and count[1]]


def test_data_check_counts_what_is_there(table: Path, pfgm: Pfgm) -> None:
    answer = pfgm("data", "check", table, "--adapter", "vectors", "--label", "kind")
    assert answer.code == 0
    assert " ".join(answer.out.split()) == "used 40 left out 0 shape as tensors 2 label x: 20, y: 20"


def test_data_check_goes_by_endings_and_shows_what_the_adapter_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    for name in ("x/a.png", "y/b.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name)
    plain = pfgm("data", "check", tmp_path)
    assert plain.code == 0
    assert "checked as images" in plain.err
    assert " ".join(plain.out.split()).endswith("label x: 1, y: 1")

    def found(_: Images, data: Dataset) -> list[tuple[str, object]]:
        return [("brightness", f"of {len(data)}"), ("label", "told by the adapter")]

    monkeypatch.setattr(Images, "inspect", found, raising=False)
    words = " ".join(pfgm("data", "check", tmp_path, "--adapter", "images").out.split())
    assert words.endswith("brightness of 2 label told by the adapter")


def test_evaluate_compares_with_the_data_and_shows_a_table(
    run: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    row = evaluation.Row("Recall", 0.5, 0.1, 0.75, 0.1, "higher", "share")
    result = SimpleNamespace(rows=(row,), page=tmp_path / "report.html", alarm="")
    fake = create_autospec(evaluation.evaluate, return_value=result)
    monkeypatch.setattr(evaluation, "evaluate", fake)
    answer = pfgm(
        "evaluate", run, "--data", table, "--read", "label=kind", "--count", 30, "--dimension", 5, "--out", tmp_path
    )
    assert answer.code == 0, answer.err
    assert {"Recall", "0.5", "0.75"} <= set(answer.out.split())
    assert f"Open {tmp_path / 'report.html'}" in answer.out
    assert len(fake.call_args.args[1]) == 40
    given = fake.call_args.kwargs
    assert (given["count"], given["dimension"], given["evaluations"], given["out"]) == (30, 5.0, None, tmp_path)


@pytest.mark.parametrize("by_name", [True, False])
def test_evaluate_without_data_takes_those_of_the_training(
    by_name: bool, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    """By name, or from the file where they were, read as they were."""
    if by_name:
        run = tmp_path / "wine"
        assert pfgm("train", "vectors", "wine", *TINY, "--out", run).code == 0
    result = SimpleNamespace(rows=(), page=tmp_path / "report.html", alarm="")
    fake = create_autospec(evaluation.evaluate, return_value=result)
    monkeypatch.setattr(evaluation, "evaluate", fake)
    answer = pfgm("evaluate", run)
    assert answer.code == 0, answer.err
    given = fake.call_args.args[1]
    assert len(given) == (178 if by_name else 40)
    assert "label" in given.condition


def test_samples_have_the_columns_and_the_class_of_the_data(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    words = ("--count", 2, "--evaluations", 1, "--label", "x")
    assert pfgm("sample", run, *words, "--out", tmp_path / "new.csv").code == 0
    head, *rows = (tmp_path / "new.csv").read_text().splitlines()
    assert head == "a,b,label"
    assert [row.rpartition(",")[2] for row in rows] == ["x", "x"]
    assert pfgm("sample", run, *words, "--out", tmp_path / "new.npy").code == 0, "a format with no place for it"


def test_the_licence_of_the_users_data_is_kept(table: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    words = ("--label", "kind", *TINY, "--licence", "CC-BY-4.0")
    assert pfgm("train", "vectors", table, *words, "--out", tmp_path / "run").code == 0
    history = json.loads(pfgm("info", tmp_path / "run", "--json").out)["history"]["data"]
    assert history["licence"] == "CC-BY-4.0"
    assert (history["source"], history["read"]) == (str(table), {"label": "kind"})


def test_demo_says_which_page_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm) -> None:
    fake = create_autospec(demo.demo, return_value=tmp_path / "index.html")
    monkeypatch.setattr(demo, "demo", fake)
    answer = pfgm("demo", "--out", tmp_path, "--seed", 2)
    assert (answer.code, answer.out) == (0, f"Open {tmp_path / 'index.html'} in a browser.\n")
    assert (fake.call_args.kwargs["out"], fake.call_args.kwargs["seed"]) == (tmp_path, 2)


def test_benchmarks_are_listed_and_get_their_own_words(monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm) -> None:
    seen: list[list[str]] = []

    def measure(argv: list[str]) -> int:
        seen.append(argv)
        return 5

    module = ModuleType("fake_benchmark")
    module.BENCHMARK = SimpleNamespace(name="fake", description="counts sheep", main=measure)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_benchmark", module)
    points = [EntryPoint("fake", "fake_benchmark:BENCHMARK", commands.BENCHMARKS)]
    monkeypatch.setattr(commands, "entry_points", lambda group: points)
    assert "counts sheep" in pfgm("benchmark").out
    assert pfgm("benchmark", "fake", "--seeds", "3", "--help", "more").code == 5
    assert seen == [["--seeds", "3", "--help", "more"]]
    answer = pfgm("benchmark", "fkae")
    assert answer.code == 2
    assert "Did you mean fake?" in answer.err


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_in_training_saves_the_state_and_the_same_command_goes_on(
    name: str, code: int, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    @contextmanager
    def interrupting(description: str) -> Iterator[Callable[[int, int], None]]:
        def update(done: int, total: int) -> None:
            if done == 2:
                os.kill(os.getpid(), getattr(signal, name))

        yield update

    words = ("train", "vectors", table, "--label", "kind", *TINY, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(commands, "progress", interrupting)
        answer = pfgm(*words)
    assert answer.code == code
    assert f"stopped by {name} after step 2 of 4: state saved" in answer.err
    answer = pfgm(*words)
    assert answer.code == 0
    assert "from step 2" in answer.err


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_elsewhere_unwinds_and_leaves_with_its_code(
    name: str, code: int, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    cleaned = []
    # A process that a script started in the background ignores SIGINT, and so would this test wait for ever.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)

    def busy(args: argparse.Namespace) -> int:
        try:
            os.kill(os.getpid(), getattr(signal, name))
            signal.pause()
        finally:
            cleaned.append(True)
        return 0

    monkeypatch.setattr(commands, "info", busy)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert pfgm("info").code == code
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_reader_that_goes_away_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert cli.main(["data"]) == 141
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_the_last_losses_of_a_damaged_log_are_none(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"event": "train", "st')
    assert commands.last_losses(tmp_path / "log.jsonl") == {}
    assert commands.last_losses(tmp_path / "absent") == {}


def test_two_processes_train_and_one_speaks(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", "vectors", str(table), "--label", "kind", *TINY, "--devices", "2", "--device", "cpu"]
    command = [sys.executable, "-m", "pfgm_science", "--threads", "1", *words, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model.safetensors") == 1
    assert done.stderr.count("D = 128") == 1
    assert load(out).config.training.steps == 4


def test_a_network_that_cannot_be_compiled_is_the_users_to_mend(
    run: Path, tmp_path: Path, pfgm: Pfgm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No C++ compiler: torch says so in errors of its own."""
    from torch._inductor.exc import InvalidCxxCompiler

    def uncompiled(self: object) -> None:
        raise InvalidCxxCompiler

    monkeypatch.setattr("pfgm_science.model.Model.compiled", uncompiled)
    answer = pfgm("sample", run, "--count", 2, "--compile", "--out", tmp_path / "a.npy")
    assert answer.code == 2 and "Leave --compile out" in answer.err
