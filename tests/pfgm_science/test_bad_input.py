"""A user's mistakes, through the command line: a message that names the culprit, an exit code, nothing lost."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import Answer, Pfgm

from pfgm_science import checkpoint, cli, commands
from pfgm_science.errors import BadRecord
from pfgm_science.model import load

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("without_tensorboard")
TINY = ("--steps", "1", "--batch-size", "4", "--set", "network.width=8", "--set", "network.depth=1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a model of vectors with the classes 0, 1, 2, trained at D = 16."""
    folder = tmp_path_factory.mktemp("run") / "trained"
    assert cli.main(["train", "vectors", "wine", "--dimension", "16", *TINY, "--out", str(folder)]) == 0
    return folder


def picture(path: Path, height: int = 4, width: int = 4) -> Path:
    from PIL import Image

    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def empty_file(folder: Path) -> Path:
    (folder / "empty.csv").touch()
    return folder / "empty.csv"


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def nothing_but_nan(folder: Path) -> Path:
    (folder / "nan.csv").write_text("a,b\nnan,1\n2,inf\n")
    return folder / "nan.csv"


def three_axes(folder: Path) -> Path:
    np.save(folder / "axes.npy", np.zeros((2, 3, 4)))
    return folder / "axes.npy"


def ambiguous_images(folder: Path) -> Path:
    np.savez(folder / "ambiguous.npz", images=np.full((2, 4, 4, 1), 1000.0))
    return folder / "ambiguous.npz"


def python_objects(folder: Path) -> Path:
    np.save(folder / "objects.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    return folder / "objects.npy"


def truncated_archive(folder: Path) -> Path:
    np.savez(folder / "cut.npz", images=np.zeros((20, 4, 4, 1), np.uint8))
    (folder / "cut.npz").write_bytes((folder / "cut.npz").read_bytes()[:150])
    return folder / "cut.npz"


def no_image_at_all(folder: Path) -> Path:
    (folder / "junk").mkdir()
    (folder / "junk" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    return folder / "junk"


def unknown_ending(folder: Path) -> Path:
    (folder / "table.xyz").write_text("1,2\n")
    return folder / "table.xyz"


@pytest.mark.parametrize(
    ("adapter", "make"),
    [
        ("vectors", empty_file),
        ("images", empty_folder),
        ("vectors", nothing_but_nan),
        ("vectors", three_axes),
        ("images", ambiguous_images),
        ("vectors", python_objects),
        ("images", truncated_archive),
        ("images", no_image_at_all),
        ("vectors", unknown_ending),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_data_without_anything_usable_are_refused_by_name(
    adapter: str, make: Callable[[Path], Path], tmp_path: Path, pfgm: Pfgm
) -> None:
    path = make(tmp_path)
    before = files_of(tmp_path)
    answer = pfgm("train", adapter, path, "--out", tmp_path / "run")
    assert answer.code == 2
    assert answer.err.startswith("pfgm: ")
    assert str(path) in answer.err
    assert files_of(tmp_path) == before


def test_rows_with_nan_are_named_and_the_rest_is_used(tmp_path: Path, pfgm: Pfgm) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\nnan,3\n4,5\n6,7\n8,x\n")
    answer = pfgm("train", "vectors", table, *TINY, "--out", tmp_path / "run")
    assert answer.code == 3
    assert f"left out: {table}, row 3: 'nan' is not finite" in answer.err
    assert f"left out: {table}, row 6: 'x' is not a number" in answer.err
    assert "2 records left out, 3 used" in answer.err
    assert load(tmp_path / "run").history["data"]["samples"] == 3


def test_unreadable_and_odd_sized_images_are_named_and_the_rest_is_used(tmp_path: Path, pfgm: Pfgm) -> None:
    folder = tmp_path / "photos"
    for i in range(3):
        picture(folder / f"{i}.png")
    torn, odd = folder / "torn.png", picture(folder / "odd.png", 6, 5)
    torn.write_bytes((folder / "0.png").read_bytes()[:40])
    answer = pfgm("data", "check", folder, "--adapter", "images")
    assert answer.code == 3
    assert str(torn) in answer.out
    assert f"{odd}: 5 x 6 pixels" in answer.out
    assert "used              3" in answer.out
    answer = pfgm("data", "check", folder, "--adapter", "images", "--size", 4)
    assert str(odd) not in answer.out
    assert "used              4" in answer.out


def test_many_rejected_records_are_counted_after_the_first_twenty(capsys: pytest.CaptureFixture[str]) -> None:
    from pfgm_science.data import Dataset

    data = Dataset(np.zeros((3, 1)), rejected=[BadRecord("f.csv", f"row {i}", "bad") for i in range(50)])
    assert commands.report_rejected(data) == 50
    err = capsys.readouterr().err
    assert err.count("left out: f.csv") == 20
    assert "30 more" in err


@pytest.mark.parametrize(
    ("words", "culprits"),
    [
        (("trian",), ("'trian'", "Did you mean train?")),
        (("train", "images", "digits", "--dimensoin", "3"), ("--dimensoin", "--dimension")),
        (("train", "--otu=x"), ("--otu", "Did you mean --out?")),
        (("train", "images"), ("DATA",)),
        (("train", "images", "digist"), ("'digist'", "Did you mean digits?")),
        (("train", "images", "no/such/folder"), ("no/such/folder",)),
        (("train", "imags", "digits"), ("'imags'", "Did you mean 'images'?")),
        (("train", "images", "digits", "--dimension", "0"), ("--dimension", "D is 0")),
        (("train", "images", "digits", "--dimension", "-3"), ("--dimension", "D is -3")),
        (("train", "images", "digits", "--dimension", "nan"), ("--dimension", "D is nan")),
        (("train", "images", "digits", "--dimension", "many"), ("--dimension", "'many'")),
        (("train", "images", "digits", "--dimension-range", "8"), ("--dimension-range", "8,2048")),
        (("train", "images", "digits", "--dimension-range", "64,8"), ("dimension_range", "64")),
        (("train", "images", "digits", "--set", "dimension=-1"), ("dimension is -1",)),
        (("train", "images", "digits", "--set", "training.batchsize=3"), ("training.batchsize", "training.batch_size")),
        (("train", "images", "digits", "--set", "network.chanels=3"), ("network.chanels", "network.channels")),
        (("train", "images", "digits", "--set", "seed=1", "--set", "seed.deep=3"), ("seed.deep",)),
        (("train", "images", "digits", "--set", "novalue"), ("'novalue'", "NAME=VALUE")),
        (("train", "images", "digits", "--set", "training.steps=many"), ("training.steps", "'many'")),
        (("train", "images", "digits", "--config", "absent.toml"), ("absent.toml",)),
        (("train", "images", "digits", "--size", "32"), ("size", "'digits'")),
        (("train", "images", "digits", "--steps", "0"), ("--steps", "at least 1")),
        (("train", "images", "digits", "--device", "gpu"), ("--device", "'gpu'")),
        (("--threads", "0", "info"), ("--threads", "at least 1")),
        (("sample", "absent"), ("absent",)),
        (("info", "absent"), ("absent",)),
        (("benchmark", "absent"), ("'absent'",)),
        (("data", "images", "digits"), ("--out",)),
        (("data", "check", "somewhere"), ("--adapter",)),
        (("data", "vectors", "wien", "--out", "x.npz"), ("'wien'", "wine")),
    ],
    ids=lambda value: " ".join(value),
)
def test_words_that_are_not_known_are_answered_with_the_right_ones(
    words: tuple[str, ...], culprits: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = pfgm(*words)
    assert answer.code == 2
    assert any(line.startswith("pfgm: ") for line in answer.err.splitlines())
    for culprit in culprits:
        assert culprit in answer.err
    assert not files_of(tmp_path)


@pytest.mark.parametrize(
    ("words", "culprits"),
    [
        (("--label", "7"), ("'7'", "0, 1, 2")),
        (("--condition", "colour=red"), ("'colour'", "'label'")),
        (("--label", "1", "--condition", "label=2"), ("'label'", "twice")),
        (("--solver", "huen"), ("'huen'", "heun")),
        (("--dimension", "0"), ("D is 0",)),
        (("--dimension", "64"), ("D = 16", "D = 64")),
        (("--count", "0"), ("--count",)),
        (("--evaluations", "0"), ("--evaluations",)),
        (("--device", "cuda:99"), ("cuda:99",)),
        (("--out", "new.txt"), (".txt", ".csv")),
        (("--out", "missing/new.csv"), ("missing",)),
    ],
    ids=lambda value: " ".join(value),
)
def test_samples_that_cannot_be_drawn_or_kept_are_refused_before_the_work(
    words: tuple[str, ...],
    culprits: tuple[str, ...],
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pfgm: Pfgm,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = files_of(run)
    answer = pfgm("sample", run, "--count", 2, "--evaluations", 1, "--out", "new.npy", *words)
    assert answer.code == 2
    for culprit in culprits:
        assert culprit in answer.err
    assert not files_of(tmp_path)
    assert files_of(run) == before


def test_what_exists_is_not_overwritten_without_force(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    out = tmp_path / "new.csv"
    out.write_text("mine")
    words = ("sample", run, "--count", 2, "--evaluations", 1, "--out", out)
    answer = pfgm(*words)
    assert (answer.code, out.read_text()) == (2, "mine")
    assert str(out) in answer.err
    assert pfgm(*words, "--force").code == 0
    assert out.read_text().startswith("x0,")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mine").touch()
    assert pfgm("sample", run, "--out", folder, "--force").code == 2
    assert (folder / "mine").exists()


def test_a_run_goes_neither_into_a_file_nor_over_a_model(run: Path, tmp_path: Path, pfgm: Pfgm) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    answer = pfgm("train", "vectors", "wine", *TINY, "--out", taken)
    assert (answer.code, taken.read_text()) == (2, "mine")
    assert str(taken) in answer.err

    copied = tmp_path / "copied"
    copied.mkdir()
    model = (run / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(model)
    answer = pfgm("train", "vectors", "wine", *TINY, "--out", copied)
    assert answer.code == 2
    assert str(copied) in answer.err
    assert files_of(copied) == {"model.safetensors": model}


def test_a_run_does_not_go_on_with_other_settings_or_data(run: Path, pfgm: Pfgm) -> None:
    before = files_of(run)
    for words, culprit in (
        (("wine", "--dimension", 17), "config.dimension"),
        (("breast-cancer", "--dimension", 16), "another data"),
    ):
        answer = pfgm("train", "vectors", *words, *TINY, "--out", run)
        assert answer.code == 2
        assert culprit in answer.err
    assert {name: before[name] for name in before if "safetensors" in name} == {
        name: content for name, content in files_of(run).items() if "safetensors" in name
    }


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def beheaded(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, str(path))


def rewritten(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        tensors, header = checkpoint.read(path, "model")
        change(header)
        checkpoint.write(path, tensors, header, "model")

    return damage


def unknown_adapter(header: dict[str, Any]) -> None:
    header["adapter"]["name"] = "graps"


def other_adapter(header: dict[str, Any]) -> None:
    header["adapter"]["name"] = "images"


def other_network(header: dict[str, Any]) -> None:
    header["config"]["network"]["width"] = 16


def no_configuration(header: dict[str, Any]) -> None:
    del header["config"]


@pytest.mark.parametrize(
    ("damage", "culprit"),
    [
        (truncated, "model.safetensors"),
        (beheaded, "model.safetensors"),
        (emptied, "model.safetensors"),
        (foreign, "not one of pfgm-science"),
        (rewritten(unknown_adapter), "'graps'"),
        (rewritten(other_adapter), "header"),
        (rewritten(other_network), "do not fit"),
        (rewritten(no_configuration), "config"),
    ],
)
def test_checkpoints_that_cannot_be_used_are_refused_by_name(
    damage: Callable[[Path], None], culprit: str, run: Path, tmp_path: Path, pfgm: Pfgm
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((run / "model.safetensors").read_bytes())
    damage(path)
    answer = pfgm("sample", path, "--count", 1, "--evaluations", 1, "--out", tmp_path / "new.npy")
    assert answer.code == 2
    assert str(path) in answer.err
    assert culprit in answer.err
    assert not (tmp_path / "new.npy").exists()


def test_a_log_that_is_not_ours_is_left_alone(tmp_path: Path, pfgm: Pfgm) -> None:
    log = tmp_path / "run" / "log.jsonl"
    log.parent.mkdir()
    log.write_text('{"temperature": 20}\n')
    answer = pfgm("train", "vectors", "moons", *TINY, "--out", log.parent)
    assert answer.code == 2
    assert f"{log} exists and is no log of a training run" in answer.err
    assert log.read_text() == '{"temperature": 20}\n'


def test_evaluation_asks_for_data_that_are_gone(tmp_path: Path, pfgm: Pfgm) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n3,4\n5,6\n")
    assert pfgm("train", "vectors", table, *TINY, "--out", tmp_path / "run").code == 0
    table.unlink()
    answer = pfgm("evaluate", tmp_path / "run")
    assert answer.code == 2
    assert str(table) in answer.err
    assert "--data" in answer.err


def test_a_reader_is_not_given_options_it_does_not_know(tmp_path: Path, pfgm: Pfgm) -> None:
    table = tmp_path / "table.csv"
    table.write_text("1,2\n3,4\n")
    for words in (("--size", 3), ("--read", "colour=blue")):
        answer = pfgm("data", "check", table, "--adapter", "vectors", *words)
        assert answer.code == 2
        assert str(words[1]).partition("=")[0] in answer.err
    answer = pfgm("data", "check", picture(tmp_path / "a.png"), "--adapter", "images", "--read", "size=big")
    assert answer.code == 2
    assert "big" in answer.err


def test_a_full_disk_is_named_and_the_old_file_stays(run: Path, tmp_path: Path) -> None:
    """Files of this process may not grow beyond 20 kB: what a full disk does, without one."""
    old = tmp_path / "new.npz"
    old.write_bytes(b"old")
    sampling = ["sample", str(run), "--count", "2000", "--evaluations", "1", "--out", str(old), "--force"]
    program = (
        "import resource, sys\n"
        "from pfgm_science.cli import main\n"
        "sys.modules['torch.utils.tensorboard'] = None\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        f"print(main({['train', 'vectors', 'wine', *TINY, '--out', str(tmp_path / 'run')]}))\n"
        f"print(main({sampling}))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "2"], done.stderr
    assert "Traceback" not in done.stderr
    assert f"cannot write {tmp_path / 'run' / 'state.safetensors'}" in done.stderr
    assert f"cannot write {old}" in done.stderr
    assert old.read_bytes() == b"old"
    assert not list(tmp_path.rglob("*.tmp"))


def test_cuda_that_is_not_there_is_said_so(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for words in (("sample", run), ("train", "vectors", "wine", "--out", tmp_path / "run")):
        answer = pfgm(*words, "--device", "cuda")
        assert answer.code == 2
        assert "CUDA" in answer.err
    assert not files_of(tmp_path)


def test_many_devices_without_fabric_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    answer = pfgm("train", "vectors", "wine", *TINY, "--devices", 2, "--out", tmp_path / "run")
    assert answer.code == 2
    assert "pfgm-science[scale]" in answer.err


def test_a_missing_torch_is_named(monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm) -> None:
    genuine = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return genuine(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "pfgm_science.commands")
    monkeypatch.delattr("pfgm_science.commands")
    monkeypatch.setattr(builtins, "__import__", without)
    answer = pfgm("info")
    assert answer.code == 2
    assert "pip install torch" in answer.err


@pytest.mark.parametrize(
    ("error", "code", "culprit"),
    [
        (MemoryError("8 GiB"), 2, "out of memory (8 GiB)"),
        (MemoryError(), 2, "out of memory. Use"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 GiB"), 2, "out of memory"),
        (OSError(28, "No space left on device", "runs/x"), 2, "runs/x: No space left on device"),
        (PermissionError(13, "Permission denied", "/root/x"), 2, "/root/x: Permission denied"),
        (ModuleNotFoundError("No module named 'PIL'", name="PIL"), 2, "pip install pillow"),
        (ZeroDivisionError("division by zero"), 1, "PFGM_DEBUG=1"),
    ],
)
def test_what_goes_wrong_elsewhere_is_told_in_a_line(
    error: Exception, code: int, culprit: str, monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    def fail(args: Any) -> int:
        raise error

    monkeypatch.setattr(commands, "info", fail)
    answer = pfgm("info")
    assert answer.code == code
    assert culprit in answer.err


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PFGM_DEBUG", "1")
    assert cli.main(["train", "images"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_of_several_processes_one_speaks_of_a_stop_and_each_of_its_own_error(
    monkeypatch: pytest.MonkeyPatch, pfgm: Pfgm
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert pfgm("train", "images").err.startswith("pfgm (process 1): ")

    def stopped(args: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "info", stopped)
    assert pfgm("info") == Answer(130, "", "")
