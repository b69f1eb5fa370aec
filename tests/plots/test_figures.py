"""Figures are asked what they show: texts, data, scales, places. Not pixels."""

from __future__ import annotations

import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from netdsl.errors import DeclarationError, ShapeError
from netdsl.plots import (
    accuracy_rejection_plot,
    calibration_plot,
    comparison_plot,
    confusion_matrix_plot,
    loss_plot,
    probability_histogram,
    residual_histogram,
    residual_plot,
    roc_curve_plot,
)

EVERY = {
    "confusion": lambda: confusion_matrix_plot([[3, 1], [0, 2]], ["a", "b"]),
    "roc": lambda: roc_curve_plot([[[0, 0], [1, 1]]], ["a"]),
    "loss": lambda: loss_plot([1.0, 0.5], [0.6, 0.4]),
    "calibration": lambda: calibration_plot([0.2, 0.8], [0.1, 0.9], [3, 4]),
    "histogram": lambda: probability_histogram([0.1, 0.9]),
    "rejection": lambda: accuracy_rejection_plot([0, 0.5], [0.8, 1]),
    "comparison": lambda: comparison_plot([1, 2], [1, 3]),
    "residuals": lambda: residual_plot([1, 2], [1, 3]),
    "residual histogram": lambda: residual_histogram([0.1, -0.1]),
}


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def cells(axes) -> list[Text]:
    return [text for text in axes.texts if text.get_gid() != "total"]


def totals(axes) -> tuple[list[str], list[str]]:
    """The totals on the right and at the bottom, as far as they are beyond the cells."""
    box = axes.get_window_extent()
    drawn = [(text.get_text(), text.get_window_extent()) for text in axes.texts if text.get_gid() == "total"]
    return [text for text, place in drawn if place.x0 > box.x1], [text for text, place in drawn if place.y1 < box.y0]


def fits(figure) -> bool:
    """Whether everything that is drawn lies within the figure."""
    figure.canvas.draw()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    return box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_stands_alone(name):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figure = EVERY[name]()
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == before
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert fits(figure)
    assert figure.axes[0].get_xlabel()
    assert figure.axes[0].get_ylabel()
    assert isinstance(pickle.loads(pickle.dumps(figure)), Figure)


def test_import_loads_neither_matplotlib_nor_scikit_learn():
    code = "import sys, netdsl.plots, netdsl.measurements; print([m for m in ('matplotlib', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_confusion_matrix_shows_counts_names_and_totals():
    counts = [[50, 2, 0], [3, 40, 7], [0, 0, 9]]
    figure = confusion_matrix_plot(counts, ["cat", "dog", "a_$b$"])
    figure.canvas.draw()
    axes = figure.axes[0]
    shown = {text.get_position(): text.get_text() for text in cells(axes)}
    assert shown == {(j, i): str(counts[i][j]) for i in range(3) for j in range(3)}
    assert ticks(axes.xaxis) == ticks(axes.yaxis) == ["cat", "dog", "a_$b$"]
    assert totals(axes) == (["52", "50", "9"], ["53", "42", "16"])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "actual class")


def test_confusion_matrix_puts_rows_downwards_and_colours_by_row_share():
    axes = confusion_matrix_plot([[75, 25], [0, 4]], ["a", "b"]).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), np.sqrt([[0.75, 0.25], [0, 1]]))
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_confusion_matrix_of_a_class_without_examples():
    axes = confusion_matrix_plot([[1, 0], [0, 0]], ["a", "b"]).axes[0]
    assert np.isfinite(np.asarray(axes.images[0].get_array())).all()


@pytest.mark.parametrize(
    ("size", "count", "name"), [(2, 10**6, "n"), (10, 1000, "a long class name"), (100, 100, "aquarium fish")]
)
def test_confusion_matrix_texts_are_legible_and_do_not_meet(size, count, name):
    counts = np.full((size, size), 1) + count * np.eye(size, dtype=int)
    figure = confusion_matrix_plot(counts, [f"{name} {i}" for i in range(size)])
    axes = figure.axes[0]
    assert fits(figure)
    assert max(figure.get_size_inches()) < 20
    assert len(cells(axes)) == size * size
    renderer = figure.canvas.get_renderer()
    cell = axes.transData.transform([[0, 0], [1, 0]])[:, 0]
    assert all(text.get_window_extent(renderer).width <= cell[1] - cell[0] for text in cells(axes))
    for axis in (axes.xaxis, axes.yaxis):
        labels = axis.get_ticklabels()
        assert len(labels) == size
        assert all(label.get_fontsize() >= 5 for label in labels)
        boxes = [label.get_window_extent(renderer) for label in labels]
        assert not any(first.overlaps(second) for first, second in pairwise(boxes))
    boxes = [text.get_window_extent(renderer) for text in axes.texts if text.get_gid() == "total"]
    assert not any(first.overlaps(second) for first, second in pairwise(boxes[1::2]))


def test_counts_are_written_in_full():
    axes = confusion_matrix_plot([[1_000_000, 2], [3, 0]], ["a", "b"]).axes[0]
    assert [text.get_text() for text in cells(axes)] == ["1000000", "2", "3", "0"]


def test_confusion_matrix_of_very_many_classes_leaves_out_what_cannot_be_read():
    figure = confusion_matrix_plot(np.eye(400, dtype=int) * 1000, range(400))
    axes = figure.axes[0]
    assert max(figure.get_size_inches()) < 20
    assert cells(axes) == []
    assert 50 < len(ticks(axes.yaxis)) < 400


def test_long_names_are_cut():
    axes = confusion_matrix_plot([[1]], ["x" * 200]).axes[0]
    assert ticks(axes.xaxis) == ["x" * 23 + "…"]


@pytest.mark.parametrize("counts", [[[1, 2]], [1, 2], np.zeros((3, 3))])
def test_confusion_matrix_must_be_square(counts):
    with pytest.raises(ShapeError, match="of 2 classes is 2 x 2"):
        confusion_matrix_plot(counts, ["a", "b"])


def lines(axes) -> dict[str, np.ndarray]:
    return {line.get_label(): np.asarray(line.get_xydata()) for line in axes.lines}


def test_loss_plot_shows_batches_round_averages_and_validation():
    axes = loss_plot([4.0, 2.0, 2.0, 1.0, 7.0], [2.5, 1.5], batches_per_round=2).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[0.5, 4], [1, 2], [1.5, 2], [2, 1], [2.5, 7]])
    np.testing.assert_allclose(lines(axes)["training set"], [[0.5, 3], [1.5, 1.5], [2.25, 7]])
    np.testing.assert_allclose(lines(axes)["validation set"], [[1, 2.5], [2, 1.5]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training set", "validation set"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rounds", "loss")


def test_loss_plot_takes_validation_by_round_and_a_label():
    axes = loss_plot([1.0, 0.5, 0.4], {0: 2.0, 3: 0.3}, "error rate").axes[0]
    np.testing.assert_allclose(lines(axes)["validation set"], [[0, 2], [3, 0.3]])
    np.testing.assert_allclose(lines(axes)["training set"], [[1, 1], [2, 0.5], [3, 0.4]])
    assert axes.get_ylabel() == "error rate"


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 0.04], "log"),
        ([1.0, 0.06], "linear"),
        ([1.0, 0.0], "linear"),
        ([5.0, -1.0], "linear"),
        ([np.nan, 1.0, 0.01], "log"),
    ],
)
def test_loss_plot_scale_is_logarithmic_when_values_are_wide(values, scale):
    assert loss_plot(values).axes[0].get_yscale() == scale


def test_a_long_batch_curve_is_averaged_without_changing_its_mean():
    values = np.arange(10_000.0)
    drawn = loss_plot(values, batches_per_round=5000).axes[0].lines[0].get_xydata()
    assert len(drawn) == 2000
    np.testing.assert_allclose(drawn.mean(axis=0), [10_001 / 2 / 5000, values.mean()])


def test_loss_plot_without_any_value_and_with_a_wrong_round():
    assert loss_plot([]).axes[0].get_xlabel() == "rounds"
    with pytest.raises(DeclarationError, match="at least one batch"):
        loss_plot([1.0], batches_per_round=0)


def test_roc_legend_gives_areas():
    axes = roc_curve_plot([[[0, 0], [0, 1], [1, 1]], [[0, 0], [1, 1]], np.zeros((0, 2))], ["cat", 7, "none"]).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["cat   1.000", "7   0.500"]


def test_roc_of_many_classes_names_the_five_worst():
    curves = [[[0, 0], [0.5, 0.5 + k / 100], [1, 1]] for k in range(40)]
    axes = roc_curve_plot(curves, [f"c{k}" for k in range(40)]).axes[0]
    names = [text.get_text().split("   ")[0] for text in axes.get_legend().get_texts()]
    assert names == ["35 other classes", "c0", "c1", "c2", "c3", "c4"]
    assert len(axes.lines) == 41


def test_roc_needs_a_curve_for_each_class():
    with pytest.raises(ShapeError, match="1 curves for 2 classes"):
        roc_curve_plot([[[0, 0], [1, 1]]], ["a", "b"])


def test_histograms_count_everything():
    assert sum(patch.get_height() for patch in probability_histogram([0, 0.5, 1, 1.0000001]).axes[0].patches) == 4
    assert sum(patch.get_height() for patch in residual_histogram(np.arange(50)).axes[0].patches) == 50
    assert probability_histogram([0.99] * 1000 + [0.1]).axes[0].get_yscale() == "log"


def test_accuracy_rejection_names_the_accuracy_without_rejection():
    axes = accuracy_rejection_plot([0, 0.5], [0.925, 1.0]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.925 without rejection"]


def test_residuals_are_predicted_less_actual():
    np.testing.assert_allclose(residual_plot([1.0, 2.0], [1.5, 1.0]).axes[0].lines[1].get_xydata(), [[1, 0.5], [2, -1]])
    np.testing.assert_allclose(comparison_plot([1.0, 2.0], [1.5, 1.0]).axes[0].lines[1].get_xydata(), [[1, 1.5], [2, 1]])
    with pytest.raises(ShapeError, match="2 actual values and 3"):
        comparison_plot([1, 2], [1, 2, 3])
