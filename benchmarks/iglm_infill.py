"""IgLM's answers, in an environment of its own: `PYTHON iglm_infill.py < jobs.json > answers.json`.

IgLM 0.1.0 (R. W. Shuai et al., Cell Systems 14, 979 (2023); academic, non-commercial licence) needs transformers below
5, and is never imported by the benchmarks themselves. In: {"seed": 0, "jobs": [{"count": 5}, {"count": 5, "prompt":
"EVQ"}, {"count": 5, "sequence": "EVQ...", "start": 96, "end": 109}]}: whole human heavy chains, those that begin in one
way, or spans of one, at temperature 1 and top_p 1. Out: {"sequences": [[...], ...],
"seconds": [...]}, a list and a time each. It draws until as many as asked for are distinct.
"""

from __future__ import annotations

import json
import sys
import time
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
    for job in jobs:
        started = time.perf_counter()
        if "sequence" in job:
            span = (job["start"], job["end"])
            found = model.infill(job["sequence"], CHAIN, SPECIES, infill_range=span, num_to_generate=job["count"])
        else:
            found = model.generate(CHAIN, SPECIES, job.get("prompt"), num_to_generate=job["count"])
        seconds.append(time.perf_counter() - started)
        sequences.append(sorted(found))
    return {"sequences": sequences, "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
