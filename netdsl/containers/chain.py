"""NetChain: layers one after the other."""

from __future__ import annotations

from typing import Any

from netdsl.constraints import source_text
from netdsl.containers.promotion import named_layers
from netdsl.errors import DeclarationError, listing
from netdsl.nets import Net, Parts, lift_shared

__all__ = ["NetChain"]


class NetChain(Net):
    """A net whose layers are applied one after the other.

    y = layer_n( … layer_2(layer_1(x)))

    ``NetChain([layer, …])``, ``NetChain({"name": layer, …})``, ``NetChain([Rule("name", layer), …])``. A layer may be a net, an
    integer n (LinearLayer(n)), a function (ElementwiseLayer, or FunctionLayer where it is not elementwise), or a list (a nested
    NetChain). Inner layers have one input and one output; the inputs of the first and the outputs of the last are the chain's.

    Options: any port (``Input=[1, 28, 28]``, ``Input=NetEncoder(...)``, ``Output=NetDecoder(...)``), LearningRateMultipliers.

    Raises ShapeError where the sizes of neighbours contradict each other, all of them in one message.

    >>> NetChain([Ramp, 10], Input=4)
    NetChain([ElementwiseLayer(Ramp), LinearLayer(10)], Input=4)

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    def __init__(self, layers: Any, /, **options: Any) -> None:
        self.__dict__["nets"] = named_layers(layers, "NetChain")
        self.check_places()
        lift_shared(self)
        super().__init__(**options)

    def check_places(self) -> None:
        """Refuse parts that cannot stand where they do, such as one with two inputs after another."""
        if not self.nets:
            raise DeclarationError("NetChain takes at least one layer. Got none.")
        names = list(self.nets)
        first = self.nets[names[0]]
        if _variadic(first) and not first.input_names:
            raise DeclarationError(
                f"{_place(names[0], first)} takes any number of inputs: as the first of a NetChain it must say how many, "
                f"{first.title()}(..., InputPorts=2)."
            )
        for position, (name, net) in enumerate(self.nets.items()):
            if position and len(net.input_names) != 1 and (net.input_names or not _variadic(net)):
                raise DeclarationError(
                    f"{_place(name, net)} cannot follow another layer in a NetChain: it has "
                    f"{len(net.input_names)} input ports ({listing(net.input_names) or 'none'}). Use a NetGraph."
                )
            if position < len(names) - 1 and len(net.output_names) != 1:
                raise DeclarationError(
                    f"{_place(name, net)} cannot stand before another layer in a NetChain: it has "
                    f"{len(net.output_names)} output ports ({listing(net.output_names)}). Use a NetGraph."
                )

    @property
    def input_names(self) -> tuple[str, ...]:
        return next(iter(self.nets.values())).input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.nets[list(self.nets)[-1]].output_names

    def parts(self) -> Parts:
        return self._cached("_parts", self._parts_now)

    def _parts_now(self) -> Parts:
        feeds: dict[str, dict[str, tuple[str, str]]] = {}
        before = ""
        for name, net in self.nets.items():
            if before:
                port = net.input_names[0] if net.input_names else "Input1"
                feeds[name] = {port: (before, self.nets[before].output_names[0])}
            else:
                feeds[name] = {port: ("", port) for port in self.input_names}
            before = name
        return Parts(self.nets, feeds, {port: (before, port) for port in self.output_names})

    def fields(self) -> dict[str, Any]:
        return {"layers": self.nets, **super().fields()}

    def changed(self, **changes: Any) -> NetChain:
        values = self.changed_fields(changes)
        return NetChain(values.pop("layers"), **values)

    @property
    def numbered(self) -> bool:
        """Whether the layers have no names but their numbers."""
        return list(self.nets) == [str(i + 1) for i in range(len(self.nets))]

    def _written(self) -> list[str]:
        layers = list(self.nets.values()) if self.numbered else dict(self.nets)
        first = "[" + ", ".join(map(repr, layers)) + "]" if isinstance(layers, list) else source_text(layers)
        return [first, *super()._written()]


def _variadic(net: Net) -> bool:
    return bool(getattr(net, "variadic", False))


def _place(name: str, net: Net) -> str:
    return f"{'Element ' + name if name.isdigit() else f'Layer {name!r}'}, {net.title()},"
