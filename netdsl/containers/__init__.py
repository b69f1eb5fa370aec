"""Containers and operators: nets made of nets."""

from netdsl.containers.chain import NetChain
from netdsl.containers.comparing import NetGANOperator, NetPairEmbeddingOperator
from netdsl.containers.folding import NetBidirectionalOperator, NetFoldOperator, NetNestOperator
from netdsl.containers.graph import NetGraph
from netdsl.containers.mapping import NetMapOperator, NetMapThreadOperator
from netdsl.containers.ports import NetPort, NetPortGradient

__all__ = [
    "NetBidirectionalOperator",
    "NetChain",
    "NetFoldOperator",
    "NetGANOperator",
    "NetGraph",
    "NetMapOperator",
    "NetMapThreadOperator",
    "NetNestOperator",
    "NetPairEmbeddingOperator",
    "NetPort",
    "NetPortGradient",
]
