"""The graph of layers that computes what a FunctionLayer does: its function is traced, and each operation becomes a layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from netdsl.containers.operations import OTHERS, REDUCTIONS, SAME
from netdsl.containers.recorded import FOLD, FUNCTION, KEPT, MAP, NET, Slot, filled, recorded
from netdsl.errors import DeclarationError, UnsupportedError
from netdsl.functions import FUNCTIONS
from netdsl.functions.aggregations import AGGREGATIONS
from netdsl.functions.composed import Call, Composed
from netdsl.functions.recording import recording
from netdsl.layers import (
    AggregationLayer,
    CatenateLayer,
    DotLayer,
    ElementwiseLayer,
    ExtractLayer,
    FunctionLayer,
    NetArrayLayer,
    PaddingLayer,
    PartLayer,
    PrependLayer,
    ReplicateLayer,
    ReshapeLayer,
    SequenceReverseLayer,
    ThreadingLayer,
    TransposeLayer,
)
from netdsl.nets import Applications, Net, NetArray, Parts, named_arrays
from netdsl.symbols import Rule, Span

__all__ = ["traced_parts"]

PortRef = tuple[str, str]


class Traced(NamedTuple):
    """The parts of a graph, what feeds their ports, the graph's ports and what its outputs are."""

    nets: dict[str, Net]
    feeds: dict[PortRef, PortRef]
    inputs: tuple[str, ...]
    outputs: dict[str, PortRef]
    muted: tuple[PortRef, ...]
    """The outputs of parts that do nothing but take an input that the function does not use."""


def traced_parts(layer: Any) -> Parts | None:
    """The layers of a function, and the wires between them.

    Raises DeclarationError where the sizes of the inputs are not known, UnsupportedError where no layer does what the function does.
    """
    types = {port: layer.port_type(port) for port in layer.input_names}
    unknown = [port for port, type_ in types.items() if not type_.known or type_.varying]
    if unknown:
        raise DeclarationError(
            f"The layers of {layer!r} show once the sizes of its inputs are fixed. Declare them: {unknown[0]}=[...]."
        )
    solutions = layer.inner_solved(types)

    def run(name: str, net: Net, inputs: dict[str, Any]) -> dict[str, Any]:
        net, solved = layer.nets[name], solutions[name]
        outputs = {port: solved.output_type(port) for port in net.output_names}
        shapes = tuple(ShapedArray(t.sizes, jnp.int32 if t.integer else jnp.float32) for t in outputs.values())  # type: ignore[arg-type]
        return dict(zip(outputs, NET.bind(*inputs.values(), name=name, shapes=shapes)))

    def function(arrays: dict[str, Any], *inputs: Any) -> Any:
        with named_arrays(arrays), Applications(run), recording(recorded):
            return layer.values_of(*inputs)

    named = layer.array_values()
    arrays = {name: jax.ShapeDtypeStruct(array.Dimensions, jnp.float32) for name, array in named.items()}
    samples = [jax.ShapeDtypeStruct(t.sizes, jnp.int32 if t.integer else jnp.float32) for t in types.values()]  # type: ignore[arg-type]
    closed = jax.make_jaxpr(function)(arrays, *samples)
    graph = _Graph(layer)
    values = [graph.array(name, named[name]) for name in sorted(named)]
    values += [_at(("", port), sample.shape, sample.dtype) for port, sample in zip(layer.input_names, samples)]
    outputs = graph.translate(closed.jaxpr, [_constant(each) for each in closed.consts], values)
    inputs = {port: values[len(named) + i] for i, port in enumerate(types)}
    return _assembled(graph.finish(inputs, dict(zip(layer.output_names, outputs)))).parts()


def _assembled(traced: Traced) -> Net:
    from netdsl.containers.graph import NetGraph

    return NetGraph.wired(*traced)


class _Atom(NamedTuple):
    """What a port gives, in the value of a composed function."""

    ref: PortRef
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Value:
    """An array of the program: a constant, or a composed function of what ports give."""

    shape: tuple[int, ...]
    dtype: Any
    tree: Any
    constant: Any = None


def _at(ref: PortRef, shape: tuple[int, ...], dtype: Any) -> _Value:
    return _Value(tuple(shape), dtype, _Atom(ref, tuple(shape)))


def _constant(x: Any) -> _Value:
    x = np.asarray(x)
    return _Value(x.shape, x.dtype, _number(x.reshape(-1)[0]) if x.size and (x == x.reshape(-1)[0]).all() else None, x)


def _number(x: Any) -> float | int:
    """The number as one would write it: 0.1 in 32 bits is 0.1."""
    return int(x) if x.dtype.kind in "iub" else float(str(x))


class _Graph:
    """A graph under way."""

    def __init__(self, layer: FunctionLayer) -> None:
        self.layer = layer
        self.nets: dict[str, Net] = {}
        self.feeds: dict[PortRef, PortRef] = {}

    def add(self, net: Net, name: str, shape: Any, dtype: Any, *values: _Value, ports: Sequence[str] = ()) -> _Value:
        """What a new part gives for these values at its input ports."""
        own, number = name, 1
        while own in self.nets or (number == 1 and name.isdigit()):
            number += 1
            own = f"{name}{number}"
        sources = [self.ref(value) for value in values]
        self.nets[own] = net
        self.feeds.update(zip(((own, port) for port in ports or net.input_names), sources))
        return _at((own, net.output_names[0]), shape, dtype)

    def array(self, name: str, array: NetArray) -> _Value:
        """What a named array of the function gives."""
        layer = NetArrayLayer(Array=array, Output=list(array.Dimensions))
        return self.add(layer, name, array.Dimensions, np.dtype("float32"))

    def ref(self, value: _Value) -> PortRef:
        """The port that gives a value."""
        return self.settled(value).tree.ref  # type: ignore[no-any-return]

    def settled(self, value: _Value) -> _Value:
        """The value as what one port gives."""
        if isinstance(value.tree, _Atom) and value.tree.shape == value.shape:
            return value
        if value.constant is not None:
            fixed = NetArrayLayer(Array=np.asarray(value.constant, np.float32), LearningRateMultipliers=0)
            return self.add(fixed, "Constant", value.shape, value.dtype)
        tree = value.tree if isinstance(value.tree, Call) else Call("Plus", (value.tree,))
        atoms = list(dict.fromkeys(_atoms(tree)))
        shape = np.broadcast_shapes(*(atom.shape for atom in atoms))
        inputs = [_at(atom.ref, atom.shape, value.dtype) for atom in atoms]
        alone = tree.arguments == tuple(atoms)
        names = ("x",) if len(atoms) == 1 else tuple(f"x{i}" for i in range(1, len(atoms) + 1))
        function = FUNCTIONS[tree.function] if alone else Composed(names, _named(tree, dict(zip(atoms, names))))
        title = tree.function if alone else "Elementwise" if len(atoms) == 1 else "Threading"
        if isinstance(value.tree, _Atom):
            made = value
        elif len(atoms) == 1:
            made = self.add(ElementwiseLayer(function), title, shape, value.dtype, *inputs)
        else:
            mixed = () if len({len(atom.shape) for atom in atoms}) == 1 else (-1,)
            made = self.add(ThreadingLayer(function, *mixed, InputPorts=len(atoms)), title, shape, value.dtype, *inputs)
        if shape == value.shape:
            return made
        made = _at(made.tree.ref, shape, value.dtype)
        if shape:
            return self.broadcast(made, value.shape, range(len(shape)))
        return self.add(ReplicateLayer(list(value.shape), 1), "Replicate", value.shape, value.dtype, made)

    def translate(self, jaxpr: Jaxpr, constants: Sequence[_Value], inputs: Sequence[_Value]) -> list[_Value]:
        """What a program gives for its inputs."""
        known: dict[Any, _Value] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *inputs)))
        uses = _uses(jaxpr)

        def read(thing: Any) -> _Value:
            return _constant(thing.val) if isinstance(thing, Literal) else known[thing]

        for equation in jaxpr.eqns:
            if not any(uses[out] for out in equation.outvars):
                continue
            values = [read(thing) for thing in equation.invars]
            for out, value in zip(equation.outvars, self.computed(equation, values)):
                known[out] = self.settled(value) if uses[out] > 1 and isinstance(value.tree, Call) else value
        return [read(thing) for thing in jaxpr.outvars]

    def computed(self, equation: Any, values: list[_Value]) -> list[_Value]:
        """What one operation gives."""
        name, params = equation.primitive.name, equation.params
        inner = next((params[each] for each in ("jaxpr", "call_jaxpr", "fun_jaxpr") if each in params), None)
        if equation.primitive is NET:
            net = self.layer.nets[params["name"]]
            made = self.add(net, params["name"], values[0].shape if values else (), None, *values)
            at = made.tree.ref[0]
            return [_at((at, port), s.shape, s.dtype) for port, s in zip(net.output_names, params["shapes"])]
        if equation.primitive in (MAP, FOLD):
            return [(self.mapped if equation.primitive is MAP else self.folded)(params["jaxpr"], values, params["shapes"][0])]
        if (
            name in ("jit", "pjit", "custom_jvp_call", "custom_vjp_call", "closed_call", "remat2", "checkpoint")
            and inner is not None
        ):
            closed = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
            return self.translate(closed.jaxpr, [_constant(each) for each in closed.consts], values)
        if values and all(value.constant is not None for value in values) and equation.primitive is not FUNCTION:
            made = equation.primitive.bind(*(jnp.asarray(value.constant) for value in values), **params)
            return [_constant(each) for each in (made if equation.primitive.multiple_results else [made])]
        if not values:
            made = equation.primitive.bind(**params)
            return [_constant(each) for each in (made if equation.primitive.multiple_results else [made])]
        like = equation.outvars[0].aval
        named = equation.primitive is FUNCTION
        given = self.named(params, values, like) if named else self.operation(name, params, values, like)
        if given is None:
            raise UnsupportedError(f"No layer does what the function of {self.layer!r} does with {name!r} of JAX.")
        return [given]

    def numbers(self, call: Callable[..., Any], values: list[_Value], like: Any) -> _Value:
        """A composed function of the numbers of arrays."""
        arguments = [value.tree if value.tree is not None else self.settled(value).tree for value in values]
        return _Value(tuple(like.shape), like.dtype, call(*arguments))

    def named(self, params: Mapping[str, Any], values: list[_Value], like: Any) -> _Value | None:
        """What a named function gives."""
        name, template = params["name"], params["template"]
        if name not in KEPT:
            return self.numbers(lambda *trees: Call(name, tuple(filled(template, trees))), values, like)
        size = tuple(like.shape), like.dtype
        if name in AGGREGATIONS:
            return self.add(AggregationLayer(FUNCTIONS[name], 1), name, *size, *values)
        if name == "Reverse":
            return self.add(SequenceReverseLayer(), name, *size, *values)
        if name in ("Dot", "Catenate"):
            return self.add((DotLayer if name == "Dot" else CatenateLayer)(InputPorts=len(values)), name, *size, *values)
        positions = template[1:]
        if not any(isinstance(each, (Slot, tuple)) for each in positions):
            return self.add(PartLayer(list(positions)), name, *size, *values)
        if len(positions) == 1 and len(values) == 2:
            places = values[1]
            if places.shape:
                places = self.reshaped(places, (*places.shape, 1))
            return self.add(ExtractLayer(), name, *size, values[0], places)
        return None

    def operation(self, name: str, params: Mapping[str, Any], values: list[_Value], like: Any) -> _Value | None:
        """What an operation of JAX gives; None where no layer does that."""
        size, x = (tuple(like.shape), like.dtype), values[0]
        if name in SAME:
            return self.numbers(lambda *trees: Call(SAME[name], trees), values, like)
        if name == "integer_pow":
            return self.numbers(lambda tree: OTHERS[name](tree, params["y"]), values, like)
        if name in OTHERS:
            return self.numbers(OTHERS[name], values, like)
        if name == "convert_element_type":
            whole = jnp.issubdtype(like.dtype, jnp.integer) and jnp.issubdtype(x.dtype, jnp.floating)
            return self.numbers(lambda tree: Call("IntegerPart", (tree,)) if whole else tree, values, like)
        if name in REDUCTIONS:
            function = FUNCTIONS[REDUCTIONS[name]]
            levels = [axis + 1 for axis in params["axes"]]
            return self.add(AggregationLayer(function, levels), function.__name__, *size, x)
        if name in ("reshape", "squeeze", "expand_dims"):
            return self.reshaped(x, size[0])
        if name == "transpose":
            return self.transposed(x, params["permutation"])
        if name == "broadcast_in_dim":
            return self.broadcast(x, size[0], params["broadcast_dimensions"])
        if name == "concatenate":
            return self.add(CatenateLayer(params["dimension"] + 1, InputPorts=len(values)), "Catenate", *size, *values)
        if name == "stack":
            axis = params["axis"]
            parts = [self.reshaped(each, (*each.shape[:axis], 1, *each.shape[axis:])) for each in values]
            return self.add(CatenateLayer(axis + 1, InputPorts=len(parts)), "Catenate", *size, *parts)
        if name == "slice":
            strides = params["strides"] or (1,) * len(x.shape)
            spans = [Span(a + 1, b, s) for a, b, s in zip(params["start_indices"], params["limit_indices"], strides)]
            return self.add(PartLayer(spans), "Part", *size, x)
        if name == "dynamic_slice" and all(each.constant is not None for each in values[1:]):
            starts = [min(max(int(v.constant), 0), n - s) for v, n, s in zip(values[1:], x.shape, params["slice_sizes"])]
            return self.add(PartLayer([Span(a + 1, a + s) for a, s in zip(starts, params["slice_sizes"])]), "Part", *size, x)
        if name == "rev" and len(params["dimensions"]) == 1:
            order = list(range(len(x.shape)))
            order[0], order[params["dimensions"][0]] = order[params["dimensions"][0]], 0
            x = self.transposed(x, order)
            return self.transposed(self.add(SequenceReverseLayer(), "Reverse", x.shape, x.dtype, x), order)
        if name == "pad" and values[1].tree is not None and all(a >= 0 <= b and not c for a, b, c in params["padding_config"]):
            pairs = [[a, b] for a, b, _ in params["padding_config"]]
            return self.add(PaddingLayer(pairs, Padding=values[1].tree), "Padding", *size, x)
        if name == "dot_general":
            return self.product(params["dimension_numbers"], x, values[1], size)
        return None

    def reshaped(self, x: _Value, shape: tuple[int, ...]) -> _Value:
        return x if shape == x.shape else self.add(ReshapeLayer(list(shape)), "Reshape", shape, x.dtype, x)

    def transposed(self, x: _Value, order: Sequence[int]) -> _Value:
        """The array with level order[k] of it as level k."""
        if list(order) == sorted(order):
            return x
        levels = [list(order).index(level) + 1 for level in range(len(order))]
        return self.add(TransposeLayer(levels), "Transpose", tuple(x.shape[k] for k in order), x.dtype, x)

    def broadcast(self, x: _Value, shape: tuple[int, ...], places: Sequence[int]) -> _Value:
        if not x.shape and x.constant is None:
            return _Value(shape, x.dtype, x.tree)
        kept = [place for place, size in zip(places, x.shape) if size == shape[place]]
        x = self.reshaped(x, tuple(shape[place] for place in kept))
        level = 0
        while level < len(shape):
            end = level
            while end < len(shape) and end not in kept:
                end += 1
            if end > level:
                made = (*x.shape[:level], *shape[level:end], *x.shape[level:])
                x = self.add(ReplicateLayer(list(shape[level:end]), level + 1), "Replicate", made, x.dtype, x)
            level = max(end, level + 1)
        return x

    def product(self, dimensions: Any, a: _Value, b: _Value, size: tuple[Any, Any]) -> _Value | None:
        """The product of two arrays over some levels of both."""
        (over_a, over_b), batch = dimensions
        if any(batch) or not over_a:
            return None
        rest_a = [k for k in range(len(a.shape)) if k not in over_a]
        rest_b = [k for k in range(len(b.shape)) if k not in over_b]
        count = int(np.prod([a.shape[k] for k in over_a]))
        a = self.reshaped(self.transposed(a, [*rest_a, *over_a]), (*(a.shape[k] for k in rest_a), count))
        b = self.reshaped(self.transposed(b, [*over_b, *rest_b]), (count, *(b.shape[k] for k in rest_b)))
        return self.add(DotLayer(InputPorts=2), "Dot", *size, a, b)

    # Loops

    def inner(
        self, jaxpr: Jaxpr, names: list[str], values: list[_Value], outer: list[_Value]
    ) -> tuple[Net, list[str], list[_Value]]:
        """The net of a program inside a loop, the names of the ports by which it gets what it takes from outside, and that."""
        graph = _Graph(self.layer)
        ports: list[str] = []
        given: list[_Value] = []
        constants: list[_Value] = []
        for value in outer:
            if value.constant is not None:
                constants.append(value)
                continue
            ports.append(f"Constant{len(ports) + 1}")
            given.append(value)
            constants.append(_at(("", ports[-1]), value.shape, value.dtype))
        inputs = [_at(("", name), each.shape, each.dtype) for name, each in zip(names, values)]
        [output] = graph.translate(jaxpr, constants, inputs)
        given_here = [*inputs, *(each for each in constants if each.constant is None)]
        traced = graph.finish(dict(zip((*names, *ports), given_here)), {"Output": output})
        only = next(iter(traced.nets.values()))
        if len(traced.nets) == 1 and not ports and only.input_names == tuple(names) and only.output_names == ("Output",):
            return only, ports, given
        return _assembled(traced), ports, given

    def mapped(self, jaxpr: Jaxpr, values: list[_Value], like: Any) -> _Value:
        from netdsl.containers.mapping import NetMapOperator, NetMapThreadOperator

        x, *outer = values
        element = _Value(x.shape[1:], x.dtype, None)
        net, ports, given = self.inner(jaxpr, ["Input"], [element], outer)
        operator = NetMapThreadOperator(net, {"Input": 1}) if ports else NetMapOperator(net)
        return self.add(operator, "Map", tuple(like.shape), like.dtype, x, *given, ports=("Input", *ports))

    def folded(self, jaxpr: Jaxpr, values: list[_Value], like: Any) -> _Value:
        from netdsl.containers.folding import NetFoldOperator

        start, items, *outer = values
        element = _Value(items.shape[1:], items.dtype, None)
        net, ports, given = self.inner(jaxpr, ["State", "Input"], [start, element], outer)
        operator = NetFoldOperator(net, [Rule("Output", "State")], ports)
        later = (len(items.shape) and items.shape[0], *start.shape)
        start = self.settled(start)
        made = self.add(operator, "Fold", later, like.dtype, start, items, *given, ports=("State", "Input", *ports))
        return self.add(PrependLayer(), "Prepend", tuple(like.shape), like.dtype, made, start, ports=("Input", "Element"))

    def finish(self, inputs: Mapping[str, _Value], outputs: Mapping[str, _Value]) -> Traced:
        """The graph with these inputs and outputs."""
        refs = {}
        for port, value in outputs.items():
            ref = self.ref(value)
            if not ref[0]:  # an input as it is
                ref = self.ref(self.add(ReshapeLayer(list(value.shape)), "Reshape", value.shape, value.dtype, value))
            refs[port] = ref
        self._drop_unused({ref[0] for ref in refs.values()})
        used = set(self.feeds.values())
        unused = [value for port, value in inputs.items() if ("", port) not in used]
        idle = [self.add(ReshapeLayer(list(value.shape)), "Unused", value.shape, value.dtype, value) for value in unused]
        return Traced(self.nets, self.feeds, tuple(inputs), refs, tuple(value.tree.ref for value in idle))

    def _drop_unused(self, needed: set[str]) -> None:
        """Leave out the parts that nothing needs."""
        while further := {source for (part, _), (source, _) in self.feeds.items() if part in needed} - needed - {""}:
            needed |= further
        self.nets = {name: net for name, net in self.nets.items() if name in needed or name in self.layer.nets}
        self.feeds = {ref: source for ref, source in self.feeds.items() if ref[0] in self.nets}


def _uses(jaxpr: Jaxpr) -> Counter[Any]:
    """How often each variable is used by what is needed for the outputs."""
    uses = Counter(thing for thing in jaxpr.outvars if not isinstance(thing, Literal))
    for equation in reversed(jaxpr.eqns):
        if any(uses[out] for out in equation.outvars) or equation.primitive is NET:
            uses.update(thing for thing in equation.invars if not isinstance(thing, Literal))
    return uses


def _atoms(tree: Any) -> list[_Atom]:
    if isinstance(tree, _Atom):
        return [tree]
    if isinstance(tree, Call):
        return [atom for each in tree.arguments for atom in _atoms(each)]
    return [atom for each in tree for atom in _atoms(each)] if isinstance(tree, tuple) else []


def _named(tree: Any, names: Mapping[_Atom, str]) -> Any:
    if isinstance(tree, _Atom):
        return names[tree]
    if isinstance(tree, Call):
        return Call(tree.function, tuple(_named(each, names) for each in tree.arguments))
    return tuple(_named(each, names) for each in tree) if isinstance(tree, tuple) else tree
