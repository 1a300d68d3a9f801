"""Solvers of the flow dx/dsigma = (x - Den(x, sigma)) / sigma: one `step` each, from one noise level to the next.

The flow is EDM's for every D (PFGM++, arXiv 2302.04265, section 4), so every deterministic solver works unchanged.
"""

from __future__ import annotations

from pfgm_science.adaptive import DormandPrince
from pfgm_science.errors import ConfigError
from pfgm_science.multistep import DEIS, IPNDM, DPMSolver2M, DPMSolver3M, Trig2M, UniPC
from pfgm_science.onestep import Euler, Heun
from pfgm_science.state import Denoise, Estimate, Solver, State
from pfgm_science.stochastic import StochasticHeun

# As many evaluations as they are told, and no noise.
FIXED: dict[str, Solver] = {
    solver.name: solver
    for solver in (Euler(), Heun(), DPMSolver2M(), DPMSolver3M(), DEIS(), IPNDM(), UniPC(), Trig2M())
}
DETERMINISTIC: dict[str, Solver] = {**FIXED, DormandPrince.name: DormandPrince()}
SOLVERS: dict[str, Solver] = {**DETERMINISTIC, StochasticHeun.name: StochasticHeun()}
# What draws best of those without noise, from 5 to 79 evaluations, with a fitted grid, as measured: docs/benchmarks.md.
DEFAULT = Trig2M.name


def is_fixed(solver: Solver) -> bool:
    """Whether a solver takes as many evaluations as it is told."""
    return not isinstance(solver, DormandPrince)


def solver_named(name: str | Solver) -> Solver:
    """The solver of this name, or the solver itself; ConfigError lists the names when there is none."""
    if not isinstance(name, str):
        return name
    if name not in SOLVERS:
        raise ConfigError(f"solver {name!r} is not known; there are {', '.join(SOLVERS)}")
    return SOLVERS[name]


__all__ = [
    "DEFAULT",
    "DEIS",
    "DETERMINISTIC",
    "FIXED",
    "IPNDM",
    "SOLVERS",
    "DPMSolver2M",
    "DPMSolver3M",
    "Denoise",
    "DormandPrince",
    "Estimate",
    "Euler",
    "Heun",
    "Solver",
    "State",
    "StochasticHeun",
    "Trig2M",
    "UniPC",
    "is_fixed",
    "solver_named",
]
