"""The abstract operator around nets, and what operators say of types: elements, arrays of them, equal ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from textwrap import indent
from typing import Any, ClassVar, Self

from netdsl.constraints import FrozenDict
from netdsl.containers.promotion import promote
from netdsl.declarations import REQUIRED
from netdsl.decoders.decoder import Decoder
from netdsl.encoders.encoder import Encoder
from netdsl.encoders.mapped import MappedEncoder
from netdsl.errors import DeclarationError, listing
from netdsl.layers.elementwise import equal_sizes
from netdsl.nets import Operator, Sequence, Solved, lift_shared
from netdsl.nets.program import OUTER, outer_name, solve
from netdsl.nets.report import contradictions
from netdsl.shapes import ArrayType, Contradiction, Size, merge_sizes
from netdsl.symbols import Rule

__all__ = [
    "Applied",
    "Types",
    "array_of_these",
    "common_counts",
    "element_of",
    "entries",
    "only",
    "outside",
    "same_type",
    "without_length",
]

Types = Mapping[str, ArrayType]


class Applied(Operator):
    """An operator around the nets of `slots`.

    A subclass says how the types of its ports and those of its nets follow from each other: `inward` gives what the nets' ports are for
    its own, `outward` the reverse.
    """

    slots: ClassVar[tuple[str, ...]] = ("Net",)
    """The names of the nets, in the order in which the constructor takes them."""
    single: ClassVar[bool] = True
    """Whether each net has one input and one output."""
    varying: str | None = "aware"
    opens_states: ClassVar[bool] = False
    """Whether the states of the nets are the operator's own."""

    def __init__(self, net: Any = REQUIRED, /, *settings: Any, **options: Any) -> None:
        if net is REQUIRED:
            raise DeclarationError(f"{self.title()} needs {self._nets_in_words()}. Got none.")
        nets = {name: promote(each, f"the net of {self.title()}") for name, each in self._given(net).items()}
        for each in nets.values():
            if self.single and (len(each.input_names) != 1 or len(each.output_names) != 1):
                raise DeclarationError(
                    f"{self.title()} takes {self._nets_in_words()} with one input and one output. {each.title()} has the inputs "
                    f"{listing(each.input_names) or 'none'} and the outputs {listing(each.output_names)}."
                )
        self.__dict__["nets"] = FrozenDict(nets)
        lift_shared(self)
        super().__init__(*settings, **options)

    @classmethod
    def _nets_in_words(cls) -> str:
        return "a net" if len(cls.slots) == 1 else f"a list of {len(cls.slots)} nets"

    @classmethod
    def _given(cls, nets: Any) -> dict[str, Any]:
        """The nets by name, from the constructor's first argument."""
        if len(cls.slots) == 1:
            return {cls.slots[0]: nets}
        if isinstance(nets, Mapping):
            nets = [nets[name] for name in cls.slots] if set(nets) == set(cls.slots) else None
        if not isinstance(nets, (list, tuple)) or len(nets) != len(cls.slots):
            raise DeclarationError(f"{cls.__name__} takes {cls._nets_in_words()}: {listing(cls.slots)}.")
        return dict(zip(cls.slots, nets))

    # Types

    def inward(self, types: Types) -> dict[str, dict[str, ArrayType]]:
        """The types of the nets' ports, as far as those of the operator's say them."""
        raise NotImplementedError

    def outward(self, types: Types, solved: Mapping[str, Solved]) -> dict[str, ArrayType]:
        """The types of the operator's ports, as far as those of the nets' say them."""
        raise NotImplementedError

    def ends(self) -> list[tuple[str, str, str, int]]:
        """The ports that are those of its nets: the own one, the net, its port, and how many levels more the own one has."""
        return []

    def lifted(self) -> list[tuple[str, Encoder | Decoder]]:
        made: list[tuple[str, Encoder | Decoder]] = []
        for own, name, port, levels in self.ends():
            program = self.nets[name].program
            encoder, decoder = program.encoders.get(port), program.decoders.get(port)
            if own in self.input_names and encoder is not None:
                made.append((own, reduce(lambda each, _: MappedEncoder(each), range(levels), encoder)))
            elif own in self.output_names and decoder is not None:
                depth = getattr(decoder, "InputDepth", None)
                if not levels:
                    made.append((own, decoder))
                elif isinstance(depth, int):
                    made.append((own, decoder.changed(InputDepth=depth + levels)))
        return made

    def relate(self, types: Types) -> Types:
        return self._related(types, defaults=False)

    def default(self, types: Types) -> Types:  # type: ignore[override]
        """What the inner nets' layers assume where nothing says more."""
        return self._related(types, defaults=True)

    def _related(self, types: Types, defaults: bool) -> Types:
        types = _inside(types)
        while True:  # what one net says of a port, another has to hear
            said = {**types, **self.outward(types, self._solutions(types, defaults))}
            if said == types:
                return {port: type_.renamed(outer_name) for port, type_ in types.items()}
            types = said

    def _solutions(self, types: Types, defaults: bool = True) -> dict[str, Solved]:
        """The nets' solutions for these types of the ports, with the names that lengths have inside; kept for those seen last."""
        inward = self.inward(types)
        key = (defaults, *((name, port, type_) for name, ports in inward.items() for port, type_ in ports.items()))

        def solutions() -> dict[str, Solved]:
            made = {}
            for name, net in self.nets.items():
                net = net.with_state_ports(net.state_names) if self.opens_states else net
                made[name] = solve(net, inward.get(name, {}), defaults, source="operator")
                if made[name].clashes:
                    fact = f"cannot apply {'its net' if len(self.slots) == 1 else 'its ' + name}"
                    raise Contradiction(
                        f"{fact}{self._how}:\n" + indent(contradictions(net, made[name]), "  "), self.input_names[0]
                    )
            return made

        return self._kept("_inner_solutions", key, solutions)  # type: ignore[no-any-return]

    _how: ClassVar[str] = ""
    """How it is applied, in the words of messages."""

    def inner_solved(self, types: Types) -> Mapping[str, Solved]:
        return self._solutions(_inside(types))

    # As a value

    def fields(self) -> dict[str, Any]:
        return {"net": self.nets[self.slots[0]] if len(self.slots) == 1 else dict(self.nets), **super().fields()}

    def changed(self, **changes: Any) -> Self:
        values = self.changed_fields(changes)
        net = values.pop("net")
        positional = [values.pop(name) for name, declared in self.parameters.items() if declared.positional]
        return type(self)(net, *positional, **values)

    def _written(self) -> list[str]:
        nets = ", ".join(map(repr, self.nets.values()))
        return [nets if len(self.slots) == 1 else f"[{nets}]", *super()._written()]


def _inside(types: Types) -> Types:
    """The types with names of lengths that no length of an inner net has."""
    return {port: type_.renamed(lambda name: f"{OUTER}{name}") for port, type_ in types.items()}


def only(net: Any) -> tuple[str, str]:
    """The names of the input and the output of a net that has one of each."""
    return net.input_names[0], net.output_names[0]


def element_of(type_: ArrayType, levels: int = 1) -> ArrayType:
    return ArrayType(None if type_.sizes is None else type_.sizes[levels:], type_.elements)


def array_of_these(type_: ArrayType, counts: tuple[Size, ...]) -> ArrayType:
    """The type of an array of these. Elements that nobody fixed yet stay open."""
    return ArrayType(None if type_.sizes is None else (*counts, *type_.sizes), _open_elements(type_))


def _open_elements(type_: ArrayType) -> Any:
    return type_.elements if type_.integer else None


def outside(type_: ArrayType) -> ArrayType:
    return ArrayType(type_.sizes, _open_elements(type_))


def common_counts(types: Mapping[str, ArrayType], levels: int) -> tuple[Size, ...]:
    """The sizes of the first levels, which all these ports share."""
    counts: tuple[Size, ...] = (None,) * levels
    for port, type_ in types.items():
        if type_.sizes is not None:
            if len(type_.sizes) < levels:
                what = "level 1, which a single number does not have" if levels == 1 else f"{levels} levels"
                raise Contradiction(f"maps over {what}", port)
            counts = tuple(merge_sizes(a, b, port) for a, b in zip(counts, type_.sizes))
    return counts


def same_type(a: ArrayType, b: ArrayType, slot: str) -> ArrayType:
    """What two types that must be equal say together."""
    return ArrayType(equal_sizes(a.sizes, b.sizes, slot), _open_elements(a) or _open_elements(b))


def without_length(value: Any) -> Any:
    return value.data if isinstance(value, Sequence) else value


def entries(value: Any) -> list[tuple[Any, Any]]:
    """The pairs of a dict, a rule or a list of rules."""
    if isinstance(value, Mapping):
        return list(value.items())
    rules = [value] if isinstance(value, Rule) else list(value)
    if not all(isinstance(rule, Rule) for rule in rules):
        raise ValueError
    return [(rule.key, rule.value) for rule in rules]
