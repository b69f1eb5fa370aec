"""The numbers of a training: what is begun, gone on with, and copied."""

from __future__ import annotations

import numpy as np

from netdsl.training.history import History


def half():
    return History(2, losses=[np.array([0.5])], errors=[np.array([0.25])], sums=[{"n": np.array([1.0])}], validation_losses=[3.0])


def test_a_round_is_gone_on_with_or_begun():
    history = half()
    done, losses, errors = history.begin(1, np.float32)
    assert (done, losses.tolist(), errors.tolist()) == (1, [0.5, 0], [0.25, 0])
    done, losses, errors = history.begin(2, np.float32)
    assert (done, losses.tolist(), errors.tolist(), len(history.losses)) == (0, [0, 0], [0, 0], 2)
    assert history.round_losses.tolist() == [0.5], "a round without a batch has no loss"
    assert history.batch_losses.tolist() == [0.5]
    assert history.batch_errors.tolist() == [0.25]
    assert History(3).batch_losses.size == History(3).batch_errors.size == 0


def test_what_is_stored_shares_nothing():
    history = half()
    stored = history.to_dict()
    again = History.from_dict(stored)
    for values in (history, again):
        values.losses[0][0] = values.sums[0]["n"][0] = 9
        values.validation_losses.append(4.0)
    assert (stored["losses"][0].tolist(), stored["sums"][0]["n"].tolist(), stored["validation_losses"]) == ([0.5], [1.0], [3.0])


def test_a_validation_is_noted():
    history = half()
    history.validated(2, 1.5, 0.75, {"n": 2})
    assert (history.validation_positions, history.validation_losses[1:], history.validation_errors) == ([2], [1.5], [0.75])
    assert history.validation_sums == [{"n": 2}]
