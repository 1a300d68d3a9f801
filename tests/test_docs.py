"""The pages: commands can be parsed, Python names exist, pictures and links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import pfgm_science
from modalities.audio import datasets
from pfgm_science import cli

ROOT = Path(__file__).parents[1]
GRAPHS, AUDIO, ROOMS = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("graphs", "audio", "architecture")
)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_can_be_parsed(page: Path) -> None:
    parser, commands = cli._parsers()
    for line in re.findall(r"^    pfgm (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        words = shlex.split(line, comments=True)
        cli._check_options(words, parser, commands)
        assert parser.parse_args(words).command == words[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_exist(page: Path) -> None:
    for name in re.findall(r"pfgm\.(\w+)\b(?!\.)", page.read_text(encoding="utf-8")):
        assert hasattr(pfgm_science, name), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_solver_and_grid_is_on_the_page_of_sampling() -> None:
    text = (ROOT / "docs" / "sampling.md").read_text(encoding="utf-8")
    for words in ("Euler", "Heun", "2M and 3M", "DEIS", "iPNDM", "UniPC", "dopri5", "stochastic", "karras", "fitted"):
        assert words in text


def test_the_examples_of_the_page_of_graphs_run_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "".join(re.findall(r"```python\n(.*?)```", GRAPHS, re.DOTALL))
    exec(compile(code.replace("steps=500", "steps=5"), "graphs.md", "exec"), {"__name__": "__main__"})


def test_the_examples_of_the_page_of_audio_run_one_after_another() -> None:
    code = "".join(re.findall(r"```python\n(.*?)```", AUDIO, re.DOTALL)).replace("steps=50,", "steps=2,")
    assert "steps=2," in code and "count=200" in code
    small = 'network={"channels": 4, "multipliers": [1, 2], "embedding": 8, "attention": 0}, '
    found: dict[str, Any] = {"__name__": "__main__"}
    code = code.replace("count=200", "count=20").replace("steps=2,", f"steps=2, {small}")
    code = re.sub(r"count=([14])|sample\(4", r"\g<0>, evaluations=9", code)
    exec(compile(code, "audio.md", "exec"), found)
    clip = found["clip"]
    assert len(found["new"]) == len(found["filled"]) == 4
    assert [found[name][0].seconds for name in ("wide", "restored", "longer")] == [clip.seconds, clip.seconds, 0.4]


def test_every_set_of_sounds_is_on_its_page_with_its_licence() -> None:
    for info in datasets.names():
        row = next(line for line in AUDIO.splitlines() if line.startswith(f"| `{info.name}"))
        assert info.licence.split(" ")[0] in row or info.name == "drums", row


@pytest.mark.parametrize("folder", ["pfgm_science", "modalities/audio"])
def test_every_room_is_in_the_house(folder: str) -> None:
    lacking = [
        path.name
        for path in sorted((ROOT / folder).glob("*.py"))
        if not path.name.startswith("__") and f"`{path.name}`" not in ROOMS
    ]
    assert not lacking
