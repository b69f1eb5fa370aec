"""Contradictions between types as messages: what was attempted, both ends, who fixed each size, one next step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from netdsl.declarations import Declared
from netdsl.errors import excerpt
from netdsl.nets.arrays import given_sizes
from netdsl.shapes import OPEN, REAL, ArrayType, Clash, Origin, describe, shape_text
from netdsl.symbols import Automatic

if TYPE_CHECKING:
    from netdsl.nets.layer import Layer
    from netdsl.nets.net import Net
    from netdsl.nets.program import Solved, Step

__all__ = ["contradictions", "element_name"]


THE_LAYER = "the layer"
"""How messages call a net that is one layer."""

SIZE = "change the size of "
"""How the advice begins that a size be changed which a parameter states."""


class _End(NamedTuple):
    """One side of a contradiction."""

    name: str
    title: str
    verb: str
    type: ArrayType
    why: str
    advice: str


def element_name(path: tuple[str, ...]) -> str:
    """How messages call a part: by number, or by name."""
    if not path:
        return THE_LAYER
    if len(path) == 1 and path[0].isdigit():
        return f"element {path[0]}"
    return f"layer {'/'.join(path)!r}"


def contradictions(net: Net, solved: Solved) -> str:
    """One message for all contradictions of a net."""
    report = _Report(net, solved)
    arrays = {clash.owner for clash in solved.clashes if report.of_array(clash) and clash.new is not None}
    messages = []
    for clash in solved.clashes:
        if clash.new is None and clash.owner in arrays:  # what follows from an array that does not fit
            continue
        text = report.message(clash)
        if text not in messages:
            messages.append(text)
    return "\n".join(messages)


class _Report:
    def __init__(self, net: Net, solved: Solved) -> None:
        self.net = net
        self.solved = solved
        self.steps = solved.program.steps
        self.refs = {key: number for number, key in solved.variables.items()}

    def of_array(self, clash: Clash) -> bool:
        """Whether it shows at an array of a layer."""
        return isinstance(clash.owner, int) and clash.slot in self.steps[clash.owner].layer.array_slots()

    def message(self, clash: Clash) -> str:
        if clash.new is None:
            return self._impossible(clash)
        how, _, slot = clash.how.partition(":")
        near = self._end(Origin(clash.owner, slot or clash.slot, how), clash.slot, clash.new)
        if self.of_array(clash):
            return self._array(clash)
        far = self._far_end(clash)
        ends = sorted((near, far), key=lambda end: end.verb != "gives")
        head = f"cannot connect {ends[0].name} to {ends[1].name} of this {self.net.title()}."
        ports = [end.name for end in ends if end.name != THE_LAYER]
        if len(ports) == 1:
            head = f"{ports[0]} of this {self.net.title()} does not fit the layer."
        alike = describe(near.type) == describe(far.type) and near.type != far.type
        return "\n".join([head, *_table(ends), *([f"  Here {clash.fact}."] if alike else []), _advice(ends)])

    def _far_end(self, clash: Clash) -> _End:
        """The other side of the wire at which `clash` shows."""
        origin = clash.origin
        ref = self._ref(clash)
        producing = ref is not None and ref[0] == clash.owner
        if origin is not None and isinstance(origin.owner, int):
            step = self.steps[origin.owner]
            if ref is not None and not producing and ref[0] >= 0 and origin.owner != ref[0]:
                return self._end(Origin(ref[0], ref[1], "derived"), ref[1], clash.old)
            if step.gives(origin.slot) or any(port == origin.slot for port, _ in step.inputs):
                return self._end(origin, origin.slot, clash.old)
        if origin is not None and not isinstance(origin.owner, int):
            return self._end(origin, origin.slot, clash.old)
        if ref is not None and ref[0] >= 0 and not producing:
            return self._end(Origin(ref[0], ref[1], "derived"), ref[1], clash.old)
        slot = clash.slot if origin is None else origin.slot
        return self._end(Origin(clash.owner if origin is None else origin.owner, slot, "derived"), slot, clash.old)

    def _ref(self, clash: Clash) -> Any:
        if not isinstance(clash.owner, int):
            path, port = clash.owner[1], clash.owner[2]
            return next((ref for ref, _, where, _ in self.solved.program.declared if where == (path, port)), None)
        step = self.steps[clash.owner]
        if step.gives(clash.slot):
            return clash.owner, clash.slot
        return dict(step.inputs).get(clash.slot)

    def _end(self, origin: Origin, slot: str, type_: ArrayType) -> _End:
        if not isinstance(origin.owner, int):
            kind, path, port = origin.owner
            inner = self.net
            for name in path:
                inner = inner.nets[name]
            is_input = port in inner.input_names
            name = f"the {port} port" if not path else f"port {port!r} of {element_name(path)}"
            declared = inner.ports.get(port)
            by = f" by {excerpt(declared)}" if isinstance(declared, Declared) else f" in {_short(inner)}" if path else ""
            outside = {
                "data": ("what the data are", "Give other data"),
                "operator": ("one element", f"change the {port} of the operator"),
                "function": ("what the function applies it to", "apply it to something else"),
            }
            why, advice = outside.get(kind, (f"declared{by}", f"change the declared {port}"))
            inner_most = not path
            gives = is_input if inner_most else not is_input
            return _End(name, "", "gives" if gives else "takes", type_, why, advice)
        step = self.steps[origin.owner]
        name = element_name(step.path)
        output = step.gives(slot)
        return _End(
            name,
            step.layer.title(),
            "gives" if output else "takes",
            type_,
            self._why(step, origin, slot, type_),
            self._fix(step, origin, name, slot, type_),
        )

    def _why(self, step: Step, origin: Origin, slot: str, type_: ArrayType) -> str:
        if origin.how == "parameter" and not (_is_set(step.layer, type_.sizes) or _is_set(step.layer, type_.elements)):
            return f"what {_short(step.layer)} {'gives' if step.gives(slot) else 'needs'}"
        if origin.how == "parameter":
            what = (
                f"{slot.lower() if slot.istitle() else slot} size {shape_text(type_.sizes)}, "
                if type_.known and type_.sizes
                else ""
            )
            return f"{what}set in {_short(step.layer)}"
        if origin.how == "array":
            name = origin.slot if origin.slot in step.layer.array_slots() else self._given(step)
            value: Any = step.layer.__dict__.get(name)
            shape = f", float32[{', '.join(map(str, value.shape))}]" if hasattr(value, "dtype") else ""
            return f"from its {name}{shape}"
        if step.gives(slot):
            first = next(iter(step.inputs), None)
            if first is not None:
                source = self.solved.types.get(first[1], OPEN)
                return f"what {_short(step.layer)} makes of {describe(source)}"
        elif self._given(step) != "arrays" and origin.how == "derived":
            return self._why(step, origin._replace(how="array", slot=self._given(step)), slot, type_)
        return f"what {_short(step.layer)} needs"

    @staticmethod
    def _given(step: Step) -> str:
        names = [name for name in step.layer.array_slots() if step.layer.__dict__[name] not in (None, Automatic)]
        return names[0] if names else "arrays"

    def _fix(self, step: Step, origin: Origin, name: str, slot: str, type_: ArrayType) -> str:
        if origin.how == "array":
            array = origin.slot if origin.slot in step.layer.array_slots() else self._given(step)
            return f"drop the {array} of {name}"
        if origin.how == "parameter" and not _is_set(step.layer, type_.sizes) and name == THE_LAYER and step.gives(slot):
            return "use another layer"
        if origin.how == "parameter" and _is_set(step.layer, type_.sizes):
            return f"change {name}" if name == THE_LAYER and not step.gives(slot) else f"{SIZE}{name}"
        if not step.gives(slot) and self._given(step) != "arrays":
            return f"drop the {self._given(step)} of {name}"
        return f"change {name}"

    def _array(self, clash: Clash) -> str:
        step = self.steps[clash.owner]
        has, needs = clash.old, clash.new or OPEN
        given = given_sizes(self.net.shared, step.layer.array_values().get(clash.slot))
        if given is not None and has.sizes != given:
            has, needs = needs, has
        needed = re.sub(r" of (unknown size|size \?(x\?)*)$", "", describe(needs))
        return (
            f"the array {clash.slot} of {element_name(step.path)}, {_short(step.layer)}, does not fit.\n"
            f"  {clash.slot:{len(THE_LAYER)}}  is     {describe(has)}\n  {THE_LAYER:{len(clash.slot)}}  needs  {needed}\n"
            f"Give {needed}, or leave {clash.slot} out: NetInitialize then makes one."
        )

    def _impossible(self, clash: Clash) -> str:
        step = self.steps[clash.owner]
        name = f"{element_name(step.path)}, {_short(step.layer)},"
        ref = dict(step.inputs).get(clash.slot)
        fact = clash.fact
        if "\n" in fact:
            return f"{name} {fact}"
        sides = self._sides(step, clash)
        among = fact.startswith(("needs equal", "needs ports", "needs arrays"))
        if ref is not None and ref[0] >= 0 and clash.old != OPEN and not (among and len(sides) > 1):
            source = self.steps[ref[0]]
            end = self._end(Origin(ref[0], ref[1], self._how(clash)), ref[1], clash.old)
            return "\n".join(
                [
                    f"cannot connect {element_name(source.path)} to {element_name(step.path)} of this {self.net.title()}.",
                    *_table([end]),
                    f"  {name} {fact}.",
                    f"Change {element_name(source.path)} or {element_name(step.path)}.",
                ]
            )
        if not among and ref is not None and clash.old != OPEN:
            name = f"{name} cannot take its {clash.slot}: it"
        elif not among and step.gives(clash.slot):
            name = f"{name} cannot give its {clash.slot}: it"
            fact = re.sub("^takes", "makes", fact)
        if len(sides) > 1 or (sides and step.gives(clash.slot)):
            return "\n".join([f"{name} {fact}.", *_table(sides), _advice(sides)])
        if ref is None or clash.old == OPEN:
            return f"{name} {fact}."
        return f"{name} {fact}. Given is {describe(clash.old)}, from the port {ref[1]!r} of this {self.net.title()}."

    def _sides(self, step: Step, clash: Clash) -> list[_End]:
        """What stands at each port of a layer, and who fixed it there."""
        sides = []
        for port, ref in [*step.inputs, *((port, (clash.owner, port)) for port in step.outputs)]:
            type_ = self.solved.types.get(ref, OPEN)
            number = self.refs.get(ref)
            levels = (
                [self.solved.origins.get((number, level)) for level in ("rank", *range(type_.rank or 0))]
                if number is not None
                else []
            )
            origin = next((o for o in levels if o is not None and o.owner != clash.owner), None)
            if origin is not None:
                end = self._end(origin, origin.slot, type_)
                sides.append(end._replace(name=f"its {port}", title="", verb="is", why=f"{end.name}: {end.why}"))
        if len(sides) < 2:
            for name, value in step.layer.array_values().items():
                sizes = given_sizes(self.net.shared, value)
                if sizes is not None:
                    advice = f"drop the {name} of {element_name(step.path)}"
                    sides.append(_End(f"its {name}", "", "is", ArrayType(sizes, REAL), "given", advice))
        return sides

    @staticmethod
    def _how(clash: Clash) -> str:
        return clash.origin.how if clash.origin is not None else "derived"


def _kinds_differ(ends: list[_End]) -> bool:
    return len({end.type.integer for end in ends}) == 2


def _table(ends: list[_End]) -> list[str]:
    names = [f"{end.name}, {end.title}" if end.title else end.name for end in ends]
    types = [describe(end.type) for end in ends]
    if _kinds_differ(ends):
        types = [
            text
            if end.type.integer or not end.type.elements or end.type.sizes == ()
            else "real numbers"
            if end.type.sizes is None
            else f"{text} of real numbers"
            for end, text in zip(ends, types)
        ]
    wide, wider = max(map(len, names)), max(map(len, types))
    return [f"  {name:{wide}}  {end.verb}  {type_:{wider}}  ({end.why})" for name, type_, end in zip(names, types, ends)]


def _advice(ends: list[_End]) -> str:
    """One sentence that names what may be changed."""
    if len(ends) > 2:
        return "Change one of these."
    first, *others = (end.advice for end in ends)
    if others and first.startswith(SIZE) and _kinds_differ(ends):
        first = "change " + first.removeprefix(SIZE)
    elif others and first.startswith(SIZE) and ends[0].type.rank == ends[1].type.rank == 1 and not ends[1].type.varying:
        first = f"{first} to {shape_text(ends[1].type.sizes)}"
    return f"{first[0].upper()}{first[1:]}{''.join(f', or {other}' for other in others)}."


def _is_set(layer: Layer, sizes: tuple[Any, ...] | None) -> bool:
    """Whether one of the sizes, or bounds of elements, is a number that the layer's parameters state. An operator's nets state them."""
    return not layer.nets and not set(_numbers(tuple(layer.values_of_parameters().values()))).isdisjoint(_numbers(sizes or ()))


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int):
        yield value


def _short(net: Net) -> str:
    """The net as written, without its arrays and ports, cut when long."""
    text = f"{net.title()}({', '.join(Declared._written(net))})"
    return text if len(text) <= 60 else text[:58] + "…)"
