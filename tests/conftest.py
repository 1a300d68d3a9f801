"""Small tensors are faster on one thread, and sums then have one order everywhere."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
