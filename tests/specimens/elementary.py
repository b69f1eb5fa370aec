"""Linear, elementwise and structural layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from netdsl import (
    All,
    AppendLayer,
    Automatic,
    BatchNormalizationLayer,
    CatenateLayer,
    DropoutLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    FlattenLayer,
    FlaxLayer,
    FunctionLayer,
    Inherited,
    LinearLayer,
    NetArray,
    NetArrayLayer,
    PaddingLayer,
    PartLayer,
    Plus,
    PrependLayer,
    Ramp,
    ReplicateLayer,
    ReshapeLayer,
    Restricted,
    SequenceIndicesLayer,
    SequenceLastLayer,
    SequenceMostLayer,
    SequenceRestLayer,
    SequenceReverseLayer,
    SoftmaxLayer,
    Span,
    Tanh,
    ThreadingLayer,
    Times,
    TotalLayer,
    TransposeLayer,
    TwoWayRule,
)
from specimens.specimen import Specimen


def flax_module() -> FlaxLayer:
    """A layer of Flax without the values it came with; Flax itself is imported only here."""
    from flax import nnx

    return jax.tree.map(lambda _: Automatic, FlaxLayer(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), Input=4))


ELEMENTARY = (
    Specimen("linear", lambda: LinearLayer(3, Input=4)),
    Specimen("linear of arrays", lambda: LinearLayer([2, 3], Input=[2, 2], Biases=None)),
    Specimen("linear, sized by what follows", lambda: LinearLayer(Input=2, Output=[3, 2])),
    Specimen("linear to a number", lambda: LinearLayer([], Input="Real")),
    Specimen("embedding", lambda: EmbeddingLayer(3, Input=[2, Restricted("Integer", 5)])),
    Specimen("embedding of one", lambda: EmbeddingLayer(2, 4, Input="Integer")),
    Specimen("elementwise", lambda: ElementwiseLayer(Tanh, Input=[2, 3]), backward=True),
    Specimen("elementwise by name", lambda: ElementwiseLayer("GELU", Input=3), backward=True),
    Specimen("elementwise function", lambda: ElementwiseLayer(lambda x: x**2 + 1, Input=3), backward=True, written=False),
    Specimen("ramp of a number", lambda: ElementwiseLayer(Ramp, Input="Real"), backward=True),
    Specimen("threading", lambda: ThreadingLayer(Times, None, InputPorts=2, Input1=[2, 3]), backward=True),
    Specimen("threading, stretched", lambda: ThreadingLayer(Plus, InputPorts=2, Input1=[2, 3], Input2=[2, 1])),
    Specimen(
        "threading, aligned",
        lambda: ThreadingLayer(lambda a, b: a * b + b, -1, InputPorts=["a", "b"], a=[2, 3], b=2),
        written=False,
    ),
    Specimen("flax module", flax_module, written=False),
    Specimen("dropout", lambda: DropoutLayer(0.4, Input=[3, 2]), backward=True, random=True),
    Specimen("alpha dropout", lambda: DropoutLayer(0.4, Method="AlphaDropout", Input=5), backward=True, random=True),
    Specimen("softmax", lambda: SoftmaxLayer(Input=[2, 3]), backward=True),
    Specimen("softmax of level 1", lambda: SoftmaxLayer(1, Input=[3, 2]), backward=True),
    Specimen("batch normalization", lambda: BatchNormalizationLayer(Input=[3, 2]), backward=True),
    Specimen(
        "batch normalization, interleaved",
        lambda: BatchNormalizationLayer(Epsilon=0.1, Momentum=0.5, Interleaving=True, Input=[2, 2, 3]),
        backward=True,
    ),
    Specimen("batch normalization of vectors", lambda: BatchNormalizationLayer(Input=3), backward=True),
    Specimen("flatten", lambda: FlattenLayer(Input=[2, 3, 2])),
    Specimen("flatten the last", lambda: FlattenLayer(-1, Input=[2, 3, 2])),
    Specimen("reshape", lambda: ReshapeLayer([3, Automatic], Input=[2, 3])),
    Specimen("reshape, inherited", lambda: ReshapeLayer([Inherited, 3, 2], Input=[2, 6])),
    Specimen("reshape, like another", lambda: ReshapeLayer("ReferenceShape", Input=[2, 3], ReferenceShape=[3, 2])),
    Specimen("replicate", lambda: ReplicateLayer([2, 3], 2, Input=[2, 2]), backward=True),
    Specimen("replicate, sized by what follows", lambda: ReplicateLayer([2, Automatic], Input="Real", Output=[2, 3])),
    Specimen("replicate classes", lambda: ReplicateLayer(2, Input=[3, Restricted("Integer", 4)])),
    Specimen("transpose", lambda: TransposeLayer(Input=[2, 3, 2]), backward=True),
    Specimen(
        "transpose, one after the other",
        lambda: TransposeLayer([TwoWayRule(1, 2), TwoWayRule(2, -1)], Input=[2, 3, 4]),
        backward=True,
    ),
    Specimen("transpose, permuted", lambda: TransposeLayer([3, 1, 2], Input=[2, 3, 4, 1]), backward=True),
    Specimen("padding", lambda: PaddingLayer([[1, 2], [0, 1]], Padding=0.5, Input=[2, 3, 2]), backward=True),
    Specimen("padding, fixed", lambda: PaddingLayer([[1, 0], [2, 1]], Padding="Fixed", Input=[2, 2]), backward=True),
    Specimen("padding, reflected", lambda: PaddingLayer([[0, 1], [2, 1]], Padding="Reflected", Input=[2, 3]), backward=True),
    Specimen("padding of classes", lambda: PaddingLayer([[1, 1]], Input=[3, Restricted("Integer", 2)])),
    Specimen("part", lambda: PartLayer([Span(2, 3), -1], Input=[4, 2, 2])),
    Specimen("part in steps", lambda: PartLayer([All, Span(-1, 1, -2), Span(2, -2)], Input=[2, 4, 5])),
    Specimen("part, one number", lambda: PartLayer(2, Input=3)),
    Specimen("append", lambda: AppendLayer(Input=[3, 2]), backward=True),
    Specimen("prepend", lambda: PrependLayer(Element="Real", Output=3), backward=True),
    Specimen("prepend a class", lambda: PrependLayer(Input=[2, Restricted("Integer", 3)], Element=Restricted("Integer", [0, 1]))),
    Specimen("catenate", lambda: CatenateLayer(InputPorts=2, Input1=[2, 3], Input2=[1, 3])),
    Specimen("catenate level 2", lambda: CatenateLayer(2, InputPorts=["a", "b", "c"], a=[2, 1], b=[2, 3], c=[2, 2])),
    Specimen(
        "catenate classes",
        lambda: CatenateLayer(InputPorts=2, Input1=[2, Restricted("Integer", 3)], Input2=[1, Restricted("Integer", 5)]),
    ),
    Specimen("dropout of classes", lambda: DropoutLayer(0.4, Input=[8, "Integer"]), random=True),
    Specimen("total", lambda: TotalLayer(InputPorts=3, Input1=[2, 2]), backward=True),
    Specimen("array", lambda: NetArrayLayer(Output=[2, 3]), backward=True),
    Specimen("sequence last", lambda: SequenceLastLayer(Input=[3, 2])),
    Specimen("sequence most", lambda: SequenceMostLayer(Input=[3, 2]), backward=True),
    Specimen("sequence rest", lambda: SequenceRestLayer(Input=[2, Restricted("Integer", 3)]), backward=True),
    Specimen("sequence reverse", lambda: SequenceReverseLayer(Input=[3, 2]), backward=True),
    Specimen("sequence indices", lambda: SequenceIndicesLayer(Maximum=2, Input=[3, "Integer"])),
    Specimen("function", lambda: FunctionLayer(lambda x: jnp.sort(x @ x.T, axis=0), Input=[3, 2]), written=False),
    Specimen(
        "function of two",
        lambda: FunctionLayer(lambda a, b: {"Sum": a + b, "Product": a * b}, OutputPorts=["Product", "Sum"], a=[2, 3], b=3),
        written=False,
    ),
    Specimen(
        "function with arrays",
        lambda: FunctionLayer(lambda x: jnp.tanh(NetArray("w", Dimensions=[2, 3]) @ x), Input=3),
        written=False,
    ),
)
