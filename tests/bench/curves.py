# SPDX-License-Identifier: Apache-2.0
"""Curves as a plain SVG: a grid of panels, each with a title, a scale and one line a series."""
import html

WIDE, HIGH, LEFT, TOP, COLUMNS = 400, 220, 62, 34, 3
COLORS = ("#0b6bcb", "#c8442d", "#2f8f4e", "#8a4fc7", "#b07d00", "#0f8b8d", "#7a7a7a", "#d0318c")


def ceiling(value):
    """The next of 1, 2, 2.5, 5 times a power of ten: where the scale ends."""
    step = 1e-6
    while True:
        for factor in (1, 2, 2.5, 5):
            if step * factor >= value:
                return step * factor
        step *= 10


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def panel(title, series, x_end, x, y):
    """series: name → [(minute, value)]."""
    top = ceiling(max((v for points in series.values() for _, v in points), default=1) or 1)
    right, bottom = WIDE - 14, HIGH - 44
    out = [f'<g transform="translate({x},{y})"><text x="{LEFT}" y="18" class="t">{html.escape(title)}</text>']
    for i in range(5):
        at = bottom - (bottom - TOP) * i / 4
        out.append(f'<path d="M{LEFT} {at:.1f}H{right}" class="g"/><text x="{LEFT - 6}" y="{at + 4:.1f}" class="y">{number(top * i / 4)}</text>')
    for i in range(4):
        at = LEFT + (right - LEFT) * i / 3
        out.append(f'<text x="{at:.1f}" y="{bottom + 15}" class="x">{x_end * i / 3:.3g}</text>')
    legend = LEFT
    for (name, points), color in zip(series.items(), COLORS):
        line = " ".join(f"{LEFT + (right - LEFT) * m / x_end:.1f},{bottom - (bottom - TOP) * v / top:.1f}" for m, v in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.6"/>')
        out.append(f'<text x="{legend}" y="{bottom + 34}" fill="{color}" class="l">{html.escape(name)}</text>')
        legend += 10 + 6.2 * len(name)
    return "".join(out) + "</g>\n"


def picture(heading, panels, x_end):
    """panels: [(title, {name: [(minute, value)]})]; the SVG's text."""
    rows = (len(panels) + COLUMNS - 1) // COLUMNS
    width, height = COLUMNS * WIDE + 20, rows * HIGH + 60
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
           "<style>text{font:12px sans-serif}.t{font-weight:600;font-size:13px}.h{font-size:17px;font-weight:600}.y{text-anchor:end;fill:#555}"
           ".x{text-anchor:middle;fill:#555}.l{font-size:11px}.g{stroke:#ddd}</style>"
           f'<rect width="100%" height="100%" fill="#fff"/><text x="20" y="30" class="h">{html.escape(heading)}</text>\n']
    for i, (title, series) in enumerate(panels):
        out.append(panel(title, series, x_end, 10 + i % COLUMNS * WIDE, 50 + i // COLUMNS * HIGH))
    return "".join(out) + "</svg>\n"
