"""PlaceholderLayer: what stands for an operation that netdsl does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.constraints import NAMES, Constraint, FrozenDict, frozen, string
from netdsl.declarations import parameter
from netdsl.errors import UnsupportedError
from netdsl.nets import ArrayDeclaration, Layer, Net, path_text
from netdsl.shapes import ArrayType
from netdsl.symbols import Automatic

__all__ = ["PlaceholderLayer", "refuse_placeholders"]


def _parameters(value: Any) -> FrozenDict:
    if not isinstance(value, Mapping):
        raise ValueError
    kept = frozen(dict(value))
    hash(kept)
    return kept


def _arrays(value: Any) -> dict[str, Any]:
    given = dict(value) if isinstance(value, Mapping) else dict.fromkeys(NAMES.keep(value), Automatic)
    if not all(isinstance(name, str) and name for name in given):
        raise ValueError
    # what is real stays of its own type, as files hold it
    return {
        name: jax.device_put(each) if type(each) is np.ndarray and jnp.issubdtype(each.dtype, jnp.floating) else each
        for name, each in given.items()
    }


class PlaceholderLayer(Layer):
    """A layer that stands for an operation that is not there, as one of an imported net.

    It can stand in nets, be shown, saved, and replaced by surgery; it can be neither evaluated nor trained.

    y = whatever the operation would give

    Ports: Input and Output, unless InputPorts and OutputPorts name others; of any sizes, where nothing is declared of them.

    Arrays: those of Arrays, each under its name.

    Parameters: Tag, a string that says what it stands for, or None; Parameters, a dict of what is known of it; Arrays, None
    (default), a dict from names to arrays, or a list of names; InputPorts, OutputPorts, lists of names.

    Raises UnsupportedError when it would have to compute.

    >>> NetChain([PlaceholderLayer("Einsum", {"equation": "ij->ji"}), Ramp], Input=[2, 3])[1]
    PlaceholderLayer('Einsum', {'equation': 'ij->ji'}, Input=[2, 3])

    Differences from Wolfram: none known. Source: Wolfram's public reference page.
    """

    Tag: Any = parameter(string, None, positional=True)
    Parameters: Any = parameter(
        Constraint("a dict of values that do not change", _parameters, (3, {"a": {1}})), FrozenDict(), positional=True
    )
    Arrays: Any = parameter(Constraint("a dict of arrays or a list of their names", _arrays, (3, ["a", "a"], {1: 2})), None)
    InputPorts: Any = parameter(NAMES, Automatic)
    OutputPorts: Any = parameter(NAMES, Automatic)

    varying = "aware"

    def _empty_arrays(self) -> None:
        given = self.Arrays or {}
        self.__dict__["Arrays"] = tuple(given) or None
        self.__dict__["array_declarations"] = FrozenDict({name: ArrayDeclaration("...", name=name) for name in given})
        super()._empty_arrays()
        for name, value in given.items():
            self._take_array(name, value)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("Input",) if self.InputPorts is Automatic else self.InputPorts

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("Output",) if self.OutputPorts is Automatic else self.OutputPorts

    def relate(self, types: Mapping[str, ArrayType]) -> Mapping[str, ArrayType]:
        return {}

    def fields(self) -> dict[str, Any]:
        arrays = {name: self.__dict__[name] for name in self.array_declarations}
        others = {name: value for name, value in super().fields().items() if name not in arrays}
        return others | {"Arrays": arrays or None}

    def apply(self, arrays: Any, *inputs: Any) -> Any:
        refuse_placeholders(self)


def refuse_placeholders(net: Net) -> None:
    """Refuse to compute a net with a placeholder in it. Raises UnsupportedError."""
    found = net._cached("_placeholders", lambda: [p for p in net.leaves() if isinstance(p[1], PlaceholderLayer)])
    if found:
        path, layer = found[0]
        tag = f"PlaceholderLayer({'' if layer.Tag is None else repr(layer.Tag)})"
        where = f"Layer {path_text(path)!r} of this {net.title()} is {tag}, which" if path else tag
        advice = (
            f" Put a layer in its place: NetReplacePart(net, {{{path if len(path) > 1 else path[0]!r}: layer}})." if path else ""
        )
        raise UnsupportedError(
            f"{where} stands for an operation that is not there, and can be neither evaluated nor trained.{advice}"
        )
