"""The page that says for each symbol of the Wolfram framework whether it is there, and how it differs.

The symbols stand here, by section; what is there and how it differs is read from netdsl itself when the docs are built.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from reference_pages import Entry, heading, label

__all__ = ["WOLFRAM", "Row", "coverage", "coverage_page"]

WOLFRAM = {
    "Containers and evaluation": "NetChain NetGraph NetPort NetPortGradient NetArray NetInitialize NetStateObject",
    "Operators": "NetMapOperator NetMapThreadOperator NetFoldOperator NetNestOperator NetBidirectionalOperator "
    "NetPairEmbeddingOperator NetGANOperator NetUnfold NetInsertSharedArrays",
    "Surgery": "NetExtract NetReplacePart NetReplace NetTake NetDrop NetAppend NetPrepend NetInsert NetDelete NetJoin NetFlatten "
    "NetRename Information",
    "Training and measurements": "NetTrain NetTrainResultsObject NetMeasurements ClassifierMeasurements "
    "ClassifierMeasurementsObject PredictorMeasurements PredictorMeasurementsObject",
    "Data, models and files": "ResourceData ResourceObject ExampleData NetModel NetExternalObject Import Export",
    "Basic layers": "LinearLayer SoftmaxLayer ElementwiseLayer ThreadingLayer ParametricRampLayer RandomArrayLayer FunctionLayer "
    "CompiledLayer PlaceholderLayer",
    "Structure of arrays": "CatenateLayer AppendLayer PrependLayer FlattenLayer ReshapeLayer ReplicateLayer TransposeLayer PaddingLayer "
    "PartLayer ExtractLayer OrderingLayer AggregationLayer SummationLayer TotalLayer DotLayer NetArrayLayer UnitVectorLayer "
    "EmbeddingLayer",
    "Sequences": "SequenceLastLayer SequenceMostLayer SequenceRestLayer SequenceReverseLayer SequenceIndicesLayer",
    "Convolution, pooling, pictures": "ConvolutionLayer DeconvolutionLayer PoolingLayer ResizeLayer SpatialTransformationLayer "
    "ImageAugmentationLayer",
    "Normalization and regularization": "BatchNormalizationLayer NormalizationLayer LocalResponseNormalizationLayer DropoutLayer",
    "Recurrent layers and attention": "BasicRecurrentLayer GatedRecurrentLayer LongShortTermMemoryLayer AttentionLayer",
    "Loss layers": "MeanSquaredLossLayer MeanAbsoluteLossLayer CrossEntropyLossLayer CTCLossLayer ContrastiveLossLayer",
    "Names of older versions": "ConstantArrayLayer ConstantPlusLayer ConstantTimesLayer InstanceNormalizationLayer DotPlusLayer "
    "SequenceAttentionLayer NetSharedArray NetInformation",
    "Encoders": "Boolean Class Image Image3D VideoFrames Characters Tokens SubwordTokens UTF8 Audio AudioSTFT AudioSpectrogram "
    "AudioMelSpectrogram AudioMFCC Function FeatureExtractor Scalar",
    "Decoders": "Boolean Class Characters Tokens SubwordTokens CTCBeamSearch Image Image3D Function Scalar",
}
"""The symbols of the framework, and the kinds of encoders and decoders, by section."""

CODERS = {"Encoders": "NetEncoder", "Decoders": "NetDecoder"}


class Row(NamedTuple):
    """A symbol: how it is written, its page's entry where it is there, and how it differs from Wolfram's."""

    name: str
    entry: Entry | None
    differences: str


def coverage(entries: list[Entry]) -> dict[str, list[Row]]:
    """The rows by section."""
    found = {entry.name: entry for entry in entries}
    return {section: [_row(section, name, found) for name in names.split()] for section, names in WOLFRAM.items()}


def _row(section: str, name: str, found: dict[str, Entry]) -> Row:
    coder = CODERS.get(section)
    entry = found.get(f"{coder}-{name}" if coder else name)
    written = f'{coder}("{name}")' if coder else name
    return Row(written, entry, "" if entry is None else _differences(entry.doc))


def _differences(doc: str) -> str:
    """What a docstring says of the differences; nothing where none are known."""
    section = re.search(r"Differences from Wolfram: (.*?)(?=\s+Source: |\n\n|\Z)", doc, re.DOTALL)
    words = " ".join(section[1].split()).rstrip(".") if section else ""
    return "" if words == "none known" else words[:1].upper() + words[1:]


def coverage_page(entries: list[Entry]) -> str:
    """The page as reStructuredText."""
    sections = coverage(entries)
    rows = [row for each in sections.values() for row in each]
    there = sum(row.entry is not None for row in rows)
    lines = [":orphan:", "", *heading("Coverage of the Wolfram framework", "=")]
    lines += [f"{there} of {len(rows)} symbols and kinds of encoders and decoders are there.", ""]
    lines += ["The mark [M] stands beside what Wolfram's public pages leave open and netdsl had to choose.", ""]
    for section, each in sections.items():
        lines += heading(section, "-")
        lines += [".. list-table::", "   :header-rows: 1", "   :width: 100%", "   :widths: 30 12 58", ""]
        lines += ["   * - Symbol", "     - Status", "     - Differences"]
        for row in each:
            name = f"``{row.name}``" if row.entry is None else f":doc:`{label(row.entry)} </reference/{row.entry.page}>`"
            status = "not yet" if row.entry is None else "there"
            lines += [f"   * - {name}", f"     - {status}", f"     - {row.differences}".rstrip()]
        lines.append("")
    return "\n".join(lines)
