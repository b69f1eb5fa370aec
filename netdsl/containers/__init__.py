"""Containers and operators: nets made of nets."""

from netdsl.containers.chain import NetChain
from netdsl.containers.graph import NetGraph
from netdsl.containers.operators import NetMapOperator
from netdsl.containers.ports import NetPort

__all__ = ["NetChain", "NetGraph", "NetMapOperator", "NetPort"]
