"""Figures that the examples share: rows of small pictures, each row with a title."""

import numpy as np
from matplotlib.figure import Figure


def save_rows(path, rows, title="", size=0.62):
    """Saves rows of pictures, as {title: pictures}. Each picture is an array {height, width} or {channels, height, width} of 0…1."""
    columns = max(len(pictures) for pictures in rows.values())
    figure = Figure(figsize=(1.5 + size * columns, 0.45 * bool(title) + size * len(rows) + 0.15), layout="constrained", dpi=120)
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0, hspace=0)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (name, pictures) in zip(grid, rows.items()):
        line[0].text(-0.15, 0.5, name, ha="right", va="center", fontsize=9, transform=line[0].transAxes)
        for axes, picture in zip(line, pictures):
            picture = np.clip(np.asarray(picture), 0, 1)
            if picture.ndim == 3:
                picture = picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, -1)
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    if title:
        figure.suptitle(title, fontsize=10)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.08)


def save_sheet(path, pictures, columns, title=""):
    """Saves pictures {height, width} of 0…1 side by side as one sheet, row by row."""
    pictures = np.clip(np.asarray(pictures), 0, 1)
    rows = len(pictures) // columns
    height, width = pictures.shape[1:]
    sheet = pictures.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    figure = Figure(figsize=(0.4 * columns, 0.4 * rows + 0.35 * bool(title)), layout="constrained", dpi=120)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    if title:
        axes.set_title(title, fontsize=10)
    figure.savefig(path)
