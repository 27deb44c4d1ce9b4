"""How long `delineate --help` takes, and what it imports, beside importing a peer."""

from __future__ import annotations

import subprocess
import sys
import time

GOAL = 0.3


def main() -> dict[str, float]:
    help_ = _median_seconds([sys.executable, "-m", "delineate.cli", "--help"])
    smp = _median_seconds([sys.executable, "-c", "import segmentation_models_pytorch"], runs=3)
    program = "import sys, delineate.cli; print('torch' in sys.modules, 'numpy' in sys.modules)"
    imported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    print(
        f"delineate --help       {help_:6.3f} s  (goal {GOAL}; torch, numpy imported: {imported})"
    )
    print(f"import smp, the peer   {smp:6.3f} s  ({smp / help_:.0f} times as long)")
    return {"help_seconds": help_, "ratio_to_importing_smp": smp / help_}


def _median_seconds(command: list[str], runs: int = 7) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return sorted(times)[runs // 2]


if __name__ == "__main__":
    main()
