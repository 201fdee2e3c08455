"""Checks the conformance vectors against the specification alone: `python3 conformance-vectors/check`."""

import argparse
import hashlib
import json
import re
import sys
import time
from pathlib import Path

import jsonschema

import common
import fountain
from checker import check


def main():
    if sys.version_info < (3, 11):
        sys.exit("the checker needs Python 3.11 or newer")
    options = arguments()
    folder, faults, done = options.vectors, [], 0
    fountain.QUICK = options.quick
    names = options.only or listed(folder, faults, options.digests)
    schema = jsonschema.Draft202012Validator(json.loads((folder / "schema.json").read_text("utf-8")))
    for name in names:
        start = time.monotonic()
        try:
            check(common.load(folder / f"{name}.json"), name, schema, options.spec)
            done += 1
        except Exception as fault:
            faults.append(f"{name}: {fault if isinstance(fault, common.Wrong) else f'{type(fault).__name__}: {fault}'}")
        if options.times:
            print(f"{name:<30} {time.monotonic() - start:6.2f} s")
    for fault in faults:
        print(f"  {fault}")
    print(f"vectors: {done} files hold, {len(faults)} faults")
    return 1 if faults else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, default=common.ROOT, help="the folder with the vectors")
    parser.add_argument("--spec", type=Path, help="the folder with the specification; beside it unless it is said")
    parser.add_argument("--only", action="append", metavar="NAME", help="one file, as keys/x_wing; may be given again")
    parser.add_argument("--quick", action="store_true", help="of long lists of equal cases a part")
    parser.add_argument("--no-digests", dest="digests", action="store_false", help="leave the index's digests out")
    parser.add_argument("--times", action="store_true", help="say how long each file took")
    options = parser.parse_args()
    options.spec = options.spec or options.vectors.resolve().parent / "docs" / "spec"
    return options


def listed(folder, faults, digests):
    """The files of the index; what is there besides, or missing, or other than the index says is a fault."""
    index = common.load(folder / "index.json")
    here = {path.relative_to(folder).as_posix() for path in folder.glob("*/*.json")}
    changelog = re.search(r"^## (\S+)", (folder / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    if changelog is None or changelog[1] != index["version"]:
        faults.append(f"index.json: version {index['version']} is not the newest in CHANGELOG.md")
    for name in sorted(here ^ set(index["files"])):
        faults.append(f"{name}: {'not in the index' if name in here else 'in the index and not there'}")
    for name in sorted(here & set(index["files"])):
        if digests and hashlib.sha256((folder / name).read_bytes()).hexdigest() != index["files"][name]["sha256"]:
            faults.append(f"{name}: not the bytes of the index; `cargo xtask vectors` makes both anew")
    return [name.removesuffix(".json") for name in sorted(here & set(index["files"]))]


if __name__ == "__main__":
    sys.exit(main())
