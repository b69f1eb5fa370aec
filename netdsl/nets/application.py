"""Nets applied inside the function of a layer: while it is traced they are noted, while it runs they run as its parts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state

from netdsl.errors import DeclarationError, excerpt, listing
from netdsl.functions.places import counted
from netdsl.nets.program import Solved, solve
from netdsl.nets.report import contradictions
from netdsl.shapes import INTEGER, REAL, ArrayType, Contradiction

if TYPE_CHECKING:
    from netdsl.nets.net import Net

__all__ = ["Applications", "applications", "noted"]

Run = Callable[[str, "Net", dict[str, Any]], Mapping[str, Any]]
"""What gives the outputs of a net by port, for its name, the net as the function has it, and its inputs by port."""


class _Applying(threading.local):
    def __init__(self) -> None:
        self.stack: list[Applications] = []


_APPLYING = _Applying()


def applications() -> Applications | None:
    """What stands for the application of nets in the function that is being traced or run, if one is."""
    return _APPLYING.stack[-1] if _APPLYING.stack else None


class Applications:
    """A context in which applying a net means `run`. Each application has a name: the class of the net and, from 2, its number."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.counts: dict[Hashable, int] = {}

    def __enter__(self) -> Applications:
        _APPLYING.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _APPLYING.stack.pop()

    def apply(self, net: Net, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """What the net gives in the function: an array, or a dict of them where it has several outputs."""
        if len(arguments) != (1 if net.input_names or getattr(net, "variadic", False) else 0) or options:
            raise DeclarationError(
                f"Inside the function of a layer, {net.title()} is applied to its inputs alone: an array, or a dict of them by port."
            )
        net, inputs = _inputs(net, arguments)
        kind = net.title()
        number = counted(self.counts, kind)
        outputs = self.run(kind if number == 1 else f"{kind}{number}", net, inputs)
        return next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)


def _inputs(net: Net, arguments: tuple[Any, ...]) -> tuple[Net, dict[str, Any]]:
    """The inputs by port; a layer of any number of inputs is told how many it gets."""
    given: Any = arguments[0] if arguments else {}
    if getattr(net, "variadic", False) and not net.input_names:
        several = isinstance(given, (Mapping, list, tuple))
        ports: Any = list(given) if isinstance(given, Mapping) else len(given) if several else 1
        net = net.changed(InputPorts=ports)
        given = given if several else [given]
    if isinstance(given, (list, tuple)) and len(given) == len(net.input_names) > 1:
        given = dict(zip(net.input_names, given))
    values = dict(given) if isinstance(given, Mapping) else {net.input_names[0]: given}
    if set(values) != set(net.input_names):
        raise DeclarationError(
            f"{net.title()} takes the inputs {listing(net.input_names)}. Inside a function it got {excerpt(list(values))}."
        )
    return net, {port: jnp.asarray(values[port]) for port in net.input_names}


def noted(given: Mapping[str, Net], found: dict[str, tuple[Net, Solved]]) -> Applications:
    """A context in which the nets that a function applies are noted in `found` by name, with their solutions.

    Nets `given` by name stand for those that the function has. What they give is of the right sizes, and in the text of what is
    traced it shows what they were applied to.
    """
    start = get_opaque_trace_state()

    def run(name: str, net: Net, inputs: dict[str, Any]) -> dict[str, Any]:
        net = given.get(name, net)
        if set(inputs) != set(net.input_names):
            raise Contradiction(
                f"applies {name} to the inputs {listing(inputs)}, and it has {listing(net.input_names) or 'none'}"
            )
        solved = solve(net, {port: _type(x) for port, x in inputs.items()}, source="function")
        if solved.clashes:
            raise Contradiction(f"cannot apply {name}:\n{_indented(contradictions(net, solved))}")
        types = {port: solved.output_type(port) for port in net.output_names}
        unknown = next((port for port, type_ in types.items() if not type_.known or type_.varying), None)
        if unknown is not None:
            raise Contradiction(f"cannot apply {name}: the size of its {unknown} is not known, or varying")
        if net.state_paths() and get_opaque_trace_state() != start:
            raise Contradiction(
                f"applies {name} to many elements, but it keeps state. Write NetMapOperator(net)(x) or NetFoldOperator(net)(x)"
            )
        found[name] = net, solved

        def applied(*xs: Any) -> Any:
            nothing = sum((jnp.sum(x, dtype=jnp.float32) for x in xs), jnp.float32(0)) * 0
            return {
                port: jnp.zeros(type_.sizes, jnp.int32 if type_.integer else jnp.result_type(float))  # type: ignore[arg-type]
                + nothing.astype(jnp.int32 if type_.integer else jnp.result_type(float))
                for port, type_ in types.items()
            }

        applied.__name__ = name
        return jax.jit(applied)(*inputs.values())  # type: ignore[no-any-return]

    return Applications(run)


def _type(x: Any) -> ArrayType:
    return ArrayType(tuple(x.shape), INTEGER if jnp.issubdtype(x.dtype, jnp.integer) else REAL)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
