"""What README shows works as it stands, and what is built holds everything."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import soundfile
from PIL import Image

from pfgm_science import cli
from pfgm_science.errors import PfgmError
from pfgm_science.packages import Package

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^    (pfgm .*)$", README, re.MULTILINE)


TRASTUZUMAB = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKG"
    "RFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)


def without_network(self: Package) -> NoReturn:
    raise PfgmError(f"{self.name} cannot be fetched")


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_python_example_of_the_readme_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("steps=500", "steps=20"), "README.md", "exec"), {"__name__": "__main__"})


def test_the_readme_has_examples_of_both_kinds() -> None:
    assert len(EXAMPLES) == 3 and len(COMMANDS) >= 5


def test_the_commands_of_the_readme_work_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the files they name, with fewer steps and samples."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for i in range(44):
        Image.fromarray(rng.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(f"photos/{i}.png")
    rows = [
        f"{a:.3f},{b:.3f},{'setosa' if i % 2 else 'virginica'}" for i, (a, b) in enumerate(rng.normal(size=(44, 2)))
    ]
    Path("table.csv").write_text("\n".join(["width,length,species", *rows]) + "\n")
    for name in ("my-sounds/a/1.wav", "my-sounds/a/2.wav", "my-sounds/b/1.wav", "my-sounds/b/2.wav", "word.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(name, 0.1 * rng.standard_normal(2000), 8000)
    Path("trastuzumab.fasta").write_text(f">VH\n{TRASTUZUMAB}\n")
    stem = "\n".join(f"rna{i} GC{letter}AAA{other}GC" for i, (letter, other) in enumerate(["AU", "UA", "GC", "CG"] * 3))
    Path("family.sto").write_text(f"# STOCKHOLM 1.0\n\n{stem}\n#=GC SS_cons (((...)))\n//\n")
    monkeypatch.setattr(Package, "_contents", without_network)
    for line in COMMANDS:
        if "--template" in line and importlib.util.find_spec("immunum") is None:
            continue
        words = shlex.split(re.sub(r"--count \d+", "--count 20", line), comments=True)[1:]
        if words[0] == "train":
            words += ["--steps", "2", "--batch-size", "4"]
        if words[0] == "find-d":
            words[words.index("--steps") + 1] = "2"
            words += ["--batch-size", "4", "--dimensions", "8,64"]
        if words[0] in ("find-d", "robustness"):
            words += ["--count", "20", "--seeds", "1"]
        if words[0] in ("sample", "evaluate", "find-d", "robustness") and "--evaluations" not in words:
            words += ["--evaluations", "3"]
        assert cli.main(words) == 0, line
        if "--out" in words and words[0] != "train":
            assert Path(words[words.index("--out") + 1]).exists(), line
    assert Path("new.csv").read_text().startswith("width,length,label\n")
    assert "report.html" in {path.name for path in Path("runs/photos/report").iterdir()}


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
