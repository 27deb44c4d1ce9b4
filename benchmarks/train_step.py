"""A training step on one core: smp the plain way against ours, side by side in one run.

Plain is smp as its page shows it: float32, channels first, smp's Dice and focal loss, AdamW. Ours is what
`train` does on a CPU: channels last, bf16 mixed precision with depthwise convolutions in float32, our losses,
fused AdamW, freed memory kept. Each runs in processes of its own, whose memory is measured, not that of the process
which starts them; they alternate, so that a busy machine hits both. Time is CPU time, the median of steps.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = {"U-Net/MobileNetV3": "tf_mobilenetv3_large_100", "U-Net/ConvNeXt-T": "convnext_tiny"}
GOALS = {"U-Net/MobileNetV3": 2.4, "U-Net/ConvNeXt-T": 2.7}
MEMORY_GOAL = 0.8
WAYS = ("plain", "ours")
BATCH, SIZE, CLASSES = 8, 256, 6
STEPS, ROUNDS = 5, 2


def main() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for model, encoder in MODELS.items():
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way in WAYS:
                runs[way].append(_measured(way, encoder))
        found[model] = {way: _summary(runs[way]) for way in WAYS}
        plain, ours = found[model]["plain"], found[model]["ours"]
        found[model]["faster"] = plain["seconds"] / ours["seconds"]
        found[model]["memory"] = ours["peak_mb"] / plain["peak_mb"]
        found[model]["memory_above_imports"] = ours["above_mb"] / plain["above_mb"]
    _show(found)
    return found


def _summary(runs: list[dict[str, Any]]) -> dict[str, float]:
    seconds = [s for run in runs for s in run["seconds"]]
    return {
        "seconds": statistics.median(seconds),
        "fastest": min(seconds),
        "slowest": max(seconds),
        "peak_mb": max(run["peak_mb"] for run in runs),
        "above_mb": max(run["above_mb"] for run in runs),
        "loss": runs[0]["loss"],
    }


def _show(found: dict[str, Any]) -> None:
    print(
        f"{'training step, one core':24}{'way':8}{'s/step':>8}{'(range)':>16}{'peak MB':>9}", end=""
    )
    print(f"{'above':>7}{'faster':>9}{'goal':>7}{'memory':>8}{'goal':>6}")
    for model, row in found.items():
        for way in WAYS:
            one = row[way]
            span = f"{one['fastest']:.2f}-{one['slowest']:.2f}"
            print(f"{model:24}{way:8}{one['seconds']:8.3f}{span:>16}", end="")
            print(f"{one['peak_mb']:9.0f}{one['above_mb']:7.0f}", end="")
            if way == "ours":
                print(f"{row['faster']:8.2f}x{GOALS[model]:6.1f}x{row['memory']:8.2f}", end="")
                print(f"{MEMORY_GOAL:6.1f}", end="")
            print()


def _measured(way: str, encoder: str) -> dict[str, Any]:
    command = [sys.executable, __file__, way, encoder]
    one_core = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    answer = subprocess.run(
        command, env=os.environ | one_core, check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


def _run(way: str, encoder: str) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    make_step = _plain if way == "plain" else _ours
    step = make_step(encoder)
    before = _memory_mb()["now"]
    pixels = torch.rand(BATCH, 3, SIZE, SIZE)
    classes = torch.randint(CLASSES, (BATCH, SIZE, SIZE))
    step(pixels, classes)  # the first one builds kernels and the optimizer's state
    seconds = []
    for _ in range(STEPS):
        start = time.process_time()
        loss = step(pixels, classes)
        seconds.append(time.process_time() - start)
    peak = _memory_mb()["peak"]
    return {"seconds": seconds, "peak_mb": peak, "above_mb": peak - before, "loss": loss}


def _plain(encoder: str) -> Callable[..., float]:
    import segmentation_models_pytorch as smp
    import torch

    model = smp.Unet(f"tu-{encoder}", encoder_weights=None, classes=CLASSES).train()
    dice, focal = smp.losses.DiceLoss("multiclass"), smp.losses.FocalLoss("multiclass")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(pixels: torch.Tensor, classes: torch.Tensor) -> float:
        optimizer.zero_grad()
        logits = model(pixels)
        loss = 0.5 * dice(logits, classes) + 0.5 * focal(logits, classes)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def _ours(encoder: str) -> Callable[..., float]:
    import torch

    from delineate.core import Target
    from delineate.losses import load_loss
    from delineate.models import fast_memory_format, fast_on_cpu, load_model
    from delineate.resolve import Call

    call = Call("smp", {"arch": "unet", "encoder": encoder})
    model = load_model(call, channels=3, heads={"dense": CLASSES}, ndim=2).train()
    layout = fast_memory_format(model)
    fast_on_cpu(model)
    whole = {"smooth": 0.0, "background": True, "absent": "zero"}  # Dice as smp's
    loss_of = load_loss(
        [Call("dice", {"weight": 0.5, **whole}), Call("focal", {"weight": 0.5, "form": "sigmoid"})]
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step(pixels: torch.Tensor, classes: torch.Tensor) -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            output = model(pixels.to(memory_format=layout))
            loss = loss_of(output, Target(classes))
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def _memory_mb() -> dict[str, float]:
    """What this process alone holds now and held at most; where there is no /proc, the most stands for both.

    Not `ru_maxrss` on Linux: it begins with the peak of the process that started this one, and survives its exec.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    found = {
        name: text.split()[0]
        for name, _, text in (line.partition(":") for line in lines)
        if text.strip()
    }
    if "VmHWM" in found:
        return {"now": int(found["VmRSS"]) / 1024, "peak": int(found["VmHWM"]) / 1024}
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = most / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, kilobytes elsewhere
    return {"now": peak, "peak": peak}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(_run(*sys.argv[1:])))
    else:
        main()
