"""The reference cases of ONNX's operators, run through the layers that stand for them."""

from __future__ import annotations

import warnings
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import numpy as np
import onnx.helper
import onnx.reference
import pytest
from onnx.backend.test.loader import load_model_tests
from operators.conversions import CONVERSIONS
from operators.left_out import LEFT_OUT, WITHOUT_LAYER

HALF = {"float16": 2e-3, "bfloat16": 2e-2}
"""How near half precision comes."""


@cache
def cases() -> dict[str, dict[str, Any]]:
    """ONNX's cases by operator and name; those that say an operator by others are the same again."""
    found: dict[str, dict[str, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in load_model_tests(kind="node"):
            if "_expanded" not in case.name:
                (node,) = case.model.graph.node
                found.setdefault(node.op_type, {})[case.name.removeprefix("test_")] = case
    return found


def left_out(name: str) -> list[str]:
    return [reason for reason, names in LEFT_OUT.items() if any(fnmatchcase(name, each) for each in names.split())]


def check(node: Any, inputs: Any, outputs: Any) -> None:
    """The outputs that layers have are ONNX's, as near as its types allow."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attributes = {name: value.decode() if isinstance(value, bytes) else value for name, value in attributes.items()}
    if node.op_type == "Split":
        attributes["num_outputs"] = len(node.output)
    given, wanted = (
        [next(rest) if name else None for name in names]
        for names, rest in ((node.input, iter(inputs)), (node.output, iter(outputs)))
    )
    made = CONVERSIONS[node.op_type](*given, **attributes)
    made = made if isinstance(made, tuple) else (made,)
    near = max(HALF.get(str(value.dtype), 2e-5) for value in (*inputs, *outputs))
    assert any(value is not None for value in wanted[: len(made)])
    for mine, theirs in zip(made, wanted):
        if theirs is not None:
            assert np.shape(mine) == theirs.shape
            np.testing.assert_allclose(np.asarray(mine, float), np.asarray(theirs, float), near, near)


@pytest.mark.parametrize("operator", CONVERSIONS)
def test_the_cases_of_onnx(operator: str) -> None:
    failed = []
    for name, case in cases()[operator].items():
        if not left_out(name):
            (node,), ((inputs, outputs),) = case.model.graph.node, case.data_sets
            try:
                check(node, inputs, outputs)
            except Exception as error:  # all that fail are told, not the first alone
                failed.append(f"{name}: {type(error).__name__}: {error}")
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)


def test_every_operator_and_case_is_run_or_left_out_for_a_reason() -> None:
    without = [operator for names in WITHOUT_LAYER.values() for operator in names.split()]
    assert len(set(without)) == len(without)
    assert set(without).isdisjoint(CONVERSIONS)
    assert {*without, *CONVERSIONS} == set(cases())
    names = [name for operator in CONVERSIONS for name in cases()[operator]]
    for pattern in (pattern for patterns in LEFT_OUT.values() for pattern in patterns.split()):
        assert any(fnmatchcase(name, pattern) for name in names), f"{pattern} is no case"
    run = {operator: [name for name in cases()[operator] if not left_out(name)] for operator in CONVERSIONS}
    assert [operator for operator, some in run.items() if not some] == ["HardSigmoid"]


@pytest.mark.parametrize("operator", CONVERSIONS)
def test_what_is_left_out_has_to_be(operator: str) -> None:
    for name, case in cases()[operator].items():
        if left_out(name):
            (node,), ((inputs, outputs),) = case.model.graph.node, case.data_sets
            with pytest.raises((AssertionError, AttributeError, TypeError, ValueError, KeyError)):
                check(node, inputs, outputs)


ONE_BIAS = np.concatenate([np.linspace(-1, 1, 15), np.zeros(15)])[None].astype(np.float32)
RESETS = {"hidden_size": 5, "linear_before_reset": 1}
REFERENCES = {
    "HardSigmoid of Wolfram": ("HardSigmoid", [(3, 4)], {"alpha": 0.5, "beta": 0.5}),
    "three dimensions": ("Conv", [(2, 3, 5, 6, 4), (4, 3, 2, 3, 2), (4,)], {"strides": [2, 1, 1], "pads": [1, 0, 1, 0, 2, 1]}),
    "one dimension, dilated": ("Conv", [(2, 3, 9), (4, 3, 3), (4,)], {"dilations": [2], "pads": [2, 1]}),
    "groups": ("Conv", [(2, 4, 5, 5), (6, 2, 3, 2), (6,)], {"group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "cropped unevenly": ("ConvTranspose", [(2, 4, 3, 4), (4, 3, 2, 3), (3,)], {"strides": [2, 1], "pads": [1, 0, 0, 1]}),
    "resets after": ("GRU", [(4, 2, 3), (1, 15, 3), (1, 15, 5), ONE_BIAS], RESETS),
    "resets after, both ways": ("GRU", [(4, 2, 3), (2, 15, 3), (2, 15, 5)], RESETS | {"direction": "bidirectional"}),
    "resets after, backwards": ("GRU", [(4, 2, 3), (1, 15, 3), (1, 15, 5)], RESETS | {"direction": "reverse"}),
    "gates": ("LSTM", [(4, 2, 3), (1, 20, 3), (1, 20, 5), (1, 40)], {"hidden_size": 5}),
    "one state": ("RNN", [(4, 2, 3), (1, 5, 3), (1, 5, 5), (1, 10)], {"hidden_size": 5}),
    "rows": ("Gather", [(5, 3), np.array([[0, 4], [2, 0]])], {"axis": 0}),
    "the window of channels": ("LRN", [(7, 7, 3, 4)], {"size": 5, "alpha": 0.5, "beta": 0.75, "bias": 1.5}),
}
"""What ONNX has no case for: operator, inputs or their sizes, attributes; its reference evaluator says what is right."""


@pytest.mark.parametrize("name", REFERENCES)
def test_the_reference_evaluator(name: str) -> None:
    operator, inputs, attributes = REFERENCES[name]
    rng = np.random.default_rng(0)
    values = [rng.normal(size=x).astype(np.float32) if isinstance(x, tuple) else x for x in inputs]
    names = [f"x{i}" for i in range(len(values))]
    outputs = ["y", "last"] if "hidden_size" in attributes else ["y"]
    node = onnx.helper.make_node(operator, names, outputs, **attributes)
    made = onnx.reference.ReferenceEvaluator(node).run(None, dict(zip(names, values)))
    check(node, values, made)
