"""What does each panel of each dashboard look like?

Asks a Prometheus for what Grafana would, and draws it into a folder, a picture for each dashboard:

    SPAFE_PANELS=target/panels cargo test --test it every_panel

Only for eyes, so it is no part of the set-up: `target/test-env/python/bin/pip install matplotlib`.
"""

import json
import math
import os
import pathlib
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

ROOT = pathlib.Path(__file__).parents[2]
PROMETHEUS = os.environ["PROMETHEUS"]
FOLDER = ROOT / os.environ["PANELS"]
WINDOW = os.environ.get("WINDOW", "5s")
SECONDS = int(os.environ.get("SECONDS", "20"))
END = time.time()


def ask(what, **parameters):
    address = f"{PROMETHEUS}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
    return json.load(urllib.request.urlopen(address))["data"]["result"]


def filled_in(query):
    query = query.replace("$__rate_interval", WINDOW).replace("$__range", WINDOW)
    for variable in ("$instance", "$model", "$pool", "$key"):
        query = query.replace(variable, ".*")
    return query.replace("$__interval", "1s")


def name_of(target, labels):
    name = target["legendFormat"]
    for label, value in labels.items():
        name = name.replace("{{" + label + "}}", value)
    return name


def shown(value, unit):
    """A number as Grafana writes it."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        scale = [(1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (math.inf, 1 / 60, "min")]
        _, times, word = next(step for step in scale if abs(value) < step[0])
        return f"{value * times:.3g} {word}"
    if unit in ("bytes", "Bps"):
        power = min(int(math.log(abs(value), 1024)), 4) if abs(value) >= 1 else 0
        word = ("B", "KiB", "MiB", "GiB", "TiB")[power] + ("/s" if unit == "Bps" else "")
        return f"{value / 1024**power:.3g} {word}"
    words = {"currencyUSD": "$", "reqps": "req/s", "cps": "c/s", "bool_on_off": "on/off"}
    return f"{value:.4g} {words.get(unit, '')}"


def draw_lines(axes, panel, unit):
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    lines = []
    for target in panel["targets"]:
        step = max(SECONDS / 80, 0.25)
        for series in ask(
            "query_range", query=filled_in(target["expr"]), start=END - SECONDS, end=END, step=step
        ):
            points = {float(at): float(value) for at, value in series["values"]}
            lines.append((name_of(target, series["metric"]), points))
    times = [END - SECONDS + step * number for number in range(int(SECONDS / step) + 1)]
    rows = []
    for _, points in lines:
        near = {round(at, 2): value for at, value in points.items()}
        rows.append([near.get(round(at, 2), math.nan) for at in times])
    ages = [at - END for at in times]
    if stacked and rows:
        axes.stackplot(ages, [[0 if math.isnan(v) else v for v in row] for row in rows], labels=[n for n, _ in lines], alpha=0.6)
    else:
        for (name, _), row in zip(lines, rows):
            axes.plot(ages, row, label=name, linewidth=1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    if not stacked and unit != "bool_on_off":
        axes.set_ylim(bottom=0)
    if lines:
        axes.legend(fontsize=5, loc="upper left", ncol=2)
    else:
        axes.text(0.5, 0.5, "EMPTY", color="red", transform=axes.transAxes, ha="center")


def draw_numbers(axes, panel, unit):
    found = []
    for target in panel["targets"]:
        for series in ask("query", query=filled_in(target["expr"]), time=END):
            found.append(f"{name_of(target, series['metric'])}: {shown(float(series['value'][1]), unit)}")
    axes.axis("off")
    size = 9 if len(found) < 4 else 4
    axes.text(0.5, 0.5, "\n".join(found) or "EMPTY", ha="center", va="center", fontsize=size)


def draw(path):
    dashboard = json.loads(path.read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(18, height * 0.42), dpi=80)
    grid = figure.add_gridspec(height, 24, hspace=3.2, wspace=5)
    for panel in panels:
        at = panel["gridPos"]
        axes = figure.add_subplot(grid[at["y"] : at["y"] + at["h"], at["x"] : at["x"] + at["w"]])
        unit = panel["fieldConfig"]["defaults"]["unit"]
        (draw_lines if panel["type"] in ("timeseries", "state-timeline") else draw_numbers)(axes, panel, unit)
        axes.set_title(f"{panel['title']}", fontsize=8)
        axes.tick_params(labelsize=6)
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / f"{path.stem}.png", bbox_inches="tight")
    plt.close(figure)


for path in sorted((ROOT / "dashboards").glob("*.json")):
    draw(path)
