"""From programs to JAX functions: execution, kernels, compilation and evaluation."""

from netdsl.lowering.compilation import compilations, compiled, note_trace
from netdsl.lowering.evaluation import declared_net, evaluate
from netdsl.lowering.function import net_function, run_batch, skeleton
from netdsl.lowering.identity import program_key
from netdsl.lowering.inputs import PortData, check_integers, check_lengths, given_ports, pad_sequences, port_data
from netdsl.lowering.settings import device_named

__all__ = [
    "PortData",
    "check_integers",
    "check_lengths",
    "compilations",
    "compiled",
    "declared_net",
    "device_named",
    "evaluate",
    "given_ports",
    "net_function",
    "note_trace",
    "pad_sequences",
    "port_data",
    "program_key",
    "run_batch",
    "skeleton",
]
