"""Solvers that use the estimates of the steps before: one evaluation a step, and second or third order.

All of them are published for Gaussian noise. They solve dx/dsigma = (x - Den(x, sigma)) / sigma, which is the flow at
every D (PFGM++, arXiv 2302.04265, section 4). The first steps have less of a past and are of lower order, which costs
nothing where sigma is far above the data and Den hardly changes; the last step, to sigma = 0, ends on the estimate.
lambda is -ln(sigma), in which h is the size of a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from pfgm_science.state import Denoise, Estimate, OneEvaluation, State, estimated


@dataclass(frozen=True)
class DPMSolver2M(OneEvaluation):
    """DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, algorithm 2)."""

    name: ClassVar[str] = "dpm2m"
    order: ClassVar[int] = 2

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        now = estimated(denoise, state)
        target = now.denoised
        if state.past and sigma > 0:
            ratio = _log_step(state.past[0].sigma, state.sigma) / _log_step(state.sigma, sigma)
            target = target + (now.denoised - state.past[0].denoised) / (2 * ratio)
        return _next(state, now, _decay(now, sigma, target), sigma, keep=1)


@dataclass(frozen=True)
class DPMSolver3M(OneEvaluation):
    """DPM-Solver++(3M): the same with differences of second order (Lu et al., arXiv 2211.01095, appendix).

    second: what the second divided difference counts for. It is half a second derivative, so 2 makes the method one of
    third order; diffusers and k-diffusion use 1, with which it is of second order.
    """

    second: float = 2.0
    name: ClassVar[str] = "dpm3m"
    order: ClassVar[int] = 3

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        if len(state.past) < 2 or sigma == 0:
            after = DPMSolver2M().step(denoise, state, sigma)
            return State(after.x, sigma, (*after.past, *state.past)[:2], after.evaluations)
        now = estimated(denoise, state)
        before, earlier = state.past
        h = _log_step(state.sigma, sigma)
        r0, r1 = _log_step(before.sigma, state.sigma) / h, _log_step(earlier.sigma, before.sigma) / h
        recent, older = (now.denoised - before.denoised) / r0, (before.denoised - earlier.denoised) / r1
        first = recent + r0 / (r0 + r1) * (recent - older)
        second = self.second * (recent - older) / (r0 + r1)
        decay = math.expm1(-h)
        x = (sigma / state.sigma) * state.x - decay * now.denoised
        x = x + (decay / h + 1) * first - ((decay + h) / h**2 - 0.5) * second
        return _next(state, now, x, sigma, keep=2)


@dataclass(frozen=True)
class Trig2M(OneEvaluation):
    """Two steps of Adams and Bashforth in the angle arctan(sigma / size), in which Gaussian data stand still.

    With c^2 = sigma^2 + size^2, w = x / c and theta = arctan(sigma / size), the flow is dw/dtheta = -F, where F is what
    EDM asks of the network: Den = (size / c)^2 x + (sigma size / c) F. (The angle is that of TrigFlow, Lu and Song,
    arXiv 2410.11081; the rest is derived.) The first steps are long in theta on Karras' grid: take a fitted one.
    size: of the data in each coordinate, sigma_data.
    """

    size: float = 0.5
    name: ClassVar[str] = "trig2m"
    order: ClassVar[int] = 2

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        now = estimated(denoise, state)
        if sigma == 0:
            return _next(state, now, now.denoised, sigma, keep=1)
        angle, end = self._angle(state.sigma), self._angle(sigma)
        rate = self._rate(now)
        w = state.x / math.hypot(state.sigma, self.size) - (end - angle) * rate
        if state.past:
            change = (rate - self._rate(state.past[0])) / (angle - self._angle(state.past[0].sigma))
            w = w - (end - angle) ** 2 / 2 * change
        return _next(state, now, w * math.hypot(sigma, self.size), sigma, keep=1)

    def _angle(self, sigma: float) -> float:
        return math.atan2(sigma, self.size)

    def _rate(self, estimate: Estimate) -> Tensor:
        """F, of about unit size."""
        c = math.hypot(estimate.sigma, self.size)
        return (estimate.denoised - (self.size / c) ** 2 * estimate.x) / (estimate.sigma * self.size / c)


@dataclass(frozen=True)
class DEIS(OneEvaluation):
    """Polynomial extrapolation of the slope in sigma, third order (tAB-DEIS; Zhang and Chen, arXiv 2204.13902).

    Written in the slope, this flow has no linear part for an exponential integrator to take care of: the method is that
    of Adams and Bashforth on an uneven grid.
    """

    name: ClassVar[str] = "deis"
    order: ClassVar[int] = 3

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        now = estimated(denoise, state)
        if sigma == 0:
            return _next(state, now, now.denoised, sigma, keep=2)
        known = (now, *state.past)
        weights = integrals_of_lagrange([each.sigma for each in known], state.sigma, sigma)
        x = state.x
        for weight, each in zip(weights, known, strict=True):
            x = x + weight * each.slope
        return _next(state, now, x, sigma, keep=2)


@dataclass(frozen=True)
class IPNDM(OneEvaluation):
    """Adams and Bashforth's weights for an even grid, used on any, four slopes (Liu et al., arXiv 2202.09778, with the
    lower-order start of Zhang and Chen, arXiv 2204.13902). Of second order where the grid is uneven.
    """

    name: ClassVar[str] = "ipndm"
    order: ClassVar[int] = 2
    weights: ClassVar[tuple[tuple[float, ...], ...]] = (
        (1.0,),
        (3 / 2, -1 / 2),
        (23 / 12, -16 / 12, 5 / 12),
        (55 / 24, -59 / 24, 37 / 24, -9 / 24),
    )

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        now = estimated(denoise, state)
        if sigma == 0:
            return _next(state, now, now.denoised, sigma, keep=3)
        known = (now, *state.past)
        x = state.x
        for weight, each in zip(self.weights[len(known) - 1], known, strict=True):
            x = x + (sigma - state.sigma) * weight * each.slope
        return _next(state, now, x, sigma, keep=3)


@dataclass(frozen=True)
class UniPC(OneEvaluation):
    """UniPC-2 with B(h) = e^h - 1: a step corrected by the evaluation that the next step needs anyway, so that the
    second order of the predictor becomes the third (Zhao et al., arXiv 2302.04867, algorithms 1 and 2).
    """

    name: ClassVar[str] = "unipc"
    order: ClassVar[int] = 3

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        estimate = denoise(state.x, state.sigma)
        x = state.x
        if state.past:
            x = _unified(state.past, state.sigma, estimate)
        now = Estimate(x, state.sigma, estimate)
        known = (now, *state.past)[:2]
        return _next(state, now, estimate if sigma == 0 else _unified(known, sigma), sigma, keep=2)


def _unified(known: Sequence[Estimate], sigma: float, estimate: Tensor | None = None) -> Tensor:
    """UniP from known[0] to sigma, or UniC where the estimate at sigma is known as well."""
    start = known[0]
    h = _log_step(start.sigma, sigma)
    ratios = [_log_step(start.sigma, each.sigma) / h for each in known[1:]]
    differences = [(each.denoised - start.denoised) / ratio for each, ratio in zip(known[1:], ratios, strict=True)]
    if estimate is not None:
        ratios, differences = [*ratios, 1.0], [*differences, estimate - start.denoised]
    decay = math.expm1(-h)
    x = (sigma / start.sigma) * start.x - decay * start.denoised
    for weight, difference in zip(_unified_weights(ratios, h), differences, strict=True):
        x = x - decay * weight * difference
    return x


def _unified_weights(ratios: Sequence[float], h: float) -> Sequence[float]:
    """What the differences at these ratios count for: eq. 5 of arXiv 2302.04867; 1/2 for a single one."""
    if len(ratios) == 1:
        return [0.5]
    phi, factorial = math.expm1(-h) / -h - 1, 1
    right = []
    for k in range(1, len(ratios) + 1):
        right.append(phi * factorial / math.expm1(-h))
        factorial *= k + 1
        phi = phi / -h - 1 / factorial
    powers = np.vander(np.asarray(ratios), increasing=True).T
    weights: list[float] = np.linalg.solve(powers, np.asarray(right)).tolist()
    return weights


def integrals_of_lagrange(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """The integral from start to end of each Lagrange polynomial of these nodes."""
    # The weights that integrate each power exactly, in units of the way, so that powers of large levels do not cancel.
    way = end - start
    powers = np.vander([(node - start) / way for node in nodes], increasing=True).T
    weights: list[float] = (way * np.linalg.solve(powers, 1 / np.arange(1, len(nodes) + 1))).tolist()
    return weights


def _log_step(high: float, low: float) -> float:
    """The step in lambda from one level down to another."""
    return math.log(high / low)


def _decay(now: Estimate, sigma: float, target: Tensor) -> Tensor:
    """x where the flow towards a target that stands still leaves it."""
    return target + (sigma / now.sigma) * (now.x - target)


def _next(state: State, now: Estimate, x: Tensor, sigma: float, keep: int) -> State:
    return State(x, sigma, (now, *state.past)[:keep], state.evaluations + 1)
