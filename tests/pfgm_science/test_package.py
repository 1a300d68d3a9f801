"""The packages: what importing them brings in, which way the imports point, and that nothing is unpickled."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import pfgm_science

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "numpy", "rich", "scipy", "matplotlib", "PIL", "sklearn", "torchaudio", "soundfile")
SOURCES = sorted(path for name in ("pfgm_science", "modalities", "benchmarks") for path in (ROOT / name).rglob("*.py"))
MAY_IMPORT = {
    "pfgm_science": {"pfgm_science"},
    "modalities": {"pfgm_science", "modalities"},
    "benchmarks": {"pfgm_science", "modalities", "benchmarks"},
}


def python(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_importing_the_packages_and_asking_for_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, pfgm_science, modalities, modalities.images, modalities.vectors, modalities.audio, benchmarks\n"
        "from pfgm_science.cli import main\n"
        "for words in (['--help'], ['train', '--help'], ['--version']):\n"
        "    try: main(words)\n"
        "    except SystemExit as stop: assert stop.code in (0, None)\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_python_dash_m_works_from_the_root_and_from_elsewhere(elsewhere: bool, tmp_path: Path) -> None:
    done = python("-m", "pfgm_science", "--help", cwd=tmp_path if elsewhere else ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: pfgm ")


def test_every_public_name_is_there_and_comes_from_its_home() -> None:
    for name, module in pfgm_science._HOME.items():
        assert getattr(pfgm_science, name) is getattr(import_module(f"pfgm_science.{module}"), name)
    assert sorted(pfgm_science.__all__) == sorted([*pfgm_science._HOME, "__version__"])
    assert set(pfgm_science.__all__) <= set(dir(pfgm_science))
    assert pfgm_science.__version__
    with pytest.raises(AttributeError, match="nonsense"):
        _ = pfgm_science.nonsense


def test_type_checkers_see_the_names_that_are_there() -> None:
    tree = ast.parse((ROOT / "pfgm_science" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (alias.name, str(node.module).removeprefix("pfgm_science."))
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == set(pfgm_science._HOME.items())


@pytest.mark.parametrize(("module", "name"), [("images", "Images"), ("vectors", "Vectors"), ("audio", "Audio")])
def test_adapters_are_imported_from_their_package(module: str, name: str) -> None:
    package = import_module(f"modalities.{module}")
    assert getattr(package, name).name == module
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way_and_nothing_is_pickled(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tops = {name.partition(".")[0] for name in imported(tree)}
    assert tops & set(MAY_IMPORT) <= MAY_IMPORT[package]
    assert not tops & {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given.get("allow_pickle", "False") == "False"
        if ast.unparse(call.func) == "torch.load":
            assert given.get("weights_only") == "True"


def test_each_adapter_keeps_to_its_own_room() -> None:
    for path in (ROOT / "modalities").glob("*/**/*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [name.split(".") for name in imported(tree)]
        rooms = {parts[1] if len(parts) > 1 else "all of them" for parts in names if parts[0] == "modalities"}
        assert rooms <= {path.relative_to(ROOT).parts[1]}, path
