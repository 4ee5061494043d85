"""What the trainer finds on this machine: devices and models. Imports no torch here, so that a broken one is a finding and not a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import azr_core as azr
from azr_plugins_python.training.options import TrainerOptions

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
_PATIENCE_S = 60.0
_DRIVER = Path("/proc/driver/nvidia/version")
_ASK_TORCH = """
import json, torch
found = {"cpu": f"{torch.get_num_threads()} threads"}
if torch.accelerator.is_available():
    kind = torch.accelerator.current_accelerator().type
    for number in range(torch.accelerator.device_count()):
        found[f"{kind}:{number}"] = "there"
        if kind == "cuda":
            room = torch.cuda.get_device_properties(number).total_memory
            found[f"{kind}:{number}"] = f"{torch.cuda.get_device_name(number)}, {room / 2**30:.0f} GiB"
print(json.dumps({"version": torch.__version__, "devices": found}))
"""


def holds_weights(folder: Path) -> bool:
    """Whether a model's folder holds weights that are read: safetensors, no pickles, and more than an adapter."""
    return any(not path.name.startswith("adapter_") for pattern in _WEIGHTS for path in folder.glob(pattern))


def survey(options: TrainerOptions) -> list[azr.Check]:
    """Devices that torch can use, the chosen model, and the models in the hub's cache."""
    cached = list(_cached())
    held = any(check.observed == options.model for check in cached)
    return [*_devices(), _chosen(Path(options.model), options.model, cached=held), *cached]


def _devices() -> Iterator[azr.Check]:
    reinstall = "install torch again; pytorch.org > Get started shows the command for your system"
    try:
        asked = subprocess.run([sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=_PATIENCE_S)
        found = json.loads(asked.stdout)
    except subprocess.TimeoutExpired:
        yield azr.Check("torch", False, f"no answer within {_PATIENCE_S:g} s", "look at the driver of the accelerator (nvidia-smi)")
        return
    except ValueError:
        last = (asked.stderr.strip().splitlines() or [f"ended with code {asked.returncode}"])[-1]
        yield azr.Check("torch", False, last, reinstall)
        return
    yield azr.Check("torch", True, f"{found['version']} works")
    for name, text in found["devices"].items():
        yield azr.Check(f"device {name}", True, text)
    if _DRIVER.exists() and not any(name.startswith("cuda") for name in found["devices"]):
        yield azr.Check("device cuda", True, "a driver is here, but this torch cannot use it", reinstall)


def _chosen(folder: Path, name: str, *, cached: bool) -> azr.Check:
    """The model that runs begin with unless told otherwise."""
    if (folder / "config.json").is_file() and holds_weights(folder):
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        return azr.Check("default model", True, f"{size:.0f} MB in {folder}")
    if cached:
        return azr.Check("default model", True, f"{name} in the hub's cache")
    return azr.Check("default model", False, f"{name} holds no model", "install azr again, or name another with --model FOLDER")


def _cached() -> list[azr.Check]:
    """Whole models in the hub's cache, by their folders; nothing is asked of the network."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    names = {
        folder.parents[1].name.removeprefix("models--").replace("--", "/")
        for folder in cache.glob("models--*/snapshots/*")
        if (folder / "config.json").is_file() and holds_weights(folder)
    }
    return [azr.Check("cached model", True, name) for name in sorted(names)] or [azr.Check("cached models", True, f"none in {cache}")]
