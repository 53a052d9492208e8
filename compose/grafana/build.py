"""Write dashboards/*.json from sources/*.yaml: ``python compose/grafana/build.py``.

A source holds what a person decides: titles, queries, units, sizes. Panels flow from left to right over 24 columns.
"""

import json
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "anchorwatch-ch"}
PROMETHEUS = {"type": "prometheus", "uid": "anchorwatch-prom"}
PLUGIN = "4.20.0"
COLUMNS = 24
COLOURS = {
    "secure": "green", "insecure": "blue", "indeterminate": "orange", "bogus": "red",
    "critical": "dark-red", "high": "red", "medium": "orange", "low": "yellow", "info": "blue",
}  # fmt: skip
VERDICTS = ("secure", "insecure", "indeterminate", "bogus")
LINKS = {
    "name": ("Endpoint", "/d/anchorwatch-endpoint?var-name=${__value.raw:percentencode}&${__url_time_range}"),
    "zone": ("Zone", "/d/anchorwatch-zone?var-zone=${__value.raw:percentencode}&${__url_time_range}"),
    "identity": ("Identity", "/d/anchorwatch-identity?var-identity=${__value.raw:percentencode}&${__url_time_range}"),
}  # fmt: skip


def build(source: dict[str, Any]) -> dict[str, Any]:
    """Return the dashboard of a source."""
    return {
        "uid": source["uid"],
        "title": source["title"],
        "description": source["description"],
        "tags": ["anchorwatch"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "refresh": source.get("refresh", "1m"),
        "time": source.get("time", {"from": "now-24h", "to": "now"}),
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "title": "anchorwatch", "tags": ["anchorwatch"], "asDropdown": True,
             "keepTime": True, "includeVars": False, "targetBlank": False, "icon": "external link"}
        ],
        "templating": {"list": [_variable(variable) for variable in source.get("variables", ())]},
        "panels": _panels(source["panels"]),
    }  # fmt: skip


def _variable(variable: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "query",
        "name": variable["name"],
        "label": variable["label"],
        "datasource": CLICKHOUSE,
        "query": {"rawSql": variable["sql"], "editorType": "sql", "queryType": "table", "format": 1, "refId": "V"},
        "definition": variable["sql"],
        "refresh": 2,
        "sort": 0,
        "multi": False,
        "includeAll": False,
        "options": [],
        "current": {},
    }


def _panels(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    panels, x, y, tallest = [], 0, 0, 0
    for number, source in enumerate(sources, start=1):
        width, height = source["size"]
        if x + width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        panels.append(_panel(source, number, {"x": x, "y": y, "w": width, "h": height}))
        x, tallest = x + width, max(tallest, height)
    return panels


def _panel(source: dict[str, Any], number: int, place: dict[str, int]) -> dict[str, Any]:
    is_sql = "sql" in source
    series = source["type"] in ("timeseries", "state-timeline")
    targets = [_sql_target(source["sql"], series)] if is_sql else _promql_targets(source["promql"])
    return {
        "id": number,
        "type": source["type"],
        "title": source["title"],
        "description": source.get("description", ""),
        "gridPos": place,
        "datasource": CLICKHOUSE if is_sql else PROMETHEUS,
        "targets": targets,
        "fieldConfig": {"defaults": _defaults(source), "overrides": _overrides(source)},
        "options": _options(source),
    }


def _sql_target(sql: str, series: bool) -> dict[str, Any]:
    return {
        "refId": "A",
        "datasource": CLICKHOUSE,
        "editorType": "sql",
        "pluginVersion": PLUGIN,
        "queryType": "timeseries" if series else "table",
        "format": 0 if series else 1,
        "rawSql": sql,
    }


def _promql_targets(queries: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"refId": chr(ord("A") + n), "datasource": PROMETHEUS, "editorMode": "code", "range": True, "instant": False,
         "legendFormat": legend, "expr": expr}
        for n, (legend, expr) in enumerate(queries.items())
    ]  # fmt: skip


def _defaults(source: dict[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": source["unit"]}
    if source["type"] == "timeseries":
        bars = source.get("draw") == "bars"
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "drawStyle": "bars" if bars else "line",
            "fillOpacity": 60 if bars or source.get("stack") else 10,
            "lineWidth": 1,
            "showPoints": "auto",
            "spanNulls": False,
            "stacking": {"mode": "normal" if source.get("stack") else "none", "group": "A"},
        }
    if source["type"] == "state-timeline":
        shown = {str(n): {"text": text, "color": COLOURS[text], "index": n} for n, text in enumerate(VERDICTS)}
        defaults["mappings"] = [{"type": "value", "options": shown}]
        # What holds until the next row is drawn until there.
        defaults["custom"] = {"fillOpacity": 80, "lineWidth": 0, "spanNulls": bool(source.get("holds"))}
    if source["type"] == "stat":
        defaults["color"] = {"mode": "fixed", "fixedColor": source.get("colour", "text")}
        defaults["noValue"] = "0"
    return defaults


def _overrides(source: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    if source["type"] in ("timeseries", "stat"):
        for name in source.get("colours", ()):
            found.append(_override(name, {"id": "color", "value": {"mode": "fixed", "fixedColor": COLOURS[name]}}))
    if source["type"] == "table":
        for column in source.get("coloured", ()):
            shown = {text: {"text": text, "color": COLOURS[text], "index": n} for n, text in enumerate(COLOURS)}
            found.append(
                _override(
                    column,
                    {"id": "mappings", "value": [{"type": "value", "options": shown}]},
                    {"id": "custom.cellOptions", "value": {"type": "color-text"}},
                )
            )
        for column, unit in source.get("units", {}).items():
            found.append(_override(column, {"id": "unit", "value": unit}))
        for column, target in source.get("links", {}).items():
            title, url = LINKS[target]
            found.append(_override(column, {"id": "links", "value": [{"title": title, "url": url}]}))
        for column, width in source.get("widths", {}).items():
            found.append(_override(column, {"id": "custom.width", "value": width}))
    return found


def _override(column: str, *properties: dict[str, Any]) -> dict[str, Any]:
    return {"matcher": {"id": "byName", "options": column}, "properties": list(properties)}


def _options(source: dict[str, Any]) -> dict[str, Any]:
    match source["type"]:
        case "table":
            return {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}}
        case "stat":
            return {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "value",
                "graphMode": "none",
                "textMode": "value_and_name",
                "orientation": "auto",
            }
        case "state-timeline":
            return {"mergeValues": True, "showValue": "auto", "rowHeight": 0.8, "legend": {"showLegend": False}}
        case _:
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }


def text_of(source: Path) -> str:
    """Return the JSON of one source file."""
    dashboard = build(yaml.safe_load(source.read_text(encoding="utf-8")))
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in sorted((HERE / "sources").glob("*.yaml")):
        (HERE / "dashboards" / f"{path.stem}.json").write_text(text_of(path), encoding="utf-8")
        print(f"dashboards/{path.stem}.json")
