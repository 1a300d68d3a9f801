"""Measurements that are kept one by one in a JSON file, so that a run that is cut goes on where it stopped.

A cell is one measurement: a key (what was run: D, seed, evaluations, ...) and its figures. The file is written whole
after each cell, and several processes may fill one.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pfgm_science.config import first_difference, to_json
from pfgm_science.errors import PfgmError
from pfgm_science.files import replacing


class Cells:
    """The cells of one JSON file, which need not exist yet."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.about: dict[str, Any] = {}
        self.cells: list[dict[str, Any]] = []
        self._read()

    def describe(self, protocol: Mapping[str, Any], *, again: bool = False, **about: Any) -> None:
        """What holds for all cells. protocol: what decides the figures beside the key of a cell; about: the rest.

        again: forget the cells that are there. Raises PfgmError when there are cells of another protocol, because
        figures that were not measured alike must not stand in one table.
        """
        with self._alone():
            self._read()
            if again:
                self.cells = []
            if self.cells and (other := first_difference(self.about.get("protocol", {}), to_json(protocol))):
                raise PfgmError(
                    f"{self.path} holds figures of another protocol: {other} now. {self._elsewhere}, or --again to "
                    "measure all of this one anew."
                )
            self.about = {**to_json(about), "protocol": to_json(protocol)}
            self._write()

    # What to say where figures of two protocols would meet.
    _elsewhere = "Give --out FOLDER for one of its own"

    def find(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """The figures of the cell with exactly this key, or None."""
        wanted = to_json(key)
        return next((cell["figures"] for cell in self.cells if cell["key"] == wanted), None)

    def cell(self, key: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The figures of a cell, measured now unless they are there."""
        found = self.find(key)
        if found is None:
            found = to_json(dict(measure()))
            with self._alone():
                self._read()  # another process may have added cells meanwhile: join them
                if (theirs := self.find(key)) is not None:
                    return theirs
                self.cells.append({"key": to_json(key), "figures": found})
                self._write()
        return found

    def select(self, **key: Any) -> list[dict[str, Any]]:
        """Cells whose key holds these entries (and perhaps more)."""
        wanted = to_json(key)
        return [c for c in self.cells if all(c["key"].get(k) == v for k, v in wanted.items())]

    def discard(self, **key: Any) -> None:
        """Forget the cells whose key holds these entries, so that they are measured again."""
        with self._alone():
            self._read()
            gone = self.select(**key)
            self.cells = [cell for cell in self.cells if cell not in gone]
            self._write()

    def _read(self) -> None:
        if not self.path.exists():
            return
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            self.about, self.cells = dict(document["about"]), list(document["cells"])
            if not all(isinstance(cell["key"], dict) and isinstance(cell["figures"], dict) for cell in self.cells):
                raise ValueError("a cell without key or figures")
        except (ValueError, LookupError, TypeError) as error:
            raise PfgmError(f"{self.path} is no file of measurements ({error}): move it away") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Several processes may fill one file: one at a time rewrites it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self.path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self) -> None:
        cells = sorted(self.cells, key=lambda c: json.dumps(c["key"], sort_keys=True))
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps({"about": self.about, "cells": cells}, indent=1) + "\n", encoding="utf-8")
