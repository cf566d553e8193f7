"""Check manifests against the schemas that Kubernetes publishes, and record their field names.

Run by `make oracles-engines` where kubernetes-validate is installed, which carries the schemas.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import fields
import kubernetes_validate
import yaml
from launch_cases import cases

from eke.errors import BadInput
from eke.launch import configuration

HERE = Path(__file__).parent
RELEASE = kubernetes_validate.latest_version()
FOLDER = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
DEFINITIONS = json.loads((FOLDER / f"v{RELEASE}-local" / "_definitions.json").read_text())["$defs"]
PREFIXES = {"apps/v1": "io.k8s.api.apps.v1", "v1": "io.k8s.api.core.v1"}


def resolve(schema: fields.Schema) -> fields.Schema:
    """What a reference into the definitions stands for."""
    if "$ref" not in schema:
        return schema
    return DEFINITIONS[schema["$ref"].rsplit("/", 1)[-1]]


def of_kind(document: dict[str, Any]) -> fields.Schema:
    """The schema of a manifest."""
    return DEFINITIONS[f"{PREFIXES[document['apiVersion']]}.{document['kind']}"]


def pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods inside a custom resource, each as a manifest of its own."""
    spec = document["spec"]
    inside = [each.get("podTemplate", {}) for each in spec.get("components", [])]
    group = spec.get("leaderWorkerTemplate", {})
    inside += [group[name] for name in ("leaderTemplate", "workerTemplate") if name in group]
    head = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "inside"}}
    return [head | {"spec": each["spec"]} for each in inside]


def main() -> None:
    trees: dict[str, dict[str, list[str]]] = {}
    accepted: dict[str, list[str]] = {"k8s": [], "dynamo": []}
    for engine, names in accepted.items():
        for name, start in cases().items():
            try:
                files = configuration(engine, start)
            except BadInput:
                continue
            for text in files.values():
                for document in yaml.safe_load_all(text):
                    known = document["apiVersion"] in PREFIXES
                    for each in [document] if known else pods(document):
                        kubernetes_validate.validate(each, RELEASE, strict=True)
                        found = fields.tree(each, of_kind(each), resolve)
                        trees.setdefault(each["kind"], {}).update(found)
            names.append(name)
            print(f"{engine:8} {name:28} accepted", file=sys.stderr)
    release = f"Kubernetes {RELEASE}, by kubernetes-validate {kubernetes_validate.__version__}"
    record = {"release": release, "accepted": accepted, "fields": trees}
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    (HERE / "record" / "kubernetes_fields.json").write_text(text)


if __name__ == "__main__":
    main()
