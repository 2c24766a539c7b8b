"""CycloneDX 1.5 from `cargo metadata` on standard input: the crates that are linked, with licences and who needs whom."""

import json
import sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
root = metadata["resolve"]["root"]


def needed(node):
    """Crates that are linked: what only tests or the build need is left out."""
    return [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]


linked, waiting = set(), [root]
while waiting:
    one = waiting.pop()
    if one not in linked:
        linked.add(one)
        waiting.extend(needed(nodes[one]))


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package):
    known = {"type": "library", "bom-ref": purl(package), "name": package["name"], "version": package["version"], "purl": purl(package)}
    if package.get("license"):
        known["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return known


own = component(packages[root]) | {"type": "application"}
own["version"] = sys.argv[1]
others = sorted((packages[one] for one in linked if one != root), key=purl)
json.dump(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own},
        "components": [component(package) for package in others],
        "dependencies": [
            {"ref": purl(packages[one]), "dependsOn": sorted(purl(packages[dep]) for dep in needed(nodes[one]))}
            for one in sorted(linked)
        ],
    },
    sys.stdout,
    indent=1,
)
print()
