"""Run every benchmark of this folder, or those named, and keep the figures by commit in results/."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent


def main() -> None:
    wanted = sys.argv[1:] or sorted(p.stem for p in HERE.glob("*.py") if p.stem != "run")
    results = {}
    for name in wanted:
        print(f"\n{name}\n{'-' * len(name)}")
        results[name] = _load(name).main()
    command = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    path = HERE / "results" / f"{commit or 'no-commit'}.json"
    path.parent.mkdir(exist_ok=True)
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **results}, indent=2) + "\n")
    print(f"\nwritten to {path.relative_to(HERE.parent)}")


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
