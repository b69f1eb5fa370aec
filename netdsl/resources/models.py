"""NetModel: trained nets by name, shipped with the package and checked by sum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import jax

from netdsl.constraints import FrozenDict
from netdsl.errors import DeclarationError, PartError, ResourceError, UnsupportedError, excerpt, nearest, public
from netdsl.formats import Import
from netdsl.nets import Net
from netdsl.symbols import Automatic

__all__ = ["NetModel"]


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue."""

    name: str
    file: str
    sha256: str
    task: str
    training_set: str
    test_accuracy: float
    """On the whole test data of the set, measured by the script that trained the net."""


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "LeNet Trained on MNIST Data",
            "lenet_mnist.netdsl",
            "00be96ac825aead785a3be8556d854e641516c96de9904a018e6e37cc2fb2ea4",
            "Classification",
            "MNIST",
            0.9943,
        ),
        Model(
            "LeNet Trained on Fashion-MNIST Data",
            "lenet_fashion_mnist.netdsl",
            "7c56fde624698c7c8582370c1be1ff88b67252b6f7fb2c92f27fa3578c87afed",
            "Classification",
            "FashionMNIST",
            0.9222,
        ),
    )
}
"""Every net by its name."""

_LATER = (
    "ConstructionNotebook",
    "EvaluationExample",
    "Variants",
    "ParameterNames",
    "ParametersAllowedValues",
    "ParametersInformation",
    "DefaultVariant",
)


@public
def NetModel(name: Any = Automatic, property: Any = "EvaluationNet", /, **ports: Any) -> Any:
    """A trained net by name, or a property of it.

    ``NetModel("LeNet Trained on MNIST Data")`` is the trained net; ``NetModel()`` lists all names. Ports can be overridden:
    ``NetModel(name, Output=None)``.

    property
        "EvaluationNet" (default), "UninitializedEvaluationNet" (to be trained anew), "TrainingNet" (the same), "ByteCount",
        "TaskType", "TrainingSetInformation", "TestAccuracy", "SourceMetadata", "InputDomains", "Properties".

    Raises ResourceError for an unknown name or a damaged file, PartError for an unknown property.

    >>> NetModel()
    ['LeNet Trained on MNIST Data', 'LeNet Trained on Fashion-MNIST Data']
    >>> NetModel("LeNet Trained on MNIST Data", "TaskType")
    'Classification'

    Differences from Wolfram: the nets are trained by a script of this project (examples/train_models.py), and only a few are there.
    Source: Wolfram's public reference page.
    """
    if name is Automatic:
        return list(MODELS)
    if isinstance(name, (list, tuple)):
        raise UnsupportedError(f"NetModel({excerpt(name)}): none of the nets here has parameters. NetModel() lists their names.")
    if not isinstance(name, str) or name not in MODELS:
        raise ResourceError(f"There is no net named {excerpt(name)}. {nearest(name, MODELS)}")
    model = MODELS[name]
    if property in _LATER:
        raise UnsupportedError(f"NetModel does not give the property {property!r}.")
    if property not in _PROPERTIES:
        raise PartError(f"NetModel has no property {excerpt(property)}. {nearest(property, _PROPERTIES)}")
    value = _PROPERTIES[property](model)
    if not ports:
        return value
    if not isinstance(value, Net):
        raise DeclarationError(f"Only nets take ports, not the property {property!r}.")
    return value.changed(Ports={**value.ports, **ports})


@lru_cache(maxsize=8)
def _net(model: Model) -> Net:
    """The net of the package's file, whose bytes must be the catalogue's."""
    path = files("netdsl.resources") / "nets" / model.file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResourceError(f"The file of NetModel({model.name!r}) cannot be read: {error}. Reinstall netdsl.") from None
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise ResourceError(
            f"The file of NetModel({model.name!r}), {model.file}, is damaged: its sum is not the catalogue's. Reinstall netdsl."
        )
    return Import(path)


def _uninitialized(net: Net) -> Net:
    """The net without the values of its arrays."""
    bare = jax.tree_util.tree_map(lambda _: Automatic, net)
    return bare.rebuilt(shared=FrozenDict(dict.fromkeys(net.shared, Automatic)))


_PROPERTIES: dict[str, Callable[[Model], Any]] = {
    "EvaluationNet": _net,
    "UninitializedEvaluationNet": lambda model: _uninitialized(_net(model)),
    "TrainingNet": lambda model: _uninitialized(_net(model)),
    "ByteCount": lambda model: sum(value.nbytes for value in {**_net(model).arrays, **_net(model).state}.values()),
    "InputDomains": lambda model: {
        port: [encoder.kind] for port in _net(model).input_names if (encoder := _net(model).encoder(port))
    },
    "TaskType": lambda model: model.task,
    "TestAccuracy": lambda model: model.test_accuracy,
    "TrainingSetInformation": lambda model: f'{model.training_set}: ResourceData({model.training_set!r}, "TrainingData")',
    "SourceMetadata": lambda model: {
        "Creator": "the netdsl project",
        "Source": "examples/train_models.py",
        "Rights": "Apache-2.0",
    },
    "Properties": lambda model: sorted(_PROPERTIES),
}
