"""From programs to JAX functions: execution, kernels, compilation and evaluation."""

from netdsl.lowering.compilation import compilations, compiled, note_trace
from netdsl.lowering.cores import DEVICES, WHOLE, alone, cores_for, placed, size_of, split_over
from netdsl.lowering.cost import multiply_adds
from netdsl.lowering.devices import device_named, devices_named, devices_of_all
from netdsl.lowering.evaluation import declared_net, evaluate
from netdsl.lowering.exhaustion import Attempt, bytes_of, explained, wire_elements
from netdsl.lowering.function import net_function, run_batch, skeleton
from netdsl.lowering.identity import program_key
from netdsl.lowering.inputs import PortData, check_integers, check_lengths, given_ports, length_bucket, pad_sequences, port_data
from netdsl.lowering.precision import REAL32, Precision, cast, precision_named

__all__ = [
    "DEVICES",
    "REAL32",
    "WHOLE",
    "Attempt",
    "PortData",
    "Precision",
    "alone",
    "bytes_of",
    "cast",
    "check_integers",
    "check_lengths",
    "compilations",
    "compiled",
    "cores_for",
    "declared_net",
    "device_named",
    "devices_named",
    "devices_of_all",
    "evaluate",
    "explained",
    "given_ports",
    "length_bucket",
    "multiply_adds",
    "net_function",
    "note_trace",
    "pad_sequences",
    "placed",
    "port_data",
    "precision_named",
    "program_key",
    "run_batch",
    "size_of",
    "skeleton",
    "split_over",
    "wire_elements",
]
