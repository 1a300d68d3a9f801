"""A run that was cut ends in the same weights, bit for bit, as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import make_config, make_data, make_denoiser, same, state_of

from modalities.vectors.adapter import Vectors
from pfgm_science.errors import CheckpointError, PfgmError
from pfgm_science.model import fit
from pfgm_science.training import LOG_FILE, Interrupted, Progress, read_log, train

VARIANTS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "muon": {"optimizer": "muon"},
    "accumulation": {"accumulation": 3},
    "many dimensions": {"dimension_range": (1, 1000)},
    "bfloat16": {"precision": "bfloat16", "decay": "constant", "clip": 0.0, "weight_decay": 0.1},
}


def interrupt_at(step: int, number: int = signal.SIGTERM):
    def on_step(progress: Progress) -> None:
        if progress.step == step:
            signal.raise_signal(number)

    return on_step


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", VARIANTS)
def test_interrupted_run_ends_in_the_same_weights(name: str, number: int, tmp_path: Path) -> None:
    config, data = make_config(condition_dropout=0.3, **VARIANTS[name]), make_data()
    straight = train(make_denoiser(config, dropout=0.2), data, config, folder=tmp_path / "straight")
    cut = tmp_path / "cut"
    for step in (5, 6):
        with pytest.raises(Interrupted, match=f"{signal.Signals(number).name} after step {step} of 12") as stopped:
            train(make_denoiser(config, dropout=0.2), data, config, folder=cut, on_step=interrupt_at(step, number))
        assert stopped.value.signal_number == number
    resumed = train(make_denoiser(config, dropout=0.2), data, config, folder=cut)
    assert same(state_of(tmp_path / "straight"), state_of(cut))
    assert same(straight.state_dict(), resumed.state_dict())
    assert any(not torch.equal(a, b) for a, b in zip(straight.parameters(), make_denoiser(config).parameters()))  # noqa: B905


def test_interrupt_during_the_last_step_is_no_interruption(tmp_path: Path) -> None:
    config = make_config(steps=3)
    train(make_denoiser(config), make_data(), config, folder=tmp_path, on_step=interrupt_at(3))
    assert read_log(tmp_path / LOG_FILE)[-1]["step"] == 3


def test_second_signal_has_its_usual_effect_and_handlers_come_back(
    tmp_path: Path,
) -> None:
    # A process that a script started in the background ignores SIGINT.
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _signalled_twice(tmp_path)
    finally:
        signal.signal(signal.SIGINT, own)


def _signalled_twice(tmp_path: Path) -> None:
    def twice(progress: Progress) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    config = make_config()
    with pytest.raises(KeyboardInterrupt):
        train(make_denoiser(config), make_data(), config, folder=tmp_path, on_step=twice)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_without_a_folder_the_message_says_that_nothing_is_kept() -> None:
    config = make_config()
    with pytest.raises(Interrupted, match="nothing was saved"):
        train(make_denoiser(config), make_data(), config, on_step=interrupt_at(2))


def test_log_is_rewound_to_the_state(tmp_path: Path) -> None:
    config, data = make_config(checkpoint_every=4, validate_every=2), make_data()

    def stop(progress: Progress) -> None:
        if progress.step == 7:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        train(make_denoiser(config), data, config, validation=data[:5], folder=tmp_path / "cut", on_step=stop)
    assert max(entry["step"] for entry in read_log(tmp_path / "cut" / LOG_FILE)) == 6
    with (tmp_path / "cut" / LOG_FILE).open("a") as file:
        file.write('{"event": "train", "st')
    for name in ("cut", "straight"):
        train(make_denoiser(config), data, config, validation=data[:5], folder=tmp_path / name)
    cut, straight = (read_log(tmp_path / name / LOG_FILE) for name in ("cut", "straight"))
    for entry in cut + straight:
        entry.pop("seconds", None)
    assert cut == straight
    assert [entry["step"] for entry in straight if entry["event"] == "train"] == list(range(1, 13))


def test_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    config, data = make_config(), make_data()
    first = train(make_denoiser(config), data, config, folder=tmp_path)
    state, log = (tmp_path / "state.safetensors").read_bytes(), (tmp_path / LOG_FILE).read_text()

    def never(progress: Progress) -> None:
        raise AssertionError("a finished run made a step")

    again = train(make_denoiser(config), data, config, folder=tmp_path, on_step=never)
    assert same(first.state_dict(), again.state_dict())
    assert (tmp_path / "state.safetensors").read_bytes() == state
    assert (tmp_path / LOG_FILE).read_text() == log


def test_how_often_a_run_saves_may_change_on_the_way(tmp_path: Path) -> None:
    config, data = make_config(), make_data()
    with pytest.raises(Interrupted):
        train(make_denoiser(config), data, config, folder=tmp_path / "cut", on_step=interrupt_at(5))
    other = make_config(checkpoint_every=3, log_every=2, validate_every=5)
    resumed = train(make_denoiser(other), data, other, folder=tmp_path / "cut")
    assert same(resumed.state_dict(), train(make_denoiser(config), data, config).state_dict())


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({"seed": 1}, r"config.seed \(0, not 1\)"),
        ({"learning_rate": 0.5}, r"config.training.learning_rate \(0.001, not 0.5\)"),
        ({"dimension": float("inf")}, r"config.dimension \(32.0, not 'inf'\)"),
        ({"steps": 13}, r"config.training.steps \(12, not 13\)"),
        ({"dimension_range": (1, 9)}, "config.dimension_range"),
    ],
)
def test_other_settings_are_refused_by_name(settings: dict[str, Any], culprit: str, tmp_path: Path) -> None:
    config, other = make_config(), make_config(**settings)
    train(make_denoiser(config), make_data(), config, folder=tmp_path)
    with pytest.raises(CheckpointError, match=culprit):
        train(make_denoiser(other), make_data(), other, folder=tmp_path)


def test_other_data_labels_or_network_are_refused_by_name(tmp_path: Path) -> None:
    rows = make_data().values.double().numpy()
    label = ["a", "b"] * 20
    settings: dict[str, Any] = {"steps": 2, "batch_size": 4, "network": {"width": 8, "depth": 1, "embedding": 8}}
    fit(Vectors(), rows, condition={"kind": label}, folder=tmp_path, **settings)
    fit(Vectors(), rows, condition={"kind": label}, folder=tmp_path, **settings)
    with pytest.raises(CheckpointError, match=r"another data \('"):
        fit(Vectors(), rows**3, condition={"kind": label}, folder=tmp_path, **settings)
    with pytest.raises(CheckpointError, match=r"another data \('"):
        fit(Vectors(), rows, condition={"kind": label[::-1]}, folder=tmp_path, **settings)
    with pytest.raises(CheckpointError, match=r"another config.network.width"):
        fit(Vectors(), rows, condition={"kind": label}, folder=tmp_path, **{**settings, "network": {"width": 12}})


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    config = make_config()
    with pytest.raises(PfgmError, match=r"cannot make the folder .*run"):
        train(make_denoiser(config), make_data(), config, folder=tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_leftovers_of_a_killed_process_are_removed_and_other_files_kept(tmp_path: Path) -> None:
    leftover = tmp_path / ".state.safetensors.0123456789ab.tmp"
    notes = tmp_path / "notes.txt"
    for path in (leftover, notes):
        path.write_text("x")
    config = make_config(steps=1)
    train(make_denoiser(config), make_data(), config, folder=tmp_path)
    assert not leftover.exists()
    assert notes.exists()


def test_twenty_kills_at_random_moments_leave_no_trace(tmp_path: Path) -> None:
    """The moments are random within steps and saves (fixed seed); see kill_script.py for what is checked at each."""
    # no threads and no GPU, because the script forks
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    script = Path(__file__).with_name("kill_script.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path], env={**os.environ, **quiet}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["kills"] == 20
    assert report["broken"] == []
    assert len(set(report["steps"])) > 10  # spread over the run
    assert report["same_state"]
    assert report["same_model"]
    assert report["same_log"]
    assert report["leftovers"] == []


def test_the_time_of_all_sessions_is_kept(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    first = fit(Vectors(), rows, folder=tmp_path, steps=3, network={"width": 8, "depth": 1})
    again = fit(Vectors(), rows, folder=tmp_path, steps=3, network={"width": 8, "depth": 1})
    assert again.history["seconds"] == first.history["seconds"] > 0
