"""Containers and operators: nets made of nets."""

from netdsl.containers.chain import NetChain
from netdsl.containers.graph import NetGraph
from netdsl.containers.operators import (
    NetBidirectionalOperator,
    NetFoldOperator,
    NetGANOperator,
    NetMapOperator,
    NetMapThreadOperator,
    NetNestOperator,
    NetPairEmbeddingOperator,
)
from netdsl.containers.ports import NetPort

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
]
