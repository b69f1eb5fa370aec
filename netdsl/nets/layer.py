"""A layer: one declaration that everything else reads."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar

from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.errors import DeclarationError
from netdsl.nets.arrays import ArrayDeclaration, NetArray, as_array
from netdsl.nets.net import Net
from netdsl.nets.program import Parts, Solved, Step
from netdsl.shapes import ArrayType, Contradiction, Signature, Size, parse_signature, parse_slot
from netdsl.symbols import Automatic

__all__ = ["Layer", "Operator"]

CONTEXT = ("key", "training", "axes", "weight", "state", "states", "inner", "sizes")
"""What `apply` may declare as keyword-only arguments, and then receives."""


class Layer(Net):
    """The abstract layer.

    A subclass states

    - its parameters, with `parameter`;
    - `signature`, its ports and how their sizes relate (or its own `relate`);
    - its arrays, with `array` and `state`;
    - `varying`: how it takes sequences of varying length: "elementwise" along level 1, "aware" of them, or None: not at all;
      and `shortest`, the least length it takes;
    - `arithmetic`: "none" where it passes numbers on as they are, or leaves computing to the layers inside it; "exact" where it
      computes in the type in which arrays are held (it adds up many small numbers, or takes exponentials); else "free";
    - `draws`: when it draws random numbers, if it asks for a key: while "training", "always", or None: never;
      the key is None at other times;
    - `apply(arrays, *inputs)` for one example, without a batch axis, in pure JAX. It may ask, as keyword-only arguments, for
      ``key`` (random key), ``training`` (bool), ``axes`` (names of the mapped axes around it), ``weight`` (1, or 0 for a
      padded example), ``state`` (its state arrays; it then returns ``(outputs, state)``), ``inner`` (its inner
      nets' runners), ``sizes`` (of its first output) and ``states`` (what its state ports are given, by name; it then returns
      what becomes of each state after its outputs).
    """

    signature: ClassVar[str] = "... -> ..."
    variadic: ClassVar[bool] = False
    """Whether it takes any number of inputs: its parameter InputPorts gives their number or names; Automatic leaves them open."""
    varying: str | None = None
    arithmetic: ClassVar[str] = "free"
    recurrent_states: Mapping[str, str] = MappingProxyType({})
    """The states that a recurrent layer carries along, and their sizes as in a signature: its state ports."""
    draws: str | None = "training"
    array_declarations: ClassVar[dict[str, ArrayDeclaration]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()
    parsed: ClassVar[Signature]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        import dataclasses

        own = {
            name: dataclasses.replace(value, name=name)
            for name, value in vars(cls).items()
            if isinstance(value, ArrayDeclaration)
        }
        cls.array_declarations = {**cls.array_declarations, **own}
        cls.parsed = parse_signature(cls.signature)
        if "apply" in vars(cls):
            parameters = inspect.signature(cls.apply).parameters.values()
            cls.needs = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
            if not cls.needs <= set(CONTEXT):
                raise TypeError(
                    f"{cls.__name__}.apply asks for {sorted(cls.needs - set(CONTEXT))}; a layer may ask for {CONTEXT}"
                )
        super().__init_subclass__(**kwargs)

    # Construction

    def _take_array(self, name: str, value: Any) -> bool:
        declared = self.array_declarations.get(name)
        if declared is None:
            return False
        where = f"The array {name} of {self.title()}"
        if value is None and not declared.optional:
            raise DeclarationError(f"{where} cannot be None: the layer needs it. Leave it out to have it initialized.")
        if isinstance(value, NetArray):
            if value.Array is not Automatic:
                self.__dict__["shared"] = type(self.shared)({**self.shared, value.Name: value.Array})
            value = value.bare()
        elif value is not Automatic and value is not None:
            value = as_array(value, where)
        self.__dict__[name] = value
        return True

    def _refuse_option(self, name: str, known: list[str]) -> None:
        if self.variadic and self.__dict__.get("InputPorts") is Automatic and re.fullmatch(r"Input\d+", name):
            raise DeclarationError(
                f"{self.title()} has no port {name!r} before it is said how many it has. Write InputPorts=n with their number n."
            )
        super()._refuse_option(name, known)

    def _empty_arrays(self) -> None:
        for name in self.array_declarations:
            self.__dict__[name] = Automatic

    def array_slots(self) -> tuple[str, ...]:
        """The names of the arrays that a layer of this class can have."""
        return tuple(self.array_declarations)

    def array_values(self) -> dict[str, Any]:
        """The arrays of this layer by name: values, Automatic or a NetArray; those set to None left out."""
        return {name: value for name in self.array_declarations if (value := self.__dict__[name]) is not None}

    def declared_arrays(self) -> Mapping[str, ArrayDeclaration]:
        """The declaration of each array of this layer, those set to None left out."""
        return {name: d for name, d in self.array_declarations.items() if self.__dict__[name] is not None}

    # Ports

    @property
    def input_names(self) -> tuple[str, ...]:
        if self.variadic:
            ports = self.__dict__["InputPorts"]
            if ports is Automatic:
                return ()
            return tuple(f"Input{i + 1}" for i in range(ports)) if isinstance(ports, int) else tuple(ports)
        return tuple(slot.name for slot in self.parsed.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(slot.name for slot in self.parsed.outputs)

    def recurrent_paths(self) -> tuple[tuple[str, ...], ...]:
        return tuple((name,) for name in self.recurrent_states)

    def shortest(self) -> int:
        """The number of elements that a sequence of varying length must have at least."""
        return 1

    def parts(self) -> Parts | None:
        return None

    def port_sets(self, step: Step) -> tuple[frozenset[str], frozenset[str]]:
        """The input and output ports of this layer in a step."""
        inputs = tuple(port for port, _ in step.inputs)
        return _frozen(inputs), _frozen(tuple(port for port in step.outputs if port not in inputs))

    # Types

    def bound(self) -> dict[str, Size]:
        """The sizes that parameters fix, by their names in the signature."""
        sizes: dict[str, Size] = {}
        for declared in self.parameters.values():
            if declared.binds is not None:
                value = self.__dict__[declared.name]
                if isinstance(value, int):
                    sizes[declared.binds] = value
        return sizes

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        """The types of ports and arrays, refined by what follows from each other; never a guess."""
        return self.by_signature(types)

    def by_signature(self, types: Mapping[str, ArrayType]) -> dict[str, ArrayType]:
        """What the signature says of ports and arrays."""
        present = tuple(name for name in self.array_declarations if name in types)
        return _with_arrays(type(self), present, tuple(self.recurrent_states.items())).relate(types, self.bound())

    default: ClassVar[Any] = None
    """A relation like `relate` that is asked once, after everything that follows is known."""

    apply: ClassVar[Callable[..., Any]]
    """``apply(self, arrays, *inputs, …)``: the value for one example."""

    def traced_function(self) -> Any:
        """The function of one example that stands for the layer's code, where its parameters do not say it all; None: they do."""
        return None

    def inner_arrays(self, types: Mapping[str, ArrayType]) -> dict[tuple[str, ...], ArrayType]:
        """The types of the arrays of the inner nets, by path, for an operator whose ports have these types."""
        try:
            solutions = self.inner_solved(types)
        except Contradiction:
            return {}
        return {
            path if path[0] == "" else (name, *path): type_
            for name, solved in solutions.items()
            for path, type_ in solved.arrays.items()
        }

    def inner_solved(self, types: Mapping[str, ArrayType]) -> Mapping[str, Solved]:
        """The solutions of the inner nets by name, for an operator whose ports have these types."""
        return {}


class Operator(Layer):
    """The abstract operator: a layer that holds inner nets in `nets` and runs them through ``inner``."""

    arithmetic = "none"

    def lifted(self) -> list[tuple[str, Encoder | Decoder]]:
        """The encoders and decoders that its ports have from those of its nets."""
        return []


@lru_cache(maxsize=4096)
def _with_arrays(cls: type[Layer], present: tuple[str, ...], states: tuple[tuple[str, str], ...]) -> Signature:
    arrays = [cls.array_declarations[name].slot for name in present]
    return cls.parsed._replace(arrays=(*arrays, *(parse_slot(sizes, name) for name, sizes in states)))


@lru_cache(maxsize=4096)
def _frozen(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)
