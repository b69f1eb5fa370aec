"""From a set's name to its verified arrays: our cache first, then one place after the other."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from netdsl.errors import FormatError, ResourceError, listing
from netdsl.resources.cache import content_sum, data_folder, load, locked, scratch_folder, store
from netdsl.resources.catalogue import DataSet
from netdsl.resources.folders import Folder
from netdsl.resources.progress import Progress
from netdsl.resources.sources import Attempt, Patience, Source

__all__ = ["arrays_of", "problem_with"]


def arrays_of(dataset: DataSet, names: Iterable[str]) -> dict[str, np.ndarray]:
    """These arrays of a set, fetched where the cache lacks them.

    Raises `ResourceError` that lists every place, why it failed, and what to put where, when no place has the set.
    """
    folder = data_folder() / dataset.name
    shapes = {name: dataset.shapes[name] for name in names}
    try:
        cached = load(folder, shapes, dataset.sums)
    except (FormatError, OSError):
        cached = None
    if cached is not None:
        return cached
    with Progress(dataset.name) as progress:
        waiting = f"waiting for another process that is fetching {dataset.name}"
        with locked(data_folder() / f".{dataset.name}.lock", lambda: progress.line(waiting)):
            reason = "it is not there"
            try:
                cached = load(folder, shapes, dataset.sums)  # what the other process brought
            except (FormatError, OSError) as problem:
                reason = str(problem)
                progress.line(f"{reason} It is fetched anew.")
            if cached is None:
                fetched = _fetch(dataset, {f"our cache, {folder}": reason}, progress)
                cached = {name: fetched[name] for name in shapes}
    return cached


def _fetch(dataset: DataSet, failures: dict[str, str], progress: Progress) -> dict[str, np.ndarray]:
    folder = data_folder() / dataset.name
    manual = data_folder() / "manual" / dataset.name
    sources: list[Source] = [Folder(manual, dataset.files, dataset.read), *dataset.sources]
    patience = Patience()
    for source in sources:
        try:
            arrays = _fetch_from(source, dataset, patience, progress)
        except (ResourceError, FormatError, OSError) as problem:
            if getattr(problem, "errno", None) == errno.ENOSPC:
                raise _full(dataset) from None
            failures[source.title] = str(problem).removesuffix(".")
            continue
        _keep(folder, dataset, arrays, progress)
        return arrays
    raise _nowhere(dataset, failures, manual)


def _fetch_from(source: Source, dataset: DataSet, patience: Patience, progress: Progress) -> dict[str, np.ndarray]:
    progress.source(source.title)
    with scratch_folder(data_folder()) as scratch:
        arrays = source.arrays(Attempt(scratch, patience, progress.bytes))
    problem = problem_with(arrays, dataset)
    if problem:
        raise FormatError(f"it is not {dataset.name}: {problem}")
    return arrays


def problem_with(arrays: dict[str, np.ndarray], dataset: DataSet) -> str | None:
    """What is wrong with the arrays that a place gave for a set, or None."""
    for name, shape in dataset.shapes.items():
        if name not in arrays:
            return f"{name} is missing"
        array = arrays[name]
        if array.dtype != np.uint8 or array.shape != shape:
            return f"{name} is {array.dtype} of shape {list(array.shape)}, not bytes of shape {list(shape)}"
        if name in dataset.sums and content_sum(array) != dataset.sums[name]:
            return f"the sum of {name} is {content_sum(array)[:12]}…, not {dataset.sums[name][:12]}…"
    for element in dataset.labelled():
        counts = np.bincount(arrays[element.codes], minlength=len(element.labels))
        if len(counts) > len(element.labels):
            return f"{element.codes} has the code {len(counts) - 1}, and there are {len(element.labels)} classes"
        if dataset.balanced and len(set(counts.tolist())) > 1:
            return f"{element.codes} does not have every class equally often"
    return None


def _keep(folder: Path, dataset: DataSet, arrays: dict[str, np.ndarray], progress: Progress) -> None:
    try:
        store(folder, {name: arrays[name] for name in dataset.shapes})
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            raise _full(dataset) from None
        advice = "Set NETDSL_DATA_DIR to a folder that can be written to."
        progress.line(f"{dataset.name} cannot be kept in {folder}: {problem}. {advice}")
    else:
        progress.finished(dataset.bytes, str(folder))


def _full(dataset: DataSet) -> ResourceError:
    folder = data_folder()
    free = shutil.disk_usage(folder if folder.exists() else folder.anchor or ".").free
    return ResourceError(
        f"ResourceData: no space left for the set {dataset.name} in {folder}. It takes {dataset.bytes / 1e6:,.0f} MB and while "
        f"it is fetched three times that; {free / 1e6:,.0f} MB are free. Make space, or set NETDSL_DATA_DIR to another folder."
    )


def _nowhere(dataset: DataSet, failures: dict[str, str], manual: Path) -> ResourceError:
    lines = [f"ResourceData: the set {dataset.name} could be had from none of {len(failures)} places:"]
    lines += [f"  {title}: {reason}" for title, reason in failures.items()]
    files = listing(file.name for file in dataset.files)
    lines.append(f"Put {files} (from {dataset.homepage}) into {manual} and try again; it will be found there.")
    return ResourceError("\n".join(lines))
