"""IgLM as a baseline of the benchmarks: asked under another Python, which has it (see iglm_infill).

R. W. Shuai, J. A. Ruffolo and J. J. Gray, Cell Systems 14, 979 (2023); academic, non-commercial licence.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pfgm_science.errors import PfgmError

PEER = Path(__file__).parent / "iglm_infill.py"


def argument(built: argparse.ArgumentParser) -> None:
    """`--iglm PYTHON`."""
    built.add_argument("--iglm", metavar="PYTHON", help="the Python of an environment that has iglm==0.1.0")


def ask(python: str, jobs: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    """What iglm_infill answers under another Python; PfgmError with the reason where it does not."""
    asked = json.dumps({"seed": seed, "jobs": list(jobs)})
    try:
        done = subprocess.run([python, str(PEER)], input=asked, capture_output=True, text=True)
    except OSError as error:
        raise PfgmError(f"--iglm {python}: it cannot be run ({error})") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PfgmError(f"--iglm {python}: {reason}. It needs iglm==0.1.0 and transformers below 5.")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
