"""IgLM's answers, in an environment of its own: `PYTHON iglm_infill.py < jobs.json > answers.json`.

IgLM 0.1.0 (R. W. Shuai et al., Cell Systems 14, 979 (2023); academic, non-commercial licence) needs transformers below
5, and is never imported by the benchmarks themselves. In: {"seed": 0, "jobs": [{"count": 5}, {"count": 5, "prompt":
"EVQ", "batch": 20}, {"count": 5, "sequence": "EVQ...", "start": 96, "end": 109}]}: whole human heavy chains, those that
begin in one way, or spans of one, at temperature 1 and top_p 1. batch: how many its network draws at a time, one if not
said, as its own code does. Out: {"sequences": [[...], ...], "seconds": [...]}, a list and a time each. It draws until
as many as asked for are distinct.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

CHAIN, SPECIES = "[HEAVY]", "[HUMAN]"


def main() -> int:
    asked = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        answer = answers(asked["jobs"], asked["seed"])
    json.dump(answer, sys.stdout)
    return 0


def answers(jobs: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    import torch
    from iglm import IgLM

    model = IgLM(model_name="IgLM")
    torch.manual_seed(seed)
    sequences, seconds = [], []
    draw, padding = model.model.generate, model.tokenizer.pad_token_id
    for job in jobs:
        started = time.perf_counter()
        model.model.generate = Several(draw, job["batch"], padding) if "batch" in job else draw
        if "sequence" in job:
            span = (job["start"], job["end"])
            found = model.infill(job["sequence"], CHAIN, SPECIES, infill_range=span, num_to_generate=job["count"])
        else:
            found = model.generate(CHAIN, SPECIES, job.get("prompt"), num_to_generate=job["count"])
        seconds.append(time.perf_counter() - started)
        sequences.append(sorted(found))
    return {"sequences": sequences, "seconds": seconds}


class Several:
    """A network's generate that draws several at a time and hands them out one by one, without their padding."""

    def __init__(self, generate: Callable[..., Any], batch: int, padding: int) -> None:
        self.generate, self.batch, self.padding = generate, batch, padding
        self.left: list[Any] = []

    def __call__(self, tokens: Any, **how: Any) -> Any:
        """tokens: how each begins, int [1, length]; the same at every call. Returns int [1, longer]."""
        if not self.left:
            self.left = list(self.generate(tokens, num_return_sequences=self.batch, **how))
        drawn = self.left.pop(0)
        return drawn[drawn != self.padding][None]


if __name__ == "__main__":
    sys.exit(main())
