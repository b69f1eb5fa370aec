"""The net: an immutable value that describes itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, ClassVar, Self

import jax
import numpy as np

from netdsl.constraints import FrozenDict, source_text
from netdsl.declarations import Declared
from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError, PartError, ShapeError, excerpt, nearest, public
from netdsl.nets.application import applications
from netdsl.nets.arrays import ArrayPath, NetArray, as_array, bits_equal
from netdsl.nets.declared import declared_multipliers, declared_port
from netdsl.nets.depth import allow_depth
from netdsl.nets.program import SHARED, Parts, Program, Solved, flatten, path_text, solve
from netdsl.nets.pytree import flatten_net, flatten_with_keys, unflatten
from netdsl.nets.report import contradictions
from netdsl.shapes import ArrayType, shape_form
from netdsl.symbols import All, Automatic

__all__ = ["SHARED", "Net"]

KEPT = 16
"""Of what a net keeps for types that it was asked about, there is so much and one more at most."""


class Net(Declared):
    """The abstract net: a layer, chain, graph or operator.

    A net is frozen and a JAX pytree whose leaves are its arrays. Its fields hold what was declared; sizes, types and the flat
    program are derived once per object and cached beside them.

    ``net(x)`` evaluates, ``net[1]`` and ``net["name"]`` give parts, ``print(net)`` shows a table; ``len(net)``, iteration and
    ``==`` work.

    >>> net = NetInitialize(NetChain([3, Ramp], Input=2))
    >>> sorted(net.arrays), net.input_names
    ([('1', 'Biases'), ('1', 'Weights')], ('Input',))

    Differences from Wolfram: nets are Python objects with methods for users of JAX.
    """

    nets: FrozenDict = FrozenDict()
    """The inner nets by name: the parts of a container, the nets of an operator."""
    ports: FrozenDict
    """What is declared of ports: a type, an encoder or a decoder."""
    shared: FrozenDict = FrozenDict()
    """The values of shared arrays by name, in the outermost net."""
    LearningRateMultipliers: Any

    array_declarations: ClassVar[dict[str, Any]] = {}
    inner_options: ClassVar[tuple[str, ...]] = ()
    """Options of the constructor that go to inner nets."""
    traced_arrays: ClassVar[bool] = False
    """Whether the net's arrays and inner nets are known only once its function was traced."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten_net)

    # Construction

    def _take_options(self, options: dict[str, Any]) -> None:
        own = self.__dict__
        own.setdefault("nets", FrozenDict())
        own.setdefault("shared", FrozenDict())
        own["ports"] = FrozenDict()
        own["LearningRateMultipliers"] = declared_multipliers(options.pop("LearningRateMultipliers", Automatic))
        self._empty_arrays()
        further = options.pop("Ports", {})
        own_shared = options.pop("SharedArrays", None)
        if own_shared is not None:
            own["shared"] = FrozenDict({**own_shared, **own["shared"]})
        if not isinstance(further, Mapping):
            raise DeclarationError(
                f"Ports of {self.title()} is a dict from port names to shapes or coders. Got {excerpt(further)}."
            )
        twice = next((name for name in further if name in options), None)
        if twice is not None:
            raise DeclarationError(f"{self.title()} got {twice} twice: as {twice}=… and in Ports. Give it once.")
        ports = {}
        for name, value in {**options, **further}.items():
            if self._take_array(name, value):
                continue
            if name not in self.input_names and name not in self.output_names:
                self._refuse_option(name, self.option_names())
            declared = declared_port(name, value, is_input=name in self.input_names)
            if declared is not None:
                ports[name] = declared
        own["ports"] = FrozenDict(ports)

    def _take_array(self, name: str, value: Any) -> bool:
        return False

    def _empty_arrays(self) -> None:
        """Mark the net's own arrays as not yet made."""

    def _check(self) -> None:
        if self.nets:
            allow_depth(self.depth)
        if self.ports or self.nets or any(hasattr(self.__dict__[name], "dtype") for name in self.array_declarations):
            _ = self.solved

    @property
    def depth(self) -> int:
        """How deep nets are nested in this one: 0 for a layer."""
        return self._cached("_depth", lambda: 1 + max((net.depth for net in self.nets.values()), default=-1))

    def option_names(self) -> list[str]:
        """Everything that may be given to this net as a keyword."""
        options = [p.name for p in self.parameters.values() if not p.positional]
        ports = [*self.input_names, *self.output_names]
        return [*options, *self.array_declarations, *self.inner_options, *ports, "LearningRateMultipliers"]

    def fields(self) -> dict[str, Any]:
        arrays = {name: self.__dict__[name] for name in self.array_declarations}
        extra = {"SharedArrays": self.shared} if self.shared else {}
        return (
            self.values_of_parameters()
            | arrays
            | extra
            | {"Ports": dict(self.ports), "LearningRateMultipliers": self.LearningRateMultipliers}
        )

    def changed_fields(self, changes: dict[str, Any]) -> dict[str, Any]:
        kept = {name: declared for name, declared in self.ports.items() if name not in changes}
        return self.fields() | {"Ports": kept} | changes

    def rebuilt(self, **entries: Any) -> Self:
        """A copy with entries of its state replaced as they are, unchecked: the mechanism below surgery and training."""
        copy = object.__new__(type(self))
        copy.__dict__.update({name: value for name, value in self.__dict__.items() if not name.startswith("_")} | entries)
        return copy

    # Structure

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the input ports, in order."""
        raise NotImplementedError

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the output ports, in order."""
        raise NotImplementedError

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the state ports, "part/State" for those of a part: inputs that may be left out, outputs nobody has to take."""
        return tuple(map("/".join, self.recurrent_paths()))

    def recurrent_paths(self) -> tuple[ArrayPath, ...]:
        """The paths of the states that recurrent layers inside carry along, those left out that a graph feeds."""

        def found() -> tuple[ArrayPath, ...]:
            parts = self.parts()
            inside = ((name, path) for name, part in self.nets.items() for path in part.recurrent_paths())
            return tuple((name, *path) for name, path in inside if parts is None or "/".join(path) not in parts.feeds[name])

        return self._cached("_recurrent_paths", found)

    def parts(self) -> Parts | None:
        """The parts of a container and the wires between them; None for a layer."""
        raise NotImplementedError

    @property
    def program(self) -> Program:
        """The flat program of this net."""
        return self._cached("_program", lambda: flatten(self))

    def with_state_ports(self, states: tuple[str, ...]) -> Self:
        """The net with a program that takes these of its states as inputs too, and gives all of them: for operators."""

        def made() -> Any:
            net = self.rebuilt()
            net.__dict__["_program"] = flatten(self, states)
            return net

        return self._kept("_with_state_ports", states, made)  # type: ignore[no-any-return]

    @property
    def solved(self) -> Solved:
        """The types of everything in this net; raises ShapeError when they contradict each other."""
        return self._cached("_solved", lambda: self.solve())

    def solve(self, extra: Mapping[str, ArrayType] | None = None) -> Solved:
        """The types of everything in this net when `extra` is known of its ports too."""
        solved = solve(self, extra)
        if solved.clashes:
            raise ShapeError(contradictions(self, solved))
        return solved

    def _cached(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.__dict__:
            self.__dict__[name] = make()
        return self.__dict__[name]

    def _kept(self, name: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives for this key, kept under a name for those asked last."""
        memory = self._cached(name, dict)
        if key not in memory:
            made = make()
            if len(memory) > KEPT:
                memory.clear()
            memory[key] = made
        return memory[key]

    def port_type(self, port: str) -> ArrayType:
        """The type of an input or output port, as far as it is known."""
        solved = self.solved
        return solved.input_type(port) if port in self.input_names else solved.output_type(port)

    def encoder(self, port: str) -> Encoder | None:
        """The encoder of an input port, its own or one lifted from a part."""
        encoder = self.program.encoders.get(port)
        return encoder if encoder is None or type(encoder).within is Encoder.within else encoder.within(self.port_type(port))

    def decoder(self, port: str) -> Decoder | None:
        """The decoder of an output port, its own or one lifted from a part."""
        return self.program.decoders.get(port)

    def leaves(self, path: ArrayPath = ()) -> Iterator[tuple[ArrayPath, Any]]:
        """The path and net of every layer and operator inside, operators before what they hold."""
        if self.parts() is None:
            yield path, self
        for name, net in self.nets.items():
            yield from net.leaves((*path, name))

    # Arrays

    def array_table(self) -> dict[ArrayPath, Any]:
        """Every array by path, state included: a value, or Automatic where there is none yet. Shared ones once, as ("", name)."""
        table: dict[ArrayPath, Any] = {}
        for path, layer in self._traced_leaves():
            for name, value in layer.array_values().items():
                if isinstance(value, NetArray):
                    if table.get((SHARED, value.Name), Automatic) is Automatic:
                        table[SHARED, value.Name] = self.shared.get(value.Name, value.Array)
                else:
                    table[(*path, name)] = value
        return table

    def _traced_leaves(self) -> list[tuple[ArrayPath, Any]]:
        """The leaves, those inside functions too, which are found by tracing."""
        leaves = list(self.leaves())
        if any(layer.traced_arrays for _, layer in leaves):
            _ = self.solved
            leaves = list(self.leaves())
        return leaves

    def _split(self, is_state: bool) -> dict[ArrayPath, Any]:
        states = self.state_paths()
        return {
            path: value for path, value in self.array_table().items() if value is not Automatic and (path in states) is is_state
        }

    def state_paths(self) -> frozenset[ArrayPath]:
        """The paths of the arrays that are state, not trained."""

        def found() -> Iterator[ArrayPath]:
            for path, layer in self._traced_leaves():
                states = {name for name, declared in layer.declared_arrays().items() if declared.is_state}
                for name in states:
                    value = layer.array_values()[name]
                    yield (SHARED, value.Name) if isinstance(value, NetArray) else (*path, name)

        return self._cached("_state_paths", lambda: frozenset(found()))

    @property
    def arrays(self) -> dict[ArrayPath, Any]:
        """The trainable arrays that the net has, by path: ``net.arrays["conv", "Weights"]``. Safe for `jax.grad`."""
        return self._split(is_state=False)

    @property
    def state(self) -> dict[ArrayPath, Any]:
        """The state arrays that the net has, by path, such as moving means."""
        return self._split(is_state=True)

    @property
    def missing(self) -> list[ArrayPath]:
        """The paths of the arrays not yet made."""
        return [path for path, value in self.array_table().items() if value is Automatic]

    @property
    def initialized(self) -> bool:
        """Whether every array has values."""
        return self._cached("_initialized", lambda: not self.missing)

    @public
    def with_arrays(self, arrays: Mapping[ArrayPath, Any]) -> Self:
        """The net with these arrays by path (trainable, state or shared) in place of what it has.

        Raises PartError for a path that is not there, ShapeError for an array that does not fit.
        """
        known = self.array_table()
        for path in (path for path in arrays if path not in known):
            raise PartError(f"This net has no array {path!r}. {nearest(path_text(path), map(path_text, known))}")
        given = dict(arrays)
        for path, value in arrays.items():
            if isinstance(value, (list, tuple, int, float, np.ndarray)):
                given[path] = as_array(value, f"The array {path_text(path)!r}")
        changed = self._with_arrays(given)
        if any(getattr(value, "shape", None) != getattr(known[path], "shape", None) for path, value in given.items()):
            changed.__dict__.pop("_program_keys", None)
            _ = changed.solved
        return changed

    def _with_arrays(self, arrays: dict[ArrayPath, Any]) -> Self:
        entries: dict[str, Any] = {}
        inner: dict[str, dict[ArrayPath, Any]] = {}
        shared = dict(self.shared)
        for path, value in arrays.items():
            if path[0] == SHARED and len(path) == 2:
                shared[path[1]] = value
            elif len(path) == 1:
                entries[path[0]] = value
            else:
                inner.setdefault(path[0], {})[path[1:]] = value
        if inner:
            nets = {name: net._with_arrays(inner[name]) if name in inner else net for name, net in self.nets.items()}
            entries["nets"] = FrozenDict(nets)
        if any(shared[name] is not self.shared.get(name) for name in shared):
            entries["shared"] = FrozenDict(shared)
        rebuilt = self.rebuilt(**entries)
        kept = ("_program_keys", "_state_paths")
        rebuilt.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return rebuilt

    @public
    def function(self) -> Callable[..., Any]:
        """The pure function ``f(arrays, state, inputs, key=None, training=False) -> (outputs, state)`` of a batch, in plain JAX.

        `arrays` and `state` are dicts by path, as `net.arrays` and `net.state`; `inputs` is a dict from ports to arrays with the
        examples first, or the array itself where there is one input port; `outputs` likewise. Nothing is encoded or decoded.
        """
        from netdsl.lowering import net_function

        return net_function(self)

    def to_flax(self, **options: Any) -> Any:
        """The net as a Flax NNX module, `module(inputs)` of a batch, with its arrays as nnx.Param and its state as nnx.BatchStat.

        Optimizing the module trains its arrays; `module.to_net()` is the net with them.
        """
        from netdsl.lowering.flax import FlaxModule

        return FlaxModule(self, **options)

    # As a Python object

    @public
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The net's value on one example or a batch of them.

        Options: BatchSize, NetEvaluationMode, RandomSeeding, TargetDevice, and WorkingPrecision ("Real32", "Real64", "Mixed").
        """
        inside = applications()
        # a net with arrays of its own may be asked for more than its outputs, as anywhere: it is then no part of the layer
        if inside is not None and not (len(arguments) == 2 and self.initialized):
            return inside.apply(self, arguments, options)
        from netdsl.lowering import evaluate

        if len(arguments) > 2:
            raise DeclarationError(
                f"A net takes a value and at most a property. Got {len(arguments)} values. "
                "Values for several ports are given as a dict, those of a batch as a list."
            )
        return evaluate(self, *arguments, **options)

    @public
    def __getitem__(self, position: Any) -> Any:
        from netdsl.surgery import part

        return part(self, position)

    def __len__(self) -> int:
        return len(self.nets)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Net]:
        return iter(self.values())

    def keys(self) -> list[str]:
        """The names of the parts."""
        return list(self.nets)

    def values(self) -> list[Net]:
        """The parts, as Part gives them."""
        return [self[i + 1] for i in range(len(self.nets))]

    def normal(self) -> Any:
        """What Normal gives: the parts as a list, or as a dict when they are named."""
        return self[All]

    def _repr_html_(self) -> str:
        from netdsl.display import html

        return html(self)

    def __str__(self) -> str:
        from netdsl.display import text

        return text(self)

    def _written(self) -> list[str]:
        parts = super()._written()
        for name in self.array_declarations:
            value = self.__dict__[name]
            if value is not Automatic:
                parts.append(f"{name}={source_text(value)}")
        further = {}
        for name, declared in self.ports.items():
            shape = shape_form(declared) if isinstance(declared, ArrayType) else declared
            if name.isidentifier() and name not in self.array_declarations and name not in self.parameters:
                parts.append(f"{name}={source_text(shape)}")
            else:
                further[name] = shape
        if further:
            parts.append(f"Ports={source_text(further)}")
        if self.LearningRateMultipliers is not Automatic:
            parts.append(f"LearningRateMultipliers={source_text(self.LearningRateMultipliers)}")
        return parts

    def identity(self) -> tuple[Any, ...]:
        return (*super().identity(), tuple(self.__dict__["nets"]), self.ports, self.LearningRateMultipliers)

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        if same is not True or not isinstance(other, Net):
            return same
        parts = zip(self.__dict__["nets"].values(), other.__dict__["nets"].values())
        if any(a != b for a, b in parts) or self.shared.keys() != other.shared.keys():
            return False
        pairs = [(self.__dict__[name], other.__dict__[name]) for name in self.array_declarations]
        pairs += [(self.shared[name], other.shared[name]) for name in self.shared]
        return all(bits_equal(a, b) for a, b in pairs)

    __hash__ = Declared.__hash__
