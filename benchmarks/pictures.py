"""Drawing curves as SVG, with matplotlib."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""Points (x, y) by the name of the curve."""

# Ours stands out; a peer has the same look in all pictures.
_OURS = "slurmic"
_MARKERS = "osv^D<>*Xph"


def draw_curves(
    path: Path, title: str, axes: tuple[str, str], curves: Curves, *, linear: bool = False
) -> bool:
    """Draw curves into an SVG file, the same bytes for the same points.

    Returns:
        Whether matplotlib is there to draw.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return False
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "slurmic"
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    plot = figure.subplots()
    for number, (name, points) in enumerate(curves.items()):
        ours = name.startswith(_OURS) and not name.endswith("0.2.1")
        plot.plot(
            [x for x, _ in points],
            [y for _, y in points],
            label=name,
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=5 if ours else 4,
            linewidth=2.5 if ours else 1.2,
        )
    if not linear:
        plot.set_xscale("log")
        plot.set_yscale("log")
    plot.set_title(title)
    plot.set_xlabel(axes[0])
    plot.set_ylabel(axes[1])
    plot.grid(visible=True, alpha=0.3)
    plot.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    return True
