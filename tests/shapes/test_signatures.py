"""The notation of shape rules."""

from __future__ import annotations

import pytest

from netdsl.shapes import INTEGER, OPEN, REAL, ArrayType, Contradiction, Elements, array_of, parse_signature


def related(text, types, **bound):
    signature = parse_signature(text)
    slots = [slot.name for slot in (*signature.inputs, *signature.outputs)]
    made = signature.relate({**dict.fromkeys(slots, OPEN), **types}, bound)
    return {name: type_.sizes for name, type_ in made.items()}


def test_names_bind_sizes_both_ways():
    assert related("in -> out", {"Input": array_of(3)}, out=2) == {"Input": (3,), "Output": (2,)}
    assert related("n k -> k n", {"Output": array_of(4, None)}) == {"Input": (None, 4), "Output": (4, None)}
    assert related("... c -> ...", {"Input": array_of(2, 3, 4)}) == {"Input": (2, 3, 4), "Output": (2, 3)}
    assert related("... -> ... c", {"Output": array_of(2, 3, 4)}) == {"Input": (2, 3), "Output": (2, 3, 4)}
    assert related("n 3 -> n", {"Output": array_of(2)}) == {"Input": (2, 3), "Output": (2,)}
    assert related("... -> ...", {}) == {"Input": None, "Output": None}


def test_elements():
    signature = parse_signature("Input: ... c, Target: ... of 1..c -> Loss:")
    made = signature.relate({"Input": array_of(2, 5), "Target": OPEN, "Loss": OPEN}, {})
    assert made["Target"] == ArrayType((2,), Elements("integer", 1, 5))
    assert made["Loss"] == ArrayType((), REAL)
    made = signature.relate({"Input": OPEN, "Target": ArrayType((), Elements("integer", 1, 5)), "Loss": OPEN}, {})
    assert made["Input"].sizes == (5,)
    same = parse_signature("n ... of e -> ... of e")
    assert same.relate({"Input": ArrayType((2,), INTEGER), "Output": OPEN}, {})["Output"] == ArrayType((), INTEGER)


WRONG = [
    ("n -> n", {"Input": array_of(2, 3)}, "takes a vector"),
    ("n ... -> ...", {"Input": array_of()}, "takes an array of rank 1 or more"),
    ("n -> n", {"Input": array_of(2), "Output": array_of(3)}, "needs equal sizes where 2 and 3 meet"),
    ("3 -> 3", {"Input": array_of(2)}, "needs a size of 3 where 2 is given"),
    ("... -> ...", {"Input": array_of(2), "Output": array_of(2, 2)}, "needs ports of fitting ranks"),
]


@pytest.mark.parametrize(("text", "types", "fact"), WRONG)
def test_contradictions(text, types, fact):
    with pytest.raises(Contradiction, match=fact):
        related(text, types)


@pytest.mark.parametrize("text", ["a b", "a -> b -> c", "... ... -> a", "1a: : -> b"])
def test_what_is_no_signature(text):
    with pytest.raises(ValueError, match=r"signature|slot|stands twice"):
        parse_signature(text)
