"""Graphs and molecules: `torch_geometric.data.Data`, or networkx graphs. `from modalities.graphs import Graphs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modalities.graphs.adapter import Graphs
    from modalities.graphs.completion import Part
    from modalities.graphs.objects import from_networkx, networks

__all__ = ["Graphs", "Part", "from_networkx", "networks"]


def __getattr__(name: str) -> Any:
    if name == "Graphs":
        from modalities.graphs.adapter import Graphs

        return Graphs
    if name == "Part":
        from modalities.graphs.completion import Part

        return Part
    if name in ("from_networkx", "networks"):
        from modalities.graphs import objects

        return getattr(objects, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
