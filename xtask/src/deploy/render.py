"""Renders the chart with Helm's own code, and reports the problems that Helm finds.

render.py CHART FOLDER [NAME=VALUES.json ...]: writes FOLDER/NAME/TEMPLATE.yaml for each set of values. The schema of the
chart must refuse a set whose name begins with `wrong`.
"""

import json
import pathlib
import sys

import helm_python as helm


def main(chart_path, folder, *sets):
    report = helm.lint(chart_path, strict=True)
    # Severity 1 is advice, such as a missing icon.
    problems = [message for message in report["messages"] if message["severity"] > 1]
    if problems:
        sys.exit("\n".join(f"{problem['path']}: {problem['error']}" for problem in problems))
    with helm.Chart.load(chart_path) as chart:
        for argument in sets:
            name, values = argument.split("=", 1)
            values = json.loads(values)
            try:
                # The schema describes all values, so merge the chart's default values as `helm install` does.
                chart.validate_schema(chart.merge_values(values))
            except helm.HelmError as error:
                if name.startswith("wrong"):
                    continue
                sys.exit(f"{name}: {error}")
            if name.startswith("wrong"):
                sys.exit(f"{name}: values.schema.json accepts {json.dumps(values)}")
            rendered = chart.render(values, name="ticketing", namespace="default")
            for template, text in rendered.items():
                if template.endswith(".yaml") and text.strip():
                    file = pathlib.Path(folder, name, pathlib.PurePath(template).name)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text.strip() + "\n")


main(*sys.argv[1:])
