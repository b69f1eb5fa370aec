"""What tests of measurements share."""

from __future__ import annotations

import numpy as np
import pytest

from netdsl.measurements import evaluation


@pytest.fixture
def runs(monkeypatch):
    """The examples of each batch that was evaluated, padding left out."""
    seen = []
    make = evaluation._function

    def counting(*arguments):
        function = make(*arguments)

        def batch(arrays, state, inputs, indices, weights):
            seen.append(int(np.sum(weights)))
            return function(arrays, state, inputs, indices, weights)

        return batch

    monkeypatch.setattr(evaluation, "_function", counting)
    monkeypatch.setattr(evaluation, "compiled", lambda key, make: make())
    return seen
