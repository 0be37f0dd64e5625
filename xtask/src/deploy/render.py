"""Renders the chart with Helm's own code, and says what Helm finds wrong with it.

render.py CHART FOLDER [NAME=VALUES.json ...]: writes FOLDER/NAME/TEMPLATE.yaml for each set of values. A set whose name
begins with `wrong` has to be refused by the chart's schema.
"""

import json
import pathlib
import sys

import helm_python as helm


def main(chart_path, folder, *sets):
    report = helm.lint(chart_path, strict=True)
    # Severity 1 is advice, such as an icon.
    problems = [message for message in report["messages"] if message["severity"] > 1]
    if problems:
        sys.exit("\n".join(f"{problem['path']}: {problem['error']}" for problem in problems))
    with helm.Chart.load(chart_path) as chart:
        for each in sets:
            name, values = each.split("=", 1)
            values = json.loads(values)
            try:
                # Helm merges the chart's own values when it installs; the schema is for the whole.
                chart.validate_schema(chart.merge_values(values))
            except helm.HelmError as error:
                if name.startswith("wrong"):
                    continue
                sys.exit(f"{name}: {error}")
            if name.startswith("wrong"):
                sys.exit(f"{name}: values.schema.json lets {json.dumps(values)} pass")
            rendered = chart.render(values, name="ticketing", namespace="default")
            for template, text in rendered.items():
                if template.endswith(".yaml") and text.strip():
                    file = pathlib.Path(folder, name, pathlib.PurePath(template).name)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text.strip() + "\n")


main(*sys.argv[1:])
