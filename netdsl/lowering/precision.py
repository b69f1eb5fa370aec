"""What WorkingPrecision names: the types in which a net's arrays are held and its layers compute.

Everything that depends on it is here: one type for each layer, one cast for what it is given, and the context in which JAX has
64-bit numbers. The rest only passes a precision on.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netdsl.errors import DeclarationError, UnsupportedError, excerpt
from netdsl.nets import Layer
from netdsl.symbols import Automatic

__all__ = ["REAL32", "Precision", "cast", "precision_named"]


@dataclass(frozen=True)
class Precision:
    """The types of one WorkingPrecision.

    Args:
        name: as the option has it; part of the keys of compiled functions.
        held: the type of arrays and state while training, of gradients, losses and outputs; None: as they are.
        computed: the type in which layers compute, but for those that need `held`; None: in that of what they are given.
    """

    name: str
    held: Any = None
    computed: Any = None

    def active(self) -> AbstractContextManager[Any]:
        """A context around tracing and calling, in which JAX has the types of this precision; nothing global changes."""
        return jax.enable_x64(True) if self.held == np.float64 else nullcontext()

    def of(self, layer: Layer) -> Any:
        """The type to which the inputs and arrays of a layer are cast; None leaves them."""
        if self.computed is None or layer.arithmetic == "none":
            return None
        return self.held if layer.arithmetic == "exact" else self.computed

    @property
    def bytes(self) -> int:
        """The size of one number on the wires of a net, about."""
        return 4 if self.computed is None else jnp.dtype(self.computed).itemsize


REAL32 = Precision("Real32")
"""The default: everything is computed in the type it has, which is float32 unless the user's own arrays are something else."""

PRECISIONS = {
    precision.name: precision
    for precision in (
        REAL32,
        Precision("Real64", np.float64, np.float64),
        Precision("Mixed", np.float32, jnp.bfloat16),
    )
}


def precision_named(setting: Any) -> Precision:
    """The precision that a WorkingPrecision setting means."""
    if setting is Automatic:
        return REAL32
    name = setting if isinstance(setting, str) else ""
    if name in PRECISIONS:
        return PRECISIONS[name]
    if name == "Real16":
        raise UnsupportedError(
            'WorkingPrecision="Real16" is not supported. "Mixed" computes in 16 bits and keeps what is trained in 32.'
        )
    raise DeclarationError(f'WorkingPrecision is "Real32", "Real64", "Mixed" or Automatic. Got {excerpt(setting)}.')


def cast(tree: Any, dtype: Any) -> Any:
    """The leaves of a tree with their real numbers in this type, or for None in their own; integers and keys as they are.

    What JAX has no type for now, 64-bit numbers outside `active`, becomes what it has in their place.
    """

    def converted(leaf: Any) -> Any:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        wanted = jax.dtypes.canonicalize_dtype(leaf.dtype if dtype is None else dtype)
        return leaf if leaf.dtype == wanted else leaf.astype(wanted)

    return jax.tree.map(converted, tree)
