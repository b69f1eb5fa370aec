"""How each operator of ONNX is said by layers: one function an operator, of its inputs in order and its attributes by name.

It gives the outputs in order, those that layers have. An attribute that a function does not take is an error, never ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from netdsl import *
from netdsl import Max, Min, Round

CONVERSIONS: dict[str, Callable[..., Any]] = {}


def operator(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What stands for these operators; of several names the function gets the one that is meant first."""

    def kept(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            CONVERSIONS[name] = (
                function if len(names) == 1 else lambda *inputs, _name=name, **options: function(_name, *inputs, **options)
            )
        return function

    return kept


def real(x: Any) -> np.ndarray:
    """The array as netdsl takes it: no float64, no bfloat16."""
    return x if x.dtype == np.float32 or x.dtype.kind in "iub" else x.astype(np.float32)


def each(layer: Callable[..., Any], *arguments: Any, mode: str = "Test", **inputs_and_options: Any) -> np.ndarray:
    """A layer's values for a batch: what is given in small letters are options, the rest ports of batches."""
    options = inputs_and_options.pop("options", {})
    inputs = {port: real(value) for port, value in inputs_and_options.items()}
    types = {port: [*x.shape[1:], "Integer" if x.dtype.kind == "i" else "Real"] for port, x in inputs.items()}
    net = layer(*arguments, **options, **types)
    made = net(inputs, NetEvaluationMode=mode)
    return made if isinstance(made, dict) else np.asarray(made)


def whole(net: Any, *inputs: Any) -> np.ndarray:
    """The net's value for one example, which may have several inputs."""
    return np.asarray(net(dict(zip(net.input_names, map(real, inputs)))))


def level(axis: int, rank: int) -> int:
    """The level, from 1, of an axis that may be negative."""
    return axis % rank + 1


def moved(x: Any, axis: int, to: int) -> np.ndarray:
    """The array with one axis in another place, by a TransposeLayer."""
    order = [k for k in range(x.ndim) if k != axis % x.ndim]
    order.insert(to % x.ndim, axis % x.ndim)
    return whole(TransposeLayer([order.index(k) + 1 for k in range(x.ndim)]), x)


# One number after another

ELEMENTWISE: dict[str, Any] = {
    "Abs": Abs, "Acos": ArcCos, "Acosh": ArcCosh, "Asin": ArcSin, "Asinh": ArcSinh, "Atan": ArcTan, "Atanh": ArcTanh,
    "Ceil": Ceiling, "Cos": Cos, "Cosh": Cosh, "Erf": Erf, "Exp": Exp, "Floor": Floor, "Log": Log, "Neg": lambda x: -x,
    "Reciprocal": lambda x: 1 / x, "Relu": Ramp, "Round": Round, "Sigmoid": LogisticSigmoid, "Sign": Sign, "Sin": Sin,
    "Sinh": Sinh, "Sqrt": Sqrt, "Tan": Tan, "Tanh": Tanh, "HardSwish": "HardSwish", "Mish": "Mish", "Softplus": "SoftPlus",
    "Softsign": "SoftSign", "Not": lambda x: x == 0,
}  # fmt: skip


@operator(*ELEMENTWISE)
def elementwise(name: str, x: Any) -> Any:
    return whole(ElementwiseLayer(ELEMENTWISE[name]), x)


@operator("Elu")
def elu(x: Any) -> Any:
    return whole(ElementwiseLayer("ELU"), x)


@operator("Selu")
def selu(x: Any) -> Any:
    return whole(ElementwiseLayer("SELU"), x)


@operator("Gelu")
def gelu(x: Any) -> Any:
    return whole(ElementwiseLayer("GELU"), x)


@operator("Swish")
def swish(x: Any, alpha: float) -> Any:
    assert alpha == 1
    return whole(ElementwiseLayer("Swish"), x)


@operator("HardSigmoid")
def hard_sigmoid(x: Any, alpha: float, beta: float) -> Any:
    assert (alpha, beta) == (0.5, 0.5)
    return whole(ElementwiseLayer("HardSigmoid"), x)


@operator("Clip")
def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    bounds = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
    return whole(ElementwiseLayer(lambda y: Clip(y, bounds)), x)


@operator("LeakyRelu")
def leaky_relu(x: Any, alpha: float = 0.01) -> Any:
    return whole(ParametricRampLayer([], Slope=alpha), x)


@operator("PRelu")
def parametric_ramp(x: Any, slope: Any) -> Any:
    return whole(ParametricRampLayer(Span(x.ndim - slope.ndim + 1, x.ndim), Slope=slope), x)


@operator("Dropout")
def dropout(x: Any, rate: Any = 0.5, training: Any = False, *, seed: int = 0, ratio: float = 0.5) -> Any:
    layer = DropoutLayer(min(float(rate), ratio), OutputPorts=["Output", "BinaryMask"])
    made = layer(real(x), NetEvaluationMode="Train" if training else "Test")
    return made["Output"], made["BinaryMask"]


@operator("Identity")
def identity(x: Any) -> Any:
    return whole(ElementwiseLayer(lambda y: y), x)


THREADED: dict[str, Any] = {
    "Add": Plus, "Sub": Subtract, "Mul": Times, "Div": Divide, "Pow": Power, "Mod": Mod, "Max": Max, "Min": Min,
    "Mean": lambda *xs: sum(xs) / len(xs), "And": And, "Or": Or, "Xor": lambda a, b: Unequal(a, b), "Equal": Equal,
    "Greater": Greater, "GreaterOrEqual": GreaterEqual, "Less": Less, "LessOrEqual": LessEqual, "Where": If,
}  # fmt: skip


@operator(*THREADED)
def threaded(name: str, *inputs: Any, fmod: int = 0) -> Any:
    assert not fmod
    function = (lambda a, b: Mod(a, b)) if name == "Mod" else THREADED[name]
    return whole(ThreadingLayer(function, 1, InputPorts=len(inputs)), *inputs)


@operator("Sum")
def total(*inputs: Any) -> Any:
    return whole(TotalLayer(InputPorts=len(inputs)), *inputs)


# Convolution and pooling


def sliding(
    x: Any, kernel: Any, *, auto_pad: str = "NOTSET", pads: Any = None, strides: Any = None, dilations: Any = None
) -> dict[str, Any]:
    """The options of a layer that slides a kernel over an array."""
    n = len(kernel)
    strides = list(strides or [1] * n)
    padding: Any = [list(pair) for pair in zip(pads[:n], pads[n:])] if pads else 0
    if auto_pad == "SAME_UPPER":
        padding = "Same"
    elif auto_pad == "SAME_LOWER":
        totals = [max((-(-d // s) - 1) * s + k - d, 0) for d, s, k in zip(x.shape[2:], strides, kernel)]
        padding = [[sum_ - sum_ // 2, sum_ // 2] for sum_ in totals]
    return {"PaddingSize": padding, "Stride": strides} | ({"Dilation": list(dilations)} if dilations else {})


@operator("Conv")
def convolution(x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, group: int = 1, **how: Any) -> Any:
    options = {"Weights": w, "Biases": b, "ChannelGroups": group} | sliding(x, w.shape[2:], **how)
    return each(ConvolutionLayer, len(w), w.shape[2:], Input=x, options=options)


@operator("ConvTranspose")
def deconvolution(
    x: Any, w: Any, b: Any = None, *, group: int = 1, auto_pad: str = "NOTSET", strides: Any = None, **how: Any
) -> Any:
    kernel = w.shape[2:]
    if auto_pad == "SAME_UPPER":  # what is cropped, so that sizes become stride times as large
        excess = [k - s for k, s in zip(kernel, strides)]
        how["pads"] = [e // 2 for e in excess] + [e - e // 2 for e in excess]
    options = {"Weights": w, "Biases": b, "ChannelGroups": group} | sliding(x, kernel, strides=strides, **how)
    return each(DeconvolutionLayer, w.shape[1] * group, kernel, Input=x, options=options)


@operator("MaxPool", "AveragePool")
def pooling(name: str, x: Any, *, kernel_shape: Any, count_include_pad: int = 0, storage_order: int = 0, **how: Any) -> Any:
    options = sliding(x, kernel_shape, **how)
    assert name == "MaxPool" or count_include_pad or options["PaddingSize"] == 0
    stride = options.pop("Stride")
    options["Function"] = Max if name == "MaxPool" else Mean
    return each(PoolingLayer, list(kernel_shape), stride, Input=x, options=options)


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pooling(name: str, x: Any) -> Any:
    made = each(AggregationLayer, Mean if name == "GlobalAveragePool" else Max, Input=x)
    return made.reshape(made.shape + (1,) * (x.ndim - 2))


@operator("Resize", "Upsample")
def resize(
    name: str,
    x: Any,
    *given: Any,
    mode: str,
    coordinate_transformation_mode: str = "half_pixel",
    axes: Any = None,
) -> Any:
    scales, sizes = (given[0], None) if name == "Upsample" else (given[1], given[2] if len(given) > 2 else None)
    axes = range(4) if axes is None else axes
    wanted: dict[int, Any] = dict(zip(axes, [int(n) for n in sizes] if sizes is not None else [Scaled(float(s)) for s in scales]))
    scheme = "Point" if coordinate_transformation_mode == "align_corners" else "Bin"
    options = {"Resampling": mode.capitalize(), "Scheme": scheme}
    return each(ResizeLayer, [wanted.get(2, All), wanted.get(3, All)], Input=x, options=options)


@operator("AffineGrid")
def affine_grid(theta: Any, size: Any, *, align_corners: int) -> Any:
    """The places are seen in a picture of its own coordinates; all are made less, so that they are inside it."""
    assert align_corners
    h, w = (int(n) for n in size[2:])
    v, u = np.meshgrid(*[np.linspace(-1, 1, 5, dtype=np.float32)] * 2, indexing="ij")
    pictures = np.broadcast_to(np.stack([u, v]), (len(theta), 2, 5, 5))
    made = each(SpatialTransformationLayer, [h, w], Input=pictures, Parameters=theta.reshape(-1, 6) / 32)
    return np.moveaxis(made, 1, -1) * 32


@operator("GridSample")
def grid_sample(x: Any, grid: Any, *, align_corners: int, mode: str) -> Any:
    """One place after another, each as the translation of a picture of one element."""
    assert align_corners
    assert mode == "linear"
    assert len(x) == 1
    places = grid.reshape(-1, 2)
    parameters = np.zeros((len(places), 6), np.float32)
    parameters[:, [2, 5]] = places
    made = each(SpatialTransformationLayer, [1, 1], Input=np.repeat(x, len(places), 0), Parameters=parameters)
    return np.moveaxis(made.reshape(*grid.shape[:-1], -1), -1, 1)


@operator("CenterCropPad")
def center_crop(x: Any, shape: Any) -> Any:
    return moved(whole(ImageAugmentationLayer([int(n) for n in shape[:2]]), moved(x, 2, 0)), 0, 2)


# Normalization


@operator("BatchNormalization")
def batch_normalization(
    x: Any, scale: Any, bias: Any, mean: Any, variance: Any, *, epsilon: float = 1e-5, training_mode: int = 0
) -> Any:
    net = BatchNormalizationLayer(
        Epsilon=epsilon, Scaling=scale, Biases=bias, MovingMean=mean, MovingVariance=variance, Input=x.shape[1:]
    )
    made, state = net.function()(net.arrays, net.state, jnp.asarray(x), training=bool(training_mode))
    return made, state[("MovingMean",)], state[("MovingVariance",)]


@operator("InstanceNormalization")
def instance_normalization(x: Any, scale: Any, bias: Any, *, epsilon: float = 1e-5) -> Any:
    return each(NormalizationLayer, Input=x, options={"Epsilon": epsilon, "Scaling": scale, "Biases": bias})


@operator("GroupNormalization")
def group_normalization(x: Any, scale: Any, bias: Any, *, num_groups: int, epsilon: float = 1e-5) -> Any:
    options = {"Epsilon": epsilon, "Scaling": scale, "Biases": bias, "GroupNumber": num_groups}
    return each(NormalizationLayer, Span(1, All), 1, Input=x, options=options)


@operator("LayerNormalization", "RMSNormalization")
def layer_normalization(name: str, x: Any, w: Any, b: Any = None, *, axis: int = -1, epsilon: float = 1e-5) -> Any:
    method = "RMS" if name == "RMSNormalization" else "Standardize"
    levels = Span(level(axis, x.ndim), All)
    return whole(NormalizationLayer(levels, "Same", Epsilon=epsilon, Scaling=w, Biases=b, Method=method), x)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(x: Any) -> Any:
    return whole(NormalizationLayer([1, 3, 4], Epsilon=0, Scaling=None, Biases=None), x)


@operator("LRN")
def local_response(x: Any, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Any:
    options = {"Alpha": alpha, "Beta": beta, "Bias": bias, "ChannelWindowSize": size // 2}
    return each(LocalResponseNormalizationLayer, Input=x, options=options)


@operator("Softmax")
def softmax(x: Any, *, axis: int = -1) -> Any:
    return whole(SoftmaxLayer(level(axis, x.ndim)), x)


@operator("LogSoftmax")
def log_softmax(x: Any, *, axis: int = -1) -> Any:
    return whole(NetChain([SoftmaxLayer(level(axis, x.ndim)), Log]), x)


# Products


@operator("Gemm")
def affine(a: Any, b: Any, c: Any = None, *, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0) -> Any:
    a, b = (whole(TransposeLayer(), m) if yes else m for m, yes in ((a, transA), (b, not transB)))
    assert c is None or c.size in (1, len(b))
    biases = None if c is None else beta * np.broadcast_to(c.reshape(-1), (len(b),))
    return each(LinearLayer, Input=a, options={"Weights": alpha * b, "Biases": biases})


@operator("MatMul")
def product(a: Any, b: Any) -> Any:
    if a.ndim < 3 or b.ndim == 1:
        return whole(DotLayer(InputPorts=2), a, b)
    net: Any = DotLayer(InputPorts=2)
    net = NetMapThreadOperator(net, a.ndim - 2)
    return whole(net, a, b)


# Levels


@operator("Transpose")
def transpose(x: Any, *, perm: Any = None) -> Any:
    perm = list(range(x.ndim))[::-1] if perm is None else list(perm)
    return whole(TransposeLayer([perm.index(k) + 1 for k in range(x.ndim)]), x)


@operator("Concat")
def catenate(*inputs: Any, axis: int) -> Any:
    return whole(CatenateLayer(level(axis, inputs[0].ndim), InputPorts=len(inputs)), *inputs)


@operator("Flatten")
def flatten(x: Any, *, axis: int = 1) -> Any:
    first = range(1, axis % x.ndim + 1)
    if not first:
        return whole(NetChain([FlattenLayer(), ReplicateLayer(1)]), x)
    return whole(FlattenLayer([list(first), list(range(len(first) + 1, x.ndim + 1))]), x)


@operator("Reshape")
def reshape(x: Any, shape: Any) -> Any:
    return whole(ReshapeLayer([{0: Inherited, -1: Automatic}.get(int(n), int(n)) for n in shape]), x)


@operator("Squeeze")
def squeeze(x: Any, axes: Any) -> Any:
    gone = {level(int(axis), x.ndim) for axis in axes}
    return whole(PartLayer([1 if k in gone else All for k in range(1, x.ndim + 1)]), x)


@operator("Unsqueeze")
def unsqueeze(x: Any, axes: Any) -> Any:
    for place in sorted(level(int(axis), x.ndim + len(axes)) for axis in axes):
        x = whole(ReplicateLayer(1, place), x)
    return x


@operator("Expand")
def expand(x: Any, shape: Any) -> Any:
    """What is left out in front, and what is stretched, is new; the one that was stretched goes."""
    shape = np.broadcast_shapes(x.shape, tuple(map(int, shape)))
    x = whole(ReplicateLayer(list(shape[: len(shape) - x.ndim])), x) if len(shape) > x.ndim else x
    for k, (have, wanted) in enumerate(zip(x.shape, shape), 1):
        if have != wanted:
            x = whole(NetChain([PartLayer([All] * (k - 1) + [1]), ReplicateLayer(wanted, k)]), x)
    return x


@operator("Tile")
def tile(x: Any, repeats: Any) -> Any:
    for k, times in enumerate(map(int, repeats), 1):
        together = [[n] for n in range(1, k)] + [[k, k + 1]]
        x = whole(NetChain([ReplicateLayer(times, k), FlattenLayer(together)]), x)
    return x


@operator("Pad")
def pad(x: Any, pads: Any, value: Any = None, axes: Any = None, *, mode: str) -> Any:
    pairs = [[0, 0] for _ in x.shape]
    axes = range(x.ndim) if axes is None else axes
    for axis, *pair in zip(axes, pads[: len(axes)], pads[len(axes) :]):
        pairs[int(axis)] = [int(n) for n in pair]
    how = float(value) if mode == "constant" else {"edge": "Fixed", "reflect": "Reflected"}[mode]
    return whole(PaddingLayer(pairs, Padding=how), x)


@operator("Slice")
def part(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    taken: list[Any] = [All] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    for axis, start, end, step in zip(axes, starts, ends, [1] * len(starts) if steps is None else steps):
        start, end, step = slice(int(start), int(end), int(step)).indices(x.shape[axis])
        taken[int(axis)] = Span(start + 1, end if step > 0 else end + 2, step)
    return whole(PartLayer(taken), x)


@operator("Split")
def split(x: Any, sizes: Any = None, *, axis: int = 0, num_outputs: int = 3) -> Any:
    ceiling = -(-x.shape[axis] // num_outputs)
    ends = np.cumsum(sizes) if sizes is not None else [min((k + 1) * ceiling, x.shape[axis]) for k in range(num_outputs)]
    starts = [0, *ends[:-1]]
    return tuple(whole(PartLayer([All] * axis + [Span(int(a) + 1, int(b))]), x) for a, b in zip(starts, ends))


@operator("Gather")
def gather(x: Any, indices: Any, *, axis: int) -> Any:
    """Rows of a matrix by EmbeddingLayer; else parts of each example, or of the whole."""
    positions = np.where(indices < 0, indices, indices + 1)
    if axis == 0 and x.ndim == 2:
        return whole(EmbeddingLayer(Weights=x), positions)
    positions = positions[..., None].astype(np.int32)
    if axis == 0:
        return whole(ExtractLayer(), x, positions)
    return each(ExtractLayer, Input=x, Position=np.broadcast_to(positions, (len(x), *positions.shape)))


@operator("GatherND")
def gather_parts(x: Any, indices: Any, *, batch_dims: int = 0) -> Any:
    positions = (indices + 1).astype(np.int32)
    return each(ExtractLayer, Input=x, Position=positions) if batch_dims else whole(ExtractLayer(), x, positions)


@operator("ReverseSequence")
def reverse_sequence(x: Any, lengths: Any, *, batch_axis: int, time_axis: int) -> Any:
    """What is beyond a sequence's end is not the layer's: it is put back."""
    made = real(x).copy() if batch_axis == 0 else moved(real(x), 1, 0).copy()
    layer = SequenceReverseLayer(Input=["Varying"])
    for row, turned in zip(made, layer([row[:n] for row, n in zip(made, lengths)])):
        row[: len(turned)] = turned
    return made if batch_axis == 0 else moved(made, 0, 1)


# Aggregation and order


@operator("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2",
          "ReduceLogSum", "ReduceLogSumExp")  # fmt: skip
def reduce(name: str, x: Any, axes: Any = None, *, keepdims: int = 1) -> Any:
    before, function, after = {
        "ReduceSum": (None, Total, None), "ReduceMean": (None, Mean, None), "ReduceMax": (None, Max, None),
        "ReduceMin": (None, Min, None), "ReduceProd": (None, Times, None), "ReduceL1": (Abs, Total, None),
        "ReduceSumSquare": (lambda y: y**2, Total, None), "ReduceL2": (lambda y: y**2, Total, Sqrt),
        "ReduceLogSum": (None, Total, Log), "ReduceLogSumExp": (Exp, Total, Log),
    }[name]  # fmt: skip
    axes = range(x.ndim) if axes is None or not len(axes) else [int(axis) % x.ndim for axis in axes]
    layers = [before, AggregationLayer(function, [axis + 1 for axis in axes]), after]
    made = whole(NetChain([layer for layer in layers if layer is not None]), x)
    return np.expand_dims(made, tuple(axes)) if keepdims else made


@operator("ArgMax", "ArgMin")
def argument(name: str, x: Any, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Any:
    """The last of a vector in increasing order is the last of the greatest; the first is the first of the least."""
    rows = moved(x, axis, -1)
    made = each(OrderingLayer, -1 if name == "ArgMax" else 1, Input=rows.reshape(-1, rows.shape[-1])) - 1
    made = made.reshape(rows.shape[:-1])
    return np.expand_dims(made, axis) if keepdims else made


@operator("TopK")
def top(x: Any, k: Any, *, axis: int, largest: int = 1, sorted: int = 1) -> Any:
    k = int(k[0])
    rows = moved(real(x), axis, -1)
    vectors = rows.reshape(-1, rows.shape[-1])
    places = each(OrderingLayer, -k if largest else k, Input=vectors)
    places = places[:, ::-1] if largest else places
    values = each(ExtractLayer, Input=vectors, Position=places[..., None])
    return tuple(np.moveaxis(made.reshape(*rows.shape[:-1], k), -1, axis) for made in (values, places - 1))


@operator("OneHot")
def one_hot(x: Any, depth: Any, values: Any, *, axis: int = -1) -> Any:
    off, on = (float(value) for value in values)
    net = NetChain([UnitVectorLayer(int(depth)), lambda y: off + (on - off) * y])
    return moved(np.asarray(net(x.astype(np.int32) + 1)), -1, axis)


@operator("Det")
def determinant(x: Any) -> Any:
    return whole(FunctionLayer(Det), x) if x.ndim == 2 else each(FunctionLayer, Det, Input=x)


# Losses


@operator("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss")
def cross_entropy(name: str, x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """One example is all there is for the mean; for the others each place is one."""
    before: Any = SoftmaxLayer() if name == "SoftmaxCrossEntropyLoss" else ElementwiseLayer(Exp)
    last = moved(x, 1, -1)
    logs = moved(whole(NetChain([SoftmaxLayer(), Log]), last), -1, 1)

    def net(**ports: Any) -> Any:
        edges = [("before", NetPort("loss", "Input"))]
        return NetGraph({"before": before, "loss": CrossEntropyLossLayer("Index")}, edges, **ports)

    if reduction == "mean":
        return each(net, Input=last[None], Target=target[None] + 1)[0], logs
    losses = each(net, Input=last.reshape(-1, last.shape[-1]), Target=target.reshape(-1) + 1).reshape(target.shape)
    return (whole(SummationLayer(), losses) if reduction == "sum" else losses), logs


# Sequences and attention

GATES = {
    "RNN": (BasicRecurrentLayer, [""]),
    "GRU": (GatedRecurrentLayer, ["InputGate", "ResetGate", "MemoryGate"]),
    "LSTM": (LongShortTermMemoryLayer, ["InputGate", "OutputGate", "ForgetGate", "MemoryGate"]),
}
"""The layers, and their gates in ONNX's order."""


@operator(*GATES)
def recurrent(
    name: str,
    x: Any,
    w: Any,
    r: Any,
    b: Any = None,
    *,
    hidden_size: int,
    direction: str = "forward",
    layout: int = 0,
    linear_before_reset: int = 0,
) -> Any:
    """All outputs, and the last; ONNX has two biases, of which the layer has the sum."""
    kind, gates = GATES[name]
    x = x if layout else moved(x, 1, 0)
    assert name != "GRU" or linear_before_reset or x.shape[1] == 1  # one step from 0 has nothing to reset
    biases = np.zeros((len(w), 2 * w.shape[1]), np.float32) if b is None else b
    made = []
    for i in range(len(w)):
        first, second = np.split(biases[i], 2)
        assert name != "GRU" or not second[-hidden_size:].any()  # what is reset is without a bias
        arrays = {}
        for gate, *parts in zip(gates, *(np.split(m, len(gates)) for m in (w[i], r[i], first + second))):
            arrays |= {gate + what: part for what, part in zip(("InputWeights", "StateWeights", "Biases"), parts)}
        made.append(kind(hidden_size, **arrays))
    net = made[0]
    if direction == "reverse":
        net = NetChain([SequenceReverseLayer(), made[0], SequenceReverseLayer()])
    elif direction == "bidirectional":
        net = NetBidirectionalOperator(made)
    y = each(lambda Input: NetReplacePart(net, {"Input": Input}), Input=x)
    y = y.reshape(*y.shape[:2], len(w), hidden_size)
    last = [y[:, 0 if i or direction == "reverse" else -1, i] for i in range(len(w))]
    if layout:
        return y, np.stack(last, 1)
    return y.transpose(1, 2, 0, 3), np.stack(last)


@operator("Attention")
def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    scale: float | None = None,
    softcap: float = 0.0,
    is_causal: int = 0,
    q_num_heads: int = 0,
    kv_num_heads: int = 0,
    left_window_size: int = -1,
    right_window_size: int = -1,
) -> Any:
    """Heads are the level before the last; a scale is a matrix that scores, a cap a net that does."""
    q, k, v = map(real, (q, k, v))
    assert q_num_heads == kv_num_heads
    if flat := q.ndim == 3:
        q, k, v = (x.reshape(*x.shape[:2], kv_num_heads, -1) for x in (q, k, v))
    else:
        q, k, v = (moved(x, 1, 2) for x in (q, k, v))
    assert not is_causal or q.shape[1] == k.shape[1]
    options: dict[str, Any] = {"MultiHead": True, "Mask": "Causal" if is_causal else None}
    size = q.shape[-1]
    if softcap:
        capped = FunctionLayer(lambda Input, Query: softcap * Tanh(Dot(Input, Query) / (math.sqrt(size) * softcap)))
        made = each(AttentionLayer, capped, Key=k, Value=v, Query=q, options=options)
    elif scale is not None:
        made = each(
            AttentionLayer, Key=k, Value=v, Query=q, options=options | {"Weights": scale * np.eye(size, dtype=np.float32)}
        )
    else:
        made = each(AttentionLayer, "Dot", Key=k, Value=v, Query=q, options=options | {"ScoreRescaling": "DimensionSqrt"})
    return made.reshape(*made.shape[:2], -1) if flat else np.moveaxis(made, 2, 1)
