"""One sample on its way from the prior to the data: what the denoiser was shown and what it answered, call by call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pfgm_science.batch import Batch, Condition
from pfgm_science.denoiser import Denoiser
from pfgm_science.model import Model


@dataclass(frozen=True)
class Seen:
    """A noise level, the state of the sample there, and the denoiser's estimate of the clean sample: batches of one."""

    sigma: float
    state: Batch
    estimate: Batch


def walk(model: Model, seed: int = 0) -> list[Seen]:
    """The way of sample 0 of this seed, from the highest noise level to 0, where state and estimate are the sample."""
    seen: list[Seen] = []
    batch = model.adapter.template(1, seed)

    def watched(denoiser: Denoiser) -> Denoiser:
        def ask(x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None) -> Tensor:
            answer = denoiser(x, sigma, condition, mask)
            seen.append(Seen(float(sigma[0]), Batch(x.float(), mask), Batch(answer.float(), mask)))
            return answer

        return ask

    for state in model.trajectory(batch, range(1), seed=seed, steer=watched):
        x = state.x
    end = Batch(x.float().cpu(), batch.mask)
    return [*seen, Seen(0.0, end, end)]


def milestones(seen: Sequence[Seen], size: float, count: int = 7) -> list[Seen]:
    """So many of these for a picture: from noise of five times the data's size, evenly in log sigma, to the last."""
    wanted = [5 * size * 0.02 ** (k / max(count - 2, 1)) for k in range(count - 1)]
    chosen = [min(seen[:-1], key=lambda at: abs(math.log(at.sigma) - math.log(level))) for level in wanted]
    kept = {id(at): at for at in chosen}
    return [*sorted(kept.values(), key=lambda at: -at.sigma), seen[-1]]
