"""Record the option names of llama-server from the public sources of llama.cpp.

Run by `make oracles-engines`: it takes the sources that the release of llama-cpp-python below
carries, reads the names out of them and keeps nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import arguments

PACKAGE = "llama-cpp-python"
RELEASE = "0.3.36"
COMMIT = "0c1e57098"  # of ggml-org/llama.cpp, by the change log of that release
INSIDE = "vendor/llama.cpp/common"
SPLITS = re.compile(r"\{none,layer,row,tensor\}")


def sources(folder: Path) -> dict[str, str]:
    """The two files that hold names."""
    wanted = f"{PACKAGE}=={RELEASE}"
    fetch = ["download", "--quiet", "--no-deps", "--no-binary", PACKAGE, "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *fetch, wanted], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        root = packed.next().name.split("/")[0]  # type: ignore[union-attr]
        return {
            name: packed.extractfile(f"{root}/{INSIDE}/{name}").read().decode()  # type: ignore[union-attr]
            for name in ("arg.cpp", "speculative.cpp")
        }


def spellings(text: str) -> dict[str, Any]:
    """Every long option; [] for a switch, None for one that takes a value.

    A handler that takes a text or a number has a value behind the option, one that takes a yes or
    no or nothing has none.
    """
    found: dict[str, Any] = {}
    for each in text.split("common_arg(")[1:]:
        names = re.match(r"\s*(?:\{[^}]*\},\s*)+", each)
        handler = re.search(r"\[\w*\]\(common_params\s*&\s*\w*\s*(,[^)]*)?\)", each)
        if names and handler:
            takes = handler[1] and "bool" not in handler[1]
            for spelling in re.findall(r'"(--[\w-]+)"', names[0]):
                found[spelling] = None if takes else []
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        read = sources(Path(place))
    known = spellings(read["arg.cpp"])
    caches = re.search(r"kv_cache_types = \{(.*?)\}", read["arg.cpp"], re.S)
    kinds = [word.lower() for word in re.findall(r"GGML_TYPE_(\w+)", caches[1])] if caches else []
    table = read["speculative.cpp"].split("common_speculative_type_from_name_map = {")[1]
    guesses = re.findall(r'\{"([\w-]+)"', table.split("};")[0])
    assert SPLITS.search(read["arg.cpp"])
    known["--cache-type-k"] = known["--cache-type-v"] = sorted(kinds)
    known["--spec-type"] = sorted(guesses)
    known["--split-mode"] = ["layer", "none", "row", "tensor"]
    release = f"llama.cpp {COMMIT}, as in {PACKAGE} {RELEASE}"
    arguments.write("llama_cpp_arguments.json", release, dict(sorted(known.items())))
    print(f"{len(known)} options", file=sys.stderr)


if __name__ == "__main__":
    main()
