"""What README shows works as it stands, and what is built holds everything."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pfgm_science import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^    (pfgm .*)$", README, re.MULTILINE)


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_python_example_of_the_readme_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("steps=500", "steps=20"), "README.md", "exec"), {"__name__": "__main__"})


def test_the_readme_has_examples_of_both_kinds() -> None:
    assert len(EXAMPLES) == 2 and len(COMMANDS) >= 5


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_is_understood(line: str) -> None:
    parser, _ = cli._parsers()
    arguments = parser.parse_args(shlex.split(line, comments=True)[1:])
    assert arguments.command in ("train", "sample", "evaluate")


def test_the_wheel_holds_all_three_packages_and_what_they_need(tmp_path: Path) -> None:
    """Built as pip would build it, but with the hatchling that is installed."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "pfgm_science/noise.py",
        "pfgm_science/templates/report.html.j2",
        "modalities/images/adapter.py",
        "benchmarks/images.py",
        "benchmarks/judges/mnist5k-classifier.safetensors",
        "benchmarks/published/pfgmpp.json",
    ):
        assert name in names
    assert not [name for name in names if name.startswith("tests/")]
