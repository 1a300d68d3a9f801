"""Checkpoints: safetensors files with everything needed to use them inside, written whole or not at all.

No pickle. The header holds one JSON document: format, kind, versions, configuration, data and its licence, history;
and a digest of all that is in the file, because safetensors would not notice a changed byte.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pfgm_science import shipped
from pfgm_science.errors import CheckpointError
from pfgm_science.files import write_bytes

FORMAT = 1
HEADER = "pfgm_science"
DIGEST = "sha256"
_AGAIN = "Copy it again, or train again with `pfgm train`."


def write(path: str | Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], kind: str) -> None:
    """Write tensors and header (JSON values) to path atomically; kind is "model" or "state".

    Raises PfgmError when the file cannot be written; what was at path is then untouched.
    """
    from safetensors.torch import save

    document = json.dumps({"format": FORMAT, "kind": kind, "versions": versions(), **header}, allow_nan=False)
    # copies, because safetensors refuses tensors that share memory, as tied weights do
    plain = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    write_bytes(path, save(plain, metadata={HEADER: document, DIGEST: _digest(document, plain)}))


def read(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that `write` made; CheckpointError says what is wrong with any other."""
    header = read_header(path, kind)
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors and torch raise several types on damaged bytes
        raise CheckpointError(f"{path}: damaged ({error}). {_AGAIN}") from None
    if metadata.get(DIGEST) != _digest(metadata[HEADER], tensors):
        raise CheckpointError(f"{path}: damaged (its content does not match its {DIGEST}). {_AGAIN}")
    return tensors, header


def read_header(path: str | Path, kind: str = "model") -> dict[str, Any]:
    """The JSON document of a checkpoint, without its tensors, and without a check of the digest."""
    from safetensors import safe_open

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path}: there is no such file. Give a run folder, a .safetensors file or a shipped model "
            f"({', '.join(shipped.models()) or 'none is installed'})."
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error}). Check its permissions.") from None
    except Exception as error:  # as above
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}). It may be truncated.") from None
    if HEADER not in metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not one of pfgm-science: its header lacks {HEADER!r}")
    try:
        document = json.loads(metadata[HEADER])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header is not valid JSON ({error})") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else document
        raise CheckpointError(f"{path}: format {found!r}; this version reads {FORMAT}. Use a newer pfgm-science.")
    if document.get("kind") != kind:
        raise CheckpointError(f"{path}: holds a {document.get('kind')!r}; a {kind!r} is needed here")
    return document


def _digest(document: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(document.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Put tensors into a module; a missing, unknown or misshapen one raises CheckpointError with its name."""
    own = module.state_dict()
    check_fit(own, tensors, path)
    module.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()})


def check_fit(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Raise CheckpointError with the names of tensors that own lacks, that it alone has, or of another shape."""
    if problems := misfits(own, tensors):
        raise CheckpointError(f"{path}: the weights do not fit the network in its header: {'; '.join(problems[:3])}")


def misfits(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    """What keeps tensors from taking the place of own: names missing or not known, and shapes that differ."""
    problems = [f"{name} is missing" for name in own if name not in tensors]
    problems += [f"{name} is not known" for name in tensors if name not in own]
    return problems + [
        f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]


def versions() -> dict[str, str]:
    """What wrote a file: this package, torch and Python."""
    try:
        own = version("pfgm-science")
    except PackageNotFoundError:
        own = "source"
    return {"pfgm-science": own, "torch": torch.__version__, "python": platform.python_version()}
