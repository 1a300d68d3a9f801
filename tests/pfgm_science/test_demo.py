"""The demo: one page, and it goes on where it was cut."""

from __future__ import annotations

import re

import networkx as nx
import pytest

import pfgm_science as pfgm
from modalities.graphs import Graphs
from pfgm_science import demo as module
from pfgm_science import shipped
from pfgm_science.errors import CheckpointError
from pfgm_science.figures import new_figure
from pfgm_science.progress import silent
from pfgm_science.report import Html
from pfgm_science.unet import UNetConfig

GRAPHS = {"width": 8, "pair_width": 8, "depth": 1, "heads": 2, "product": 2, "walks": 3, "embedding": 8}
TINY = UNetConfig(channels=8, multipliers=(1,), attention=0, patch=2, embedding=8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A demo of two steps, with a smaller network and fewer samples than the real one."""
    folder = tmp_path_factory.mktemp("demo") / "new"
    messages = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COUNT", 40)
        patch.setattr(module, "CLOUD", 50)
        patch.setattr("pfgm_science.evaluation.REPEATS", 2)
        patch.setattr("pfgm_science.evaluation.CLASSIFIERS", 1)
        patch.setattr("modalities.images.network.default_config", lambda shape: TINY)
        patch.setattr(module, "EVALUATIONS", (3, 5))
        patch.setattr(module.fieldlines, "draw", lambda *_, **__: new_figure(1, 1)[0])
        small = pfgm.fit(Graphs(), [nx.path_graph(4)] * 4, steps=2, batch_size=2, network=GRAPHS)
        shipped.ship(small, tmp_path_factory.mktemp("models") / "small.safetensors", {"vun": 0.5}, "by a test")
        patch.setattr(shipped, "models", lambda: {"small": next(tmp_path_factory.getbasetemp().glob("models*/small*"))})
        path = module.demo(folder, steps=2, on_message=messages.append, watch=silent)
    return path, messages


def test_page_is_complete_and_offline(made):
    path, messages = made
    assert path.name == "index.html"
    page = path.read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert [title for title in titles if title != "Nearest training images"] == [
        "Ten of each class",
        "Measures",
        "Fewer evaluations",
        "Shipped: small",
        "Field lines",
        "From prior to data",
        "Training",
        "Provenance",
        "What next",
    ]
    assert not re.search(r"<script|<link|@import|(src|href)=\"(?!data:|#)", page)
    assert page.count("<img") >= 10
    assert "Measured of it: vun 0.5" in page and "pfgm sample small" in page
    assert "CC-BY-4.0" in page
    assert messages[-1].startswith("Done in ")


def test_a_demo_that_is_there_is_not_trained_again(made, monkeypatch):
    path, _ = made
    monkeypatch.setattr("modalities.images.network.default_config", lambda shape: TINY)
    trained = []
    fit = module.fit

    def counting(*arguments, on_step, **settings):
        return fit(*arguments, on_step=lambda at: trained.append(at), **settings)

    monkeypatch.setattr(module, "fit", counting)
    module._digits(path.parent, 2, 0, silent)
    assert trained == []
    with pytest.raises(CheckpointError, match="seed"):
        module._digits(path.parent, 2, 1, silent)


def test_an_adapter_may_show_more_than_a_picture(tmp_path, monkeypatch):
    small = pfgm.fit(Graphs(), [nx.path_graph(4)] * 4, steps=1, batch_size=2, network=GRAPHS)
    shipped.ship(small, tmp_path / "small.safetensors", {"vun": 0.5}, "by a test")
    monkeypatch.setattr(shipped, "models", lambda: {"small": tmp_path / "small.safetensors"})
    monkeypatch.setattr(Graphs, "shown", lambda _, objects: [Html(f"{len(objects)} graphs")], raising=False)
    (section,) = module._shipped(0, silent)
    assert section.items[0] == Html(f"{module.SHIPPED} graphs")
