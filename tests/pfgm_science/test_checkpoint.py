"""Files of weights: what is in them, and that anything but a whole one of ours is refused with the reason."""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_run import make_config, make_data, make_denoiser
from torch import Tensor, nn

from modalities.vectors.adapter import Vectors
from pfgm_science import checkpoint
from pfgm_science.data import Dataset
from pfgm_science.errors import CheckpointError, PfgmError
from pfgm_science.model import fit, load
from pfgm_science.training import train

NETWORK = {"width": 8, "depth": 1, "embedding": 8}


def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(3, 4, generator=generator),
        "half": torch.randn(5, generator=generator).bfloat16(),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 2),
    }


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and torch.equal(a[n], b[n]) for n in a)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    data = Dataset(
        make_data().values.double().numpy(), {"kind": ["a", "b"] * 20}, "toy", "CC-BY-4.0", "a place", "somebody (2020)"
    )
    fit(Vectors(), data, folder=folder, steps=2, batch_size=4, network=NETWORK, dimension=float("inf"))
    return folder / "model.safetensors"


def rewritten(source: Path, target: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]) -> Path:
    """A file as a stranger could have made it: whole and with a right digest, but changed inside."""
    content, header = checkpoint.read(source, "model")
    change(header, content)
    kind = header.pop("kind")
    checkpoint.write(target, content, header, kind)
    return target


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.write(path, tensors(), {"note": "ä", "deep": {"x": [1, 2.5, None]}}, "model")
    found, header = checkpoint.read(path, "model")
    assert equal(found, tensors())
    assert header["note"] == "ä" and header["deep"] == {"x": [1, 2.5, None]}
    assert (header["format"], header["kind"]) == (1, "model")
    assert set(header["versions"]) == {"pfgm-science", "torch", "python"}
    assert header["versions"]["torch"] == torch.__version__
    assert checkpoint.read_header(path) == header


def test_tensors_that_share_memory_or_are_not_contiguous(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    views = {"a": base, "b": base.transpose(0, 2), "c": base[:, 1], "d": base[0]}
    checkpoint.write(tmp_path / "a", views, {}, "model")
    assert equal(checkpoint.read(tmp_path / "a", "model")[0], views)


def test_other_people_may_read_the_file(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        checkpoint.write(tmp_path / "a", tensors(), {}, "model")
    finally:
        os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_header_holds_licence_fingerprint_versions_and_configuration(model_file: Path) -> None:
    header = checkpoint.read_header(model_file)
    data = header["history"]["data"]
    assert (data["name"], data["licence"], data["source"], data["citation"]) == (
        "toy", "CC-BY-4.0", "a place", "somebody (2020)",
    )  # fmt: skip
    assert (data["samples"], data["held_out"]) == (40, 4)
    assert len(data["fingerprint"]) == 64
    assert header["config"]["dimension"] == "inf"
    assert header["config"]["training"]["steps"] == 2
    assert header["adapter"]["name"] == "vectors"
    assert header["conditions"] == [{"name": "kind", "kind": "class", "size": 2, "classes": ["a", "b"]}]
    assert header["versions"]["torch"]
    assert header["history"]["parameters"] > 0


def test_nothing_is_pickled(model_file: Path) -> None:
    for path in (model_file, model_file.with_name("state.safetensors")):
        size = struct.unpack("<Q", path.read_bytes()[:8])[0]
        json.loads(path.read_bytes()[8 : 8 + size])  # the rest are the plain numbers of the tensors


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("ran",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\0" * 8,
        b"\xff" * 100,
        np.random.default_rng(0).bytes(5000),
        pickle.dumps(Evil()),
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 7) + b'{"a":1}',
        struct.pack("<Q", 10**15) + b"{}",
    ],
    ids=["empty", "one byte", "zeros", "ones", "random", "pickle", "no metadata", "no tensor", "huge header"],
)
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    for path in (tmp_path, tmp_path / "model.safetensors"):
        with pytest.raises(CheckpointError, match=r"model\.safetensors: (not a whole safetensors file|.*lacks)"):
            load(path)
    assert not (tmp_path / "ran").exists()


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        load(tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors in this folder. Has `pfgm train"):
        load(tmp_path)


def test_safetensors_of_somebody_else_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not one of pfgm-science"):
        load(tmp_path / "a.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors", metadata={checkpoint.HEADER: "{"})
    with pytest.raises(CheckpointError, match="the header is not valid JSON"):
        load(tmp_path / "a.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors", metadata={checkpoint.HEADER: "[1]"})
    with pytest.raises(CheckpointError, match="this version reads 1"):
        load(tmp_path / "a.safetensors")


def test_other_format_and_other_kind_are_refused(model_file: Path, tmp_path: Path) -> None:
    other = rewritten(model_file, tmp_path / "a", lambda header, _: header.update(format=2))
    with pytest.raises(CheckpointError, match=r"format 2; this version reads 1\. Use a newer pfgm-science"):
        load(other)
    with pytest.raises(CheckpointError, match="holds a 'state'; a 'model' is needed here"):
        load(model_file.with_name("state.safetensors"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, _: h["adapter"].update(name="vektors"), "no modality 'vektors'.*Did you mean 'vectors'"),
        (lambda h, _: h["adapter"].update(settings={}), "KeyError.*centre"),
        (lambda h, _: h["adapter"].update(settings=3), "TypeError"),
        (lambda h, _: h.update(adapter="vectors"), "TypeError"),
        (lambda h, _: h.pop("adapter"), "KeyError.*adapter"),
        (lambda h, _: h.pop("history"), "KeyError.*history"),
        (lambda h, _: h.pop("sigma_data"), "KeyError.*sigma_data"),
        (lambda h, _: h.update(sigma_data="large"), "header is not one"),
        (lambda h, _: h.update(sigma_data=-1.0), "sigma_data is -1.0"),
        (lambda h, _: h.pop("radius"), "KeyError.*radius"),
        (lambda h, _: h.update(radius="far"), "header is not one"),
        (lambda h, _: h.update(conditions=[3]), "TypeError"),
        (lambda h, _: h.update(conditions=[{"name": "x"}]), "KeyError.*classes"),
        (lambda h, _: h.update(config=[]), "AttributeError|header is not one"),
        (lambda h, _: h["config"].update(dimension=-1), "D must be > 0"),
        (lambda h, _: h["config"].update(novelty=1), "novelty is not a setting"),
        (lambda h, _: h["config"]["network"].update(wdth=1), "network.wdth is not a setting.*network.width"),
        (lambda _, t: t.pop("exit.bias"), "exit.bias is missing"),
        (lambda _, t: t.update(extra=torch.zeros(1)), "extra is not known"),
        (lambda _, t: t.update({"exit.bias": torch.zeros(9)}), r"exit.bias has shape \(9,\), not \(3,\)"),
    ],
)
def test_headers_and_tensors_that_do_not_fit_are_refused(
    change: Callable[[dict[str, Any], dict[str, Tensor]], None], message: str, model_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load(rewritten(model_file, tmp_path / "changed.safetensors", change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, t: t.pop("average.0"), "0 is missing"),
        (lambda _, t: t.pop("network.network.exit.bias"), "network.exit.bias is missing"),
        (lambda _, t: t.update({"network.more": torch.zeros(1)}), "more is not known"),
        (lambda _, t: t.update({"average.0": torch.zeros(1)}), r"0 has shape \(1,\)"),
        (lambda _, t: t.update({"optimizer.3.0.step": torch.zeros(())}), "not a state that this version"),
        (lambda _, t: t.update({"optimizer.x": torch.zeros(())}), "not a state that this version"),
        (lambda h, _: h.pop("step"), "not a state that this version"),
        (lambda h, _: h.pop("identity"), "another config"),
    ],
)
def test_states_that_do_not_fit_are_refused(
    change: Callable[[dict[str, Any], dict[str, Tensor]], None], message: str, tmp_path: Path
) -> None:
    config = make_config(steps=2)
    train(make_denoiser(config), make_data(), config, folder=tmp_path)
    content, header = checkpoint.read(tmp_path / "state.safetensors", "state")
    change(header, content)
    checkpoint.write(tmp_path / "state.safetensors", content, header, "state")
    with pytest.raises(CheckpointError, match=message):
        train(make_denoiser(config), make_data(), config, folder=tmp_path)


@settings(deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_files_are_refused(share: float, model_file: Path, tmp_path: Path) -> None:
    whole = model_file.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"cut.safetensors"):
        load(path)


flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3)


@settings(deadline=None, derandomize=True, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=flips, in_header=st.booleans())
def test_changed_bytes_are_noticed(
    changes: list[tuple[float, int]], in_header: bool, model_file: Path, tmp_path: Path
) -> None:
    content = bytearray(model_file.read_bytes())
    size = 8 + struct.unpack("<Q", content[:8])[0] if in_header else len(content)
    for place, flip in changes:
        content[int(place * size)] ^= flip
    path = tmp_path / "changed.safetensors"
    path.write_bytes(content)
    try:
        model = load(path)
    except CheckpointError as error:
        assert "changed.safetensors" in str(error)
    else:
        expected = load(model_file)
        assert model.config == expected.config and model.history == expected.history
        assert equal(model.denoiser.state_dict(), expected.denoiser.state_dict())


def test_a_flipped_weight_is_damage(model_file: Path, tmp_path: Path) -> None:
    content = bytearray(model_file.read_bytes())
    content[-3] ^= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged .*sha256.*Copy it again"):
        load(tmp_path / "a")


def test_weights_keep_the_type_of_the_module() -> None:
    module = nn.Linear(2, 2)
    checkpoint.load_weights(module, {name: t.double() for name, t in module.state_dict().items()}, "a")
    assert module.weight.dtype == torch.float32


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As a disk that is full after so many bytes of a file; Python ignores the signal that would come with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_leaves_the_former_checkpoint(model_file: Path, tmp_path: Path) -> None:
    model = load(model_file)
    path = tmp_path / "mine.safetensors"
    model.save(path)
    before = path.read_bytes()
    with largest_file(len(before) // 2), pytest.raises(PfgmError, match=r"cannot write .*mine\.safetensors") as error:
        model.save(path)
    assert not isinstance(error.value, CheckpointError)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["mine.safetensors"]


def test_full_disk_while_training_leaves_the_former_state(tmp_path: Path) -> None:
    config = make_config(steps=4, checkpoint_every=2)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress: Any) -> None:
        if progress.step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    try:
        with pytest.raises(PfgmError, match=r"cannot write .*state\.safetensors"):
            train(make_denoiser(config), make_data(), config, folder=tmp_path, on_step=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoint.read(tmp_path / "state.safetensors", "state")[1]["step"] == 2
    assert not list(tmp_path.glob(".*"))
    train(make_denoiser(config), make_data(), config, folder=tmp_path)
