"""Linear, elementwise and structural layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from netdsl import (
    AggregationLayer,
    All,
    Automatic,
    BatchNormalizationLayer,
    CatenateLayer,
    ConstantPlusLayer,
    ConstantTimesLayer,
    DotLayer,
    DropoutLayer,
    ElementwiseLayer,
    EmbeddingLayer,
    ExtractLayer,
    FlattenLayer,
    FlaxLayer,
    FunctionLayer,
    Inherited,
    LinearLayer,
    LocalResponseNormalizationLayer,
    Max,
    NetArray,
    NetArrayLayer,
    NormalizationLayer,
    OrderingLayer,
    ParametricRampLayer,
    Plus,
    Ramp,
    ReshapeLayer,
    Restricted,
    SequenceLastLayer,
    SoftmaxLayer,
    Span,
    SummationLayer,
    Tanh,
    ThreadingLayer,
    Times,
    TotalLayer,
    UnitVectorLayer,
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
    Specimen(
        "threading, aligned by input",
        lambda: ThreadingLayer(Plus, [None, 1, -1], InputPorts=3, Input1=[2, 3], Input2=3, Input3=2),
    ),
    Specimen("parametric ramp", lambda: ParametricRampLayer(Input=[3, 2]), backward=True),
    Specimen("parametric ramp of one slope", lambda: ParametricRampLayer([], Input=3), backward=True),
    Specimen("parametric ramp of levels", lambda: ParametricRampLayer(Span(2, All), Input=[2, 3, 2]), backward=True),
    Specimen("constant plus", lambda: ConstantPlusLayer(Input=[2, 3]), backward=True),
    Specimen("constant times", lambda: ConstantTimesLayer(Input=[2, 3]), backward=True),
    Specimen("flax module", flax_module, written=False),
    Specimen("dropout", lambda: DropoutLayer(0.4, Input=[3, 2]), backward=True, random=True),
    Specimen("alpha dropout", lambda: DropoutLayer(0.4, Method="AlphaDropout", Input=5), backward=True, random=True),
    Specimen("dropout with its mask", lambda: DropoutLayer(0.4, OutputPorts=["BinaryMask", "Output"], Input=[3, 2]), random=True),
    Specimen("softmax", lambda: SoftmaxLayer(Input=[2, 3]), backward=True),
    Specimen("softmax of level 1", lambda: SoftmaxLayer(1, Input=[3, 2]), backward=True),
    Specimen("batch normalization", lambda: BatchNormalizationLayer(Input=[3, 2]), backward=True),
    Specimen(
        "batch normalization, interleaved",
        lambda: BatchNormalizationLayer(Epsilon=0.1, Momentum=0.5, Interleaving=True, Input=[2, 2, 3]),
        backward=True,
    ),
    Specimen("batch normalization of vectors", lambda: BatchNormalizationLayer(Input=3), backward=True),
    Specimen("normalization", lambda: NormalizationLayer(Input=[2, 3, 2]), backward=True),
    Specimen("normalization of each vector", lambda: NormalizationLayer(2, "Same", Unbiased=True, Input=[3, 4]), backward=True),
    Specimen(
        "normalization of groups",
        lambda: NormalizationLayer(Span(1, -1), 1, GroupNumber=2, Epsilon=0.1, Input=[4, 2, 2]),
        backward=True,
    ),
    Specimen(
        "normalization of groups, root mean square",
        lambda: NormalizationLayer([1, 3], [2, 3], GroupNumber=[1, 2], Method="RMS", Biases=None, Input=[2, 3, 4]),
        backward=True,
    ),
    Specimen(
        "local response normalization",
        lambda: LocalResponseNormalizationLayer(Alpha=0.5, Beta=0.75, Input=[6, 2, 1]),
        backward=True,
    ),
    Specimen("flatten", lambda: FlattenLayer(Input=[2, 3, 2])),
    Specimen("flatten the last", lambda: FlattenLayer(-1, Input=[2, 3, 2])),
    Specimen("flatten by lists", lambda: FlattenLayer([[3, 1], [2]], Input=[2, 3, 2])),
    Specimen("flatten, reordering", lambda: FlattenLayer([[2], [1]], Input=[2, 3, 2]), backward=True),
    Specimen("reshape", lambda: ReshapeLayer([3, Automatic], Input=[2, 3])),
    Specimen("reshape, inherited", lambda: ReshapeLayer([Inherited, 3, 2], Input=[2, 6])),
    Specimen("catenate", lambda: CatenateLayer(InputPorts=2, Input1=[2, 3], Input2=[1, 3])),
    Specimen("catenate level 2", lambda: CatenateLayer(2, InputPorts=["a", "b", "c"], a=[2, 1], b=[2, 3], c=[2, 2])),
    Specimen(
        "catenate classes",
        lambda: CatenateLayer(InputPorts=2, Input1=[2, Restricted("Integer", 3)], Input2=[1, Restricted("Integer", 5)]),
    ),
    Specimen("catenate of two ranks", lambda: CatenateLayer(InputPorts=2, Input1=[2, 3], Input2=4)),
    Specimen("aggregation", lambda: AggregationLayer("Mean", Input=[2, 3, 2])),
    Specimen("aggregation of a level", lambda: AggregationLayer(Max, 1, Input=[3, 2])),
    Specimen("aggregation of levels", lambda: AggregationLayer("Median", [1, -1], Input=[2, 2, 3])),
    Specimen("deviations", lambda: AggregationLayer("StandardDeviation", Span(-2, -1), Input=[2, 2, 3])),
    Specimen("summation", lambda: SummationLayer(Input=[2, 3])),
    Specimen("dot", lambda: DotLayer(InputPorts=3, Input1=[2, 3], Input2=[3, 2, 2], Input3=2)),
    Specimen("ordering", lambda: OrderingLayer(Input=[5, Restricted("Integer", 9)])),
    Specimen("ordering of the largest", lambda: OrderingLayer(-2, Input=[5, Restricted("Integer", 9)])),
    Specimen("extract", lambda: ExtractLayer(Input=[3, 4, 2], Position=[2, 2, Restricted("Integer", 3)])),
    Specimen("extract one", lambda: ExtractLayer(Input=[3, 2], Position="Integer")),
    Specimen("unit vector", lambda: UnitVectorLayer(Input=[2, Restricted("Integer", 3)])),
    Specimen("dropout of classes", lambda: DropoutLayer(0.4, Input=[8, "Integer"]), random=True),
    Specimen("total", lambda: TotalLayer(InputPorts=3, Input1=[2, 2]), backward=True),
    Specimen("array", lambda: NetArrayLayer(Output=[2, 3]), backward=True),
    Specimen("sequence last", lambda: SequenceLastLayer(Input=[3, 2])),
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
