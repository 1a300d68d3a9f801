"""Denoisers: functions (x, sigma, condition, mask) -> E[y | x], and wrappers that make one from another."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pfgm_science.batch import Condition, expand, free_coordinates
from pfgm_science.codebook import Codebook
from pfgm_science.condition import DIMENSION, ESTIMATE, SEEN, dimension_feature
from pfgm_science.divergence import difference_divergence, with_divergence
from pfgm_science.errors import ConfigError

PRECONDITIONINGS = ("edm", "matched", "seen")
SEEN_UP_TO = 4.0  # the largest D at which a network is told what x shows of its noise
FAR_OUT = 5.0  # in sigma: for Gaussian noise one coordinate in two million lies farther


class Denoiser(Protocol):
    """E[y | x]: x is [batch, *shape], sigma [batch], the result like x."""

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor: ...


def calls_of(denoiser: Denoiser) -> int:
    """Calls of the network that one evaluation of a denoiser takes: wrappers have them as `calls`, others take one."""
    return int(getattr(denoiser, "calls", 1))


class Wrapper:
    """What denoisers share that ask another one once."""

    denoiser: Denoiser

    @property
    def calls(self) -> int:
        """Calls of the network that an evaluation takes."""
        return calls_of(self.denoiser)


class Preconditioned(nn.Module):
    """A network in EDM's preconditioning (Karras et al., arXiv 2206.00364, table 1): a denoiser that is easy to learn.

    network(x, noise_level, condition, mask) sees input of unit size and noise_level = ln(s) / 4 in float32; the sum of
    skip and output keeps the dtype of x. s is sigma, except where x lies too far out for it: see `level`.
    sigma_data, radius: root mean square of the coordinates of the data, and that of the farthest sample (inf when it
    is not known). precision: "float32", or "bfloat16" for the network alone, which is entered after normalisation
    because the values before it have no finite variance for D <= 2.
    A network with a `codebook` gives logits in place of EDM's output, and the answer is the mean of the codewords.
    preconditioning: which s, at the D that the network is trained for. "edm": sigma, as for diffusion. "matched": the
    standard deviation that the noise has, sigma sqrt(D / (D - 2)). "seen": what x shows of its own noise, as far as
    it shows through the data (derived, docs/physics.md, section 2; sigma where the radius is not known), of which the
    network is told the ratio to sigma besides.
    """

    def __init__(
        self,
        network: nn.Module,
        sigma_data: float,
        precision: str = "float32",
        *,
        radius: float = math.inf,
        D: float = math.inf,
        preconditioning: str = "edm",
    ) -> None:
        super().__init__()
        check_preconditioning(preconditioning, D)
        if not (sigma_data > 0 and math.isfinite(sigma_data)):
            raise ConfigError(f"sigma_data is {sigma_data}: the data must vary and be finite")
        if not radius >= 0:
            raise ConfigError(f"radius is {radius}: it must be >= 0, inf when it is not known")
        self.network = network
        self.sigma_data = sigma_data
        self.radius = radius
        self.D, self.preconditioning = D, preconditioning
        self.set_precision(precision)

    def set_precision(self, precision: str) -> None:
        """Run the network in "float32" or "bfloat16"."""
        if precision not in ("float32", "bfloat16"):
            raise ConfigError(f"precision {precision!r} is not known; there are float32 and bfloat16")
        self.precision = precision

    def level(self, x: Tensor, sigma: Tensor, mask: Tensor | None = None) -> Tensor:
        """The noise level that x shows: sigma or, where data and five sigma do not reach x, what is needed to: [batch].

        Small D draws small kappa: x = y + sigma z / sqrt(kappa) then lies hundreds of sigma out. Told sigma alone, the
        input of the network and its skip connection would run away. For large D or N such x do not occur.
        """
        x = x if mask is None else x * mask.to(x.dtype)
        N = free_coordinates(x, mask).clamp(min=1)
        if self.preconditioning == "seen" and math.isfinite(self.D):
            return self._seen(_squares(x) / N, sigma, N)
        if self.preconditioning == "matched" and math.isfinite(self.D):
            sigma = sigma * math.sqrt(self.D / (self.D - 2))
        size = _squares(x) / N
        beyond = size - self.radius**2 - (FAR_OUT * sigma) ** 2
        # The root is not taken at 0, where it has no derivative.
        raised = torch.hypot(sigma, torch.where(beyond > 0, beyond, 1.0).sqrt())
        return torch.where(beyond > 0, raised, sigma)

    def _seen(self, size: Tensor, sigma: Tensor, N: Tensor) -> Tensor:
        """The level that x of this mean square shows, D and N weighed by how well each knows it: [batch].

        The noise v that is seen is off by its own chance, by that of its product with y, and by how much the size of y
        differs between data: where that is more than the noise, nothing is seen and the level is sigma.
        """
        seen = (size - self.sigma_data**2).clamp(min=0)
        differ = max(self.radius**2 - self.sigma_data**2, 0.0)
        v = sigma**2 + (size - self.radius**2).clamp(min=0)  # with what no size of y explains
        weight = N / (1 + 2 * self.sigma_data**2 / v + N * (differ / v) ** 2 / 2)
        return ((self.D * sigma**2 + weight * seen) / (self.D + weight)).sqrt()

    def loss_weight(self, x: Tensor, sigma: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weight of the squared error that asks the network for an output of unit size at every level: [batch]."""
        s, d = self.level(x, sigma, mask), self.sigma_data
        return (s**2 + d**2) / (s * d) ** 2

    def forward(
        self,
        x: Tensor,
        sigma: Tensor,
        condition: Condition | None = None,
        mask: Tensor | None = None,
        *,
        logits: bool = False,
    ) -> Tensor:
        """E[y | x] like x; logits: what a network with a codebook says of its symbols, in place of their mean."""
        level, d = self.level(x, sigma.to(x.dtype), mask), self.sigma_data
        if self.preconditioning == "seen":
            condition = {**(condition or {}), SEEN: (level / sigma).log().float()[:, None]}
        s = expand(level, x)
        total = (s * s + d * d).sqrt()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            free = None if mask is None else mask.float()
            output: Tensor = self.network((x / total).float(), level.log().float() / 4, condition, free)
        if logits:
            return output
        codebook: Codebook | None = getattr(self.network, "codebook", None)
        if codebook is not None:
            denoised = codebook.mean(output.to(x.dtype))
        else:
            denoised = (d / total) ** 2 * x + (s * d / total) * output.to(x.dtype)
        return denoised if mask is None else denoised * mask.to(x.dtype)


def usual_preconditioning(D: float) -> str:
    """The one of PRECONDITIONINGS that a network trained at D > 0 alone has, where nothing is said of it.

    At D <= SEEN_UP_TO the noise in x is so seldom what sigma says that a network is better told what x shows; from 16
    on that is no help (measured, `pfgm benchmark dimension preconditioning`).
    """
    return "seen" if D <= SEEN_UP_TO else "edm"


def check_preconditioning(name: str, D: float) -> None:
    """Raise ConfigError for a preconditioning that there is none of, or that has no meaning at D."""
    if name not in PRECONDITIONINGS:
        raise ConfigError(f"preconditioning {name!r} is not known; there are {', '.join(PRECONDITIONINGS)}")
    if name == "matched" and D <= 2:
        raise ConfigError(f"preconditioning 'matched' at D = {D:g}: the noise has a variance for D > 2 alone; take edm")


class GivenDimension(Wrapper):
    """A network trained on many D, run at one: adds D to what it is conditioned on.

    D: a number or [batch].
    """

    def __init__(self, denoiser: Denoiser, D: float | Tensor) -> None:
        self.denoiser, self.D = denoiser, D

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        N = free_coordinates(x, mask).double()
        # A number is filled in, not copied to the device, which a loop that is being recorded could not do.
        D = self.D.to(N).expand(len(x)) if isinstance(self.D, Tensor) else N.new_full((len(x),), self.D)
        return self.denoiser(x, sigma, {**(condition or {}), DIMENSION: dimension_feature(D, N)}, mask)


class Remembering(Wrapper):
    """A denoiser that is shown its last answer as an estimate (self-conditioning: arXiv 2208.04202), at first zeros.

    One is made for each trajectory and belongs to it: it is no function of x and sigma alone.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.last: Tensor | None = None

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if self.last is not None:
            condition = {**(condition or {}), ESTIMATE: self.last}
        answer = self.denoiser(x, sigma, condition, mask)
        self.last = answer.detach()
        return answer


def wants_estimate(denoiser: Preconditioned) -> bool:
    """Whether the network is trained with an estimate of the clean values beside the noisy ones."""
    return bool(getattr(denoiser.network, "self_conditioning", False))


class AtDimension:
    """A diffusion denoiser (D = inf) run at any D, without training, by the mixture identity

        Den_D(x, sigma) = E_{kappa | x}[ Den_inf(x, sigma / sqrt(kappa)) ]        (docs/physics.md, section 4).

    nodes = 0: kappa is replaced by the one value that x makes likely, the fixed point from s = sigma of
    s^2 = (D sigma^2 + ||x - Den(x, s)||^2) / (N - div Den(x, s) + D), Den that of D = inf. The divergence is the number
    of coordinates that are data rather than noise at that level, of which the residual says nothing. Good for large N;
    costs two evaluations an iteration, of Den and of its divergence, and one more.
    nodes = k: the expectation itself, by quadrature over k noise levels s = sigma / sqrt(kappa). p(kappa | x) needs no
    draw of y, because the heat equation gives the density of x at each level from the denoiser alone:
    d log p_s(x) / d log s = div Den - N + ||x - Den||^2 / s^2. Right for small N too; costs k evaluations and their
    gradients. The divergence is exact up to N = 16 and Hutchinson's estimate with one fixed probe above.
    Raises ConfigError for D <= 0 and for counts that make no sense.
    """

    def __init__(self, denoiser: Denoiser, D: float, *, iterations: int = 1, nodes: int = 0) -> None:
        if not D > 0:
            raise ConfigError(f"D is {D}: the number of extra dimensions must be > 0 (inf is diffusion)")
        if iterations < 1 or nodes < 0 or nodes == 1:
            raise ConfigError(f"iterations is {iterations} and nodes {nodes}: need iterations >= 1, nodes 0 or >= 2")
        self.denoiser, self.D = denoiser, float(D)
        self.iterations, self.nodes = iterations, nodes
        self.calls = calls_of(denoiser) * (1 if math.isinf(self.D) else nodes or 2 * iterations + 1)

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if math.isinf(self.D):
            return self.denoiser(x, sigma, condition, mask)
        x = x if mask is None else x * mask.to(x)
        N, sigma = free_coordinates(x, mask), sigma.to(x)
        if self.nodes:
            return self._expectation(x, sigma, N, condition, mask)
        return self.denoiser(x, self._fixed_point(x, sigma, N, condition, mask), condition, mask)

    def _fixed_point(
        self, x: Tensor, sigma: Tensor, N: Tensor, condition: Condition | None, mask: Tensor | None
    ) -> Tensor:
        """The noise level that x itself shows: [batch]."""
        s = sigma
        for _ in range(self.iterations):
            y = self.denoiser(x, s, condition, mask)
            divergence = difference_divergence(self.denoiser, x, y, s, condition, mask)
            # An estimate may leave the range in which a divergence of an expectation lies.
            noisy = (N - divergence).clamp(min=torch.zeros_like(N), max=N)
            s = ((self.D * sigma**2 + _squares(x - y)) / (noisy + self.D)).sqrt()
        return s

    def _expectation(
        self, x: Tensor, sigma: Tensor, N: Tensor, condition: Condition | None, mask: Tensor | None
    ) -> Tensor:
        # Where the nodes lie is no function of x to be differentiated.
        low, high = (level.detach() for level in self._likely_levels(x, sigma, N))
        step = (high - low) / (self.nodes - 1)
        log_p = log_weight = torch.zeros_like(sigma)
        before: Tensor | None = None
        log_weights, denoised = [], []
        for k in range(self.nodes):
            log_s = low + k * step
            y, divergence = with_divergence(self.denoiser, x, log_s.exp(), condition, mask)
            slope = divergence - N + _squares(x - y) * torch.exp(-2 * log_s)
            if before is not None:
                log_p = log_p + step * (before + slope) / 2
            before = slope
            log_kappa = 2 * (sigma.log() - log_s)
            log_weight = log_p + self.D / 2 * (log_kappa - log_kappa.exp())
            log_weights.append(log_weight)
            denoised.append(y)
        weights = torch.softmax(torch.stack(log_weights), dim=0)
        total = torch.zeros_like(x)
        for weight, y in zip(weights, denoised, strict=True):
            total += expand(weight, x) * y
        return total

    def _likely_levels(self, x: Tensor, sigma: Tensor, N: Tensor) -> tuple[Tensor, Tensor]:
        """log s between which kappa lies in all but a thousandth of cases, whatever y is: two [batch]."""
        from scipy.special import gammaincinv

        shape = ((N + self.D) / 2).double().cpu().numpy()
        least_rate, most_rate = self.D / 2, (self.D + _squares(x) / sigma**2) / 2
        most = np.minimum(gammaincinv(self.D / 2, 0.999), gammaincinv(shape, 0.999)) / least_rate
        least = torch.from_numpy(np.asarray(gammaincinv(shape, 0.001))).to(x) / most_rate
        return sigma.log() - torch.from_numpy(most).to(x).log() / 2, sigma.log() - least.log() / 2


def at_dimension(denoiser: Denoiser, D: float, *, iterations: int = 1, nodes: int = 0) -> AtDimension:
    """Run a trained diffusion denoiser at any D; see AtDimension."""
    return AtDimension(denoiser, D, iterations=iterations, nodes=nodes)


def _squares(x: Tensor) -> Tensor:
    return x.flatten(1).square().sum(1)
