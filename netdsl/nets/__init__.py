"""The data model: nets, layers, ports, arrays, paths and the flat program."""

from netdsl.nets.application import Applications, noted
from netdsl.nets.arrays import ArrayDeclaration, ArrayPath, Arrays, NetArray, array, lift_shared, named_arrays, state
from netdsl.nets.declared import declared_port
from netdsl.nets.depth import allow_depth
from netdsl.nets.layer import Layer, Operator
from netdsl.nets.multipliers import multipliers_by_path, rules_by_path
from netdsl.nets.net import SHARED, Net
from netdsl.nets.program import Parts, Program, Ref, Solved, Step, path_text
from netdsl.nets.report import element_name
from netdsl.nets.sequence import Sequence, padded_alike

__all__ = [
    "SHARED",
    "Applications",
    "ArrayDeclaration",
    "ArrayPath",
    "Arrays",
    "Layer",
    "Net",
    "NetArray",
    "Operator",
    "Parts",
    "Program",
    "Ref",
    "Sequence",
    "Solved",
    "Step",
    "allow_depth",
    "array",
    "declared_port",
    "element_name",
    "lift_shared",
    "multipliers_by_path",
    "named_arrays",
    "noted",
    "padded_alike",
    "path_text",
    "rules_by_path",
    "state",
]
