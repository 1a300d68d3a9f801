"""The pages: commands can be parsed, Python names exist, pictures and links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import pfgm_science
from pfgm_science import cli

ROOT = Path(__file__).parents[1]
GRAPHS = (ROOT / "docs" / "graphs.md").read_text(encoding="utf-8")
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
