"""NetInitialize: first values for the arrays of a net."""

from __future__ import annotations

import math
import secrets
import zlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from netdsl.constraints import frozen, is_integer
from netdsl.declarations import suboptions
from netdsl.errors import DeclarationError, UninitializedError, excerpt, listing, nearest, public
from netdsl.nets import SHARED, ArrayDeclaration, ArrayPath, Net, NetArray, path_text
from netdsl.shapes import describe
from netdsl.symbols import All, Automatic, Inherited, NormalDistribution, UniformDistribution

__all__ = ["NetInitialize", "seed_of"]

KAIMING_GAIN = math.sqrt(2)
"""The gain of "Kaiming": deviation = gain / sqrt(fan in). Wolfram documents the method, not this choice [M]."""

DEFAULT_SEED = 1234

_OPTIONS: dict[str, dict[str, Any]] = {
    "Kaiming": {"Distribution": "Normal"},
    "Xavier": {"Distribution": "Normal"},
    "Orthogonal": {},
    "Random": {"Weights": NormalDistribution(0, 1), "Biases": None},
    "Identity": {"Distribution": NormalDistribution(0, 0.01)},
}

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@public
def NetInitialize(net: Net, which: Any = Automatic, /, *, Method: Any = "Kaiming", RandomSeeding: Any = DEFAULT_SEED) -> Net:
    """The net with values for the arrays that have none; ``NetInitialize(net, All)`` replaces all values.

    Weights are drawn by the method, biases are 0 and state arrays start as their layer says.

    - "Kaiming" (default): deviation sqrt(2 / fan in); "Xavier": sqrt(2 / (fan in + fan out)); both take
      ``["Kaiming", {"Distribution": "Uniform"}]``;
    - "Orthogonal": orthogonal matrices;
    - "Random": ``{"Weights": NormalDistribution(0, 1), "Biases": None}``; a number s means NormalDistribution(0, s);
    - "Identity": the identity, as far as the sizes allow, plus ``{"Distribution": NormalDistribution(0, 0.01)}``.

    RandomSeeding: 1234 by default, so that the same call gives the same bits; Automatic draws a new seed.

    Raises UninitializedError when sizes are still unknown.

    >>> net = NetInitialize(NetChain([3, Ramp, 2], Input=4))
    >>> net.arrays["1", "Weights"].shape
    (3, 4)

    Differences from Wolfram: the random numbers themselves. Source: Wolfram's public reference page; gains are remembered [M].
    """
    if not isinstance(net, Net):
        raise DeclarationError(f"NetInitialize takes a net. Got {excerpt(net)}.")
    if which is not All and which is not Automatic:
        raise DeclarationError(
            f"NetInitialize(net) fills what is missing, NetInitialize(net, All) replaces all. Got {excerpt(which)}."
        )
    draw, biases = _method(Method)
    seed = seed_of(RandomSeeding)
    table = net.array_table()
    wanted = [path for path, value in table.items() if which is All or value is Automatic]
    if not wanted:
        return net
    types = net.solved.arrays
    unknown = [path for path in wanted if not types[path].known]
    if unknown:
        ports = [port for port in net.input_names if not net.port_type(port).known]
        hint = f" Declare the input: {ports[0]}=[...]; now it is {describe(net.port_type(ports[0]))}." if ports else ""
        raise UninitializedError(
            f"NetInitialize cannot make {listing([_name(path) for path in unknown], 6)}: the size is not known yet.{hint}"
        )
    declared = _declarations(net)
    made = {}
    for path in wanted:
        generator = np.random.default_rng([seed, zlib.crc32("/".join(path).encode())])
        values = _values(declared[path], types[path].sizes, generator, draw, biases)
        made[path] = jax.device_put(np.asarray(values, np.float32))  # jnp.asarray compiles a program for each new shape
    return net.with_arrays(made)


def _name(path: ArrayPath) -> str:
    return f"NetArray({path[1]!r})" if path[0] == SHARED else path_text(path)


def seed_of(seeding: Any) -> int:
    """The integer seed that a RandomSeeding setting means; Automatic draws one."""
    if seeding is Automatic:
        return secrets.randbits(32)
    if seeding is Inherited:
        return DEFAULT_SEED
    if isinstance(seeding, str):
        return zlib.crc32(seeding.encode())
    if not is_integer(seeding):
        raise DeclarationError(f"RandomSeeding is an integer, a string, Automatic or Inherited. Got {excerpt(seeding)}.")
    return int(seeding) % 2**63


def _declarations(net: Net) -> dict[ArrayPath, ArrayDeclaration]:
    found: dict[ArrayPath, ArrayDeclaration] = {}
    for path, layer in net.leaves():
        values = layer.array_values()
        for name, declared in layer.declared_arrays().items():
            value = values[name]
            found.setdefault((SHARED, value.Name) if isinstance(value, NetArray) else (*path, name), declared)
    return found


def _values(
    declared: ArrayDeclaration, sizes: Any, generator: np.random.Generator, draw: Draw, biases: Draw | None
) -> np.ndarray:
    if declared.initial != "weights":
        if biases is not None and declared.initial == 0.0 and not declared.is_state:
            return biases(generator, sizes)
        return np.full(sizes, declared.initial, np.float32)
    if declared.outputs_last and len(sizes) > 1:
        return np.moveaxis(draw(generator, (sizes[-1], sizes[-2], *sizes[:-2])), (0, 1), (-1, -2))
    return draw(generator, sizes)


def _method(method: Any) -> tuple[Draw, Draw | None]:
    """How weights are drawn, and how biases are, unless they are 0."""
    method = frozen(method)
    name, given = method, ()
    if isinstance(method, tuple) and method:
        name, given = method[0], method[1:]
    if name is Automatic:
        name = "Kaiming"
    if name not in _OPTIONS:
        raise DeclarationError(f"NetInitialize has no method {name!r}. {nearest(name, _OPTIONS)}")
    options = dict(_OPTIONS[name])
    options |= suboptions(given, f"The method {name!r}", options)
    if name in ("Kaiming", "Xavier"):
        return _scaled(name, options["Distribution"]), None
    if name == "Orthogonal":
        return _orthogonal, None
    if name == "Random":
        biases = None if options["Biases"] is None else _distribution(options["Biases"], "Biases")
        return _distribution(options["Weights"], "Weights"), biases
    noise = _distribution(options["Distribution"], "Distribution")
    return lambda generator, sizes: _identity(sizes) + noise(generator, sizes), None


def _scaled(name: str, distribution: Any) -> Draw:
    if distribution not in ("Normal", "Uniform"):
        raise DeclarationError(f'The Distribution of method {name!r} is "Normal" or "Uniform". Got {excerpt(distribution)}.')

    def draw(generator: np.random.Generator, sizes: tuple[int, ...]) -> np.ndarray:
        fan_in, fan_out = _fans(sizes)
        deviation = KAIMING_GAIN / math.sqrt(fan_in) if name == "Kaiming" else math.sqrt(2 / (fan_in + fan_out))
        if distribution == "Normal":
            return generator.normal(0, deviation, sizes)
        bound = deviation * math.sqrt(3)
        return generator.uniform(-bound, bound, sizes)

    return draw


def _fans(sizes: tuple[int, ...]) -> tuple[int, int]:
    """The inputs of one output and the outputs of one input, for weights {outputs, inputs, kernel...}."""
    if len(sizes) < 2:
        return (sizes[0] if sizes else 1), (sizes[0] if sizes else 1)
    kernel = math.prod(sizes[2:])
    return sizes[1] * kernel, sizes[0] * kernel


def _orthogonal(generator: np.random.Generator, sizes: tuple[int, ...]) -> np.ndarray:
    rows = sizes[0] if sizes else 1
    columns = math.prod(sizes[1:])
    tall = generator.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))
    return (q if rows >= columns else q.T).reshape(sizes)


def _identity(sizes: tuple[int, ...]) -> np.ndarray:
    """The array of an affine layer that preserves components: 1 where output and input agree, at the middle of the kernel."""
    if len(sizes) < 2:
        return np.zeros(sizes)
    values = np.zeros(sizes)
    count = min(sizes[0], sizes[1])
    centre = tuple((size - 1) // 2 for size in sizes[2:])
    values[(np.arange(count), np.arange(count), *(np.full(count, c) for c in centre))] = 1
    return values


def _distribution(value: Any, option: str) -> Draw:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = NormalDistribution(0, value)
    if isinstance(value, NormalDistribution):
        return lambda generator, sizes: generator.normal(value.mean, value.deviation, sizes)
    if isinstance(value, UniformDistribution):
        low, high = value.bounds
        return lambda generator, sizes: generator.uniform(low, high, sizes)
    raise DeclarationError(
        f"{option} is a number, NormalDistribution(m, s) or UniformDistribution([a, b]). Got {excerpt(value)}."
    )
