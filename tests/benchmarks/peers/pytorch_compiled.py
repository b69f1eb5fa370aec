"""PyTorch with torch.compile, which needs a C++ compiler on a CPU."""

from __future__ import annotations

import numpy as np
import torch
from workloads import Architecture, Examples, Workload

from peers import Evaluate, Train, pytorch

__all__ = ["evaluation", "single", "training"]


def _require_compiler() -> None:
    try:
        torch.compile(torch.sin)(torch.zeros(2, device=pytorch.DEVICE))
    except Exception as error:  # what is missing decides its type
        raise ImportError(f"torch.compile does not work here: {str(error).splitlines()[0]}") from error


_require_compiler()


def training(workload: Workload, data: Examples, order: np.ndarray) -> Train:
    """The loop of PyTorch eager over the compiled model."""
    return pytorch.training(workload, data, order, torch.compile)


def evaluation(architecture: Architecture, inputs: np.ndarray, batch: int) -> Evaluate:
    """All inputs, batch by batch, by the compiled model."""
    return pytorch.evaluation(architecture, inputs, batch, torch.compile)


def single(architecture: Architecture, thing: np.ndarray) -> Evaluate:
    """One input, by the compiled model."""
    return pytorch.single(architecture, thing, torch.compile)
