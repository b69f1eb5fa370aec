"""The data of a training in whatever form they are given, and those held out for validation."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.attachment import TrainingNet
from netdsl.columns import Column, Rows, Table, is_folder, table
from netdsl.errors import DataError, DeclarationError, excerpt
from netdsl.nets import Net
from netdsl.resources import ResourceData
from netdsl.symbols import Scaled
from netdsl.training.capacity import bytes_of_examples, fits
from netdsl.training.generators import Generated, generated

if TYPE_CHECKING:
    from netdsl.training.processes import Hosts

__all__ = ["refuse_guessed_labels", "skipping", "source", "split"]


def skipping(value: Any) -> bool:
    """The value of SkipInvalidExamples."""
    if not isinstance(value, bool):
        raise DeclarationError(f"SkipInvalidExamples is True or False. Got {excerpt(value)}.")
    return value


def source(data: Any, what: str, element: str, batch_size: int, hosts: Hosts, skip: bool = False) -> Table | Generated:
    """The data in whatever form: columns, rows that are read when they are needed, or what gives batches."""
    if isinstance(data, str) and not is_folder(data):
        data = ResourceData(data, element)
    found = generated(data, what, batch_size)
    if found is not None:
        return found
    rows = table(data, what)
    if isinstance(rows, Rows):
        each = bytes_of_examples(rows.sample()) / min(len(rows), len(rows.sample()))
        return rows if skip or hosts.any(not fits(each * len(rows), None)) else rows.read()
    return rows


def refuse_guessed_labels(net: Net, training: TrainingNet, data: Table | Generated, sample: Table) -> None:
    """Refuse classes that were found in the first examples only, where the others are read later."""
    if not isinstance(data, (Generated, Rows)):
        return
    for port in net.output_names:
        decoder = training.net.decoder(port)
        column = sample.columns().get("targets" if sample.ports is None else port)
        if net.decoder(port) is None and decoder is not None and decoder.kind == "Class" and not isinstance(column, Column):
            raise DataError(
                f"The targets {excerpt(column)} are labels, and which there are is not known before all are read. Declare them: "
                f'{port}=NetDecoder("Class", [...]).'
            )


def split(
    data: Table | Generated, validation: Any, seed: int, size: int, hosts: Hosts
) -> tuple[Table | Generated, Table | Generated | None]:
    """Training and validation data; Scaled holds a random fraction out."""
    if validation is None:
        return data, None
    if isinstance(validation, Scaled):
        fraction = validation.fraction
        if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 < fraction < 1:
            raise DeclarationError(f"ValidationSet={validation!r}: the fraction is a number between 0 and 1.")
        if isinstance(data, Generated):
            raise DataError(f"ValidationSet={validation!r}: of batches that are given one by one nothing is held out. Give data.")
        held = max(round(len(data) * fraction), 1)
        if held >= len(data):
            raise DataError(
                f"ValidationSet={validation!r} of {len(data)} example{'s' * (len(data) > 1)} leaves none to train on."
            )
        order = np.random.default_rng([seed, 1]).permutation(len(data))
        return data.taken(np.sort(order[held:])), data.taken(np.sort(order[:held]))
    if isinstance(validation, Real) and not isinstance(validation, bool):
        raise DataError(f"ValidationSet is data, or Scaled({validation}) for a part of the training data. Got {validation!r}.")
    return data, source(validation, "validation data", "TestData", size, hosts)
