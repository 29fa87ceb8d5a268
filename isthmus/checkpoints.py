"""What a fit is made of and how far it has come, kept in a file so that a killed fit can go on.

Everything a run needs to continue is in `State`, and nothing else is: resumed from a checkpoint it makes the same
steps as if it had never stopped.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isthmus import storage
from isthmus.composition import Composition
from isthmus.errors import ForeignCheckpointError, TrainingError
from isthmus.parts.networks.modules import Unaware

OUT_OF_TIME = "(max_time)"
"""What marks the reason for stopping after which a fit may be resumed."""


@dataclass(frozen=True)
class Plan:
    """How to train: every choice made, in plain values.

    ``patience`` is in epochs, 0 = never stop early; ``target`` is an error (see `Figures.error`), 0 = none;
    ``weight_decay`` is decoupled from the gradient (AdamW: Loshchilov & Hutter 2019), per unit of learning rate;
    ``max_time`` (of one call, a resumed one counts anew) and ``checkpoint_every`` are in seconds.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    weight_decay: float = 0.0
    patience: int = 0
    target: float = 0.0
    max_time: float = math.inf
    device: str = "cpu"
    checkpoint: str | None = None
    checkpoint_every: float = 30.0
    warm_up: float = 0.05

    def rate(self, epoch: float) -> float:
        """The learning rate: a short warm-up, then half a cosine down to 0."""
        done = epoch / max(self.epochs, 1)
        warm = min(1.0, done / self.warm_up + 1e-3) if self.warm_up else 1.0
        return self.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(done, 1.0)))


@dataclass
class State:
    """All that changes while training."""

    composition: Composition
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    parameters: list[torch.nn.Parameter]
    epoch: int = 0
    position: int = 0
    steps: int = 0
    usual_norm: float | Tensor = 0.0
    usual_cost: float = 0.0
    usual_spread: float = 0.0
    sums: dict[str, float | Tensor] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_cost: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0
    stopped: str = ""


def kept_seed(folder: str | None) -> int | None:
    """The seed of the fit whose checkpoint lies in ``folder``; None where there is none."""
    if folder is None:
        return None
    # A fit that pretrains its layers was perhaps interrupted in the first of them.
    for path in (Path(folder) / "last.safetensors", Path(folder) / "layer-1" / "last.safetensors"):
        if path.exists():
            identity = storage.metadata(path)["spec"].get("identity") or {}
            return (identity.get("plan") or {}).get("seed")
    return None


class Saver:
    """Writes the state to ``folder/last.safetensors`` from time to time, and reads it back."""

    def __init__(self, plan: Plan, identity: dict[str, Any] | None) -> None:
        self.path = None if plan.checkpoint is None else Path(plan.checkpoint) / "last.safetensors"
        self.every = plan.checkpoint_every
        settings = {k: v for k, v in asdict(plan).items() if k not in ("checkpoint", "checkpoint_every", "max_time")}
        self.identity = {"plan": settings, **(identity or {})}
        self.last = time.monotonic()

    def forget(self) -> None:
        """Take away what an earlier fit left in the folder."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.sweep(self.path)

    @staticmethod
    def sweep(path: Path) -> None:
        """Take away the halves of files that a fit was writing when it was killed."""
        for half in path.parent.glob(f".{path.stem}.*{path.suffix}"):
            half.unlink(missing_ok=True)

    def save_now_and_then(self, state: State) -> None:
        if self.path is not None and time.monotonic() - self.last >= self.every:
            self.save(state)

    def save(self, state: State) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in state.composition.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in state.best.items()}
        for number, slots in state.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{slot}": value for slot, value in slots.items()}
        tensors |= {f"history.{k}": torch.tensor(v, dtype=torch.float64) for k, v in state.history.items()}
        tensors["generator"] = state.generator.get_state()
        tensors["global_generator"] = torch.random.get_rng_state()
        numbers = (
            "epoch",
            "position",
            "steps",
            "usual_norm",
            "usual_cost",
            "usual_spread",
            "best_cost",
            "best_epoch",
            "seconds",
        )
        # Strings, because JSON has no infinity, and hex because it keeps every bit.
        spec: dict[str, Any] = {name: float(getattr(state, name)).hex() for name in numbers}
        spec["sums"] = {name: float(value).hex() for name, value in state.sums.items()}
        storage.write(self.path, {"identity": self.identity, "stopped": state.stopped, **spec}, tensors)
        self.last = time.monotonic()

    def load(self, state: State) -> bool:
        """Put the checkpoint into ``state``; False where there is none yet."""
        if self.path is None:
            raise TrainingError("resume=True needs checkpoint=, the folder that the interrupted fit wrote to")
        if not self.path.exists():
            return False
        spec, tensors = storage.read(self.path)
        if spec.get("identity") != self.identity:
            raise ForeignCheckpointError(
                f"{self.path} belongs to another fit ({difference(spec.get('identity') or {}, self.identity)}). "
                "Use the same data and settings, or another checkpoint folder, or fit without resume"
            )

        def group(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.sweep(self.path)
        state.composition.load_state_dict(group("model."))
        state.best = group("best.")
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in group("optimiser.").items():
            number, slot = name.split(".", 1)
            weights = state.parameters[int(number)]
            if value.shape == weights.shape:
                # Laid out in memory as the weights are: the fused optimiser pairs numbers by where they lie.
                value = torch.empty_like(weights, requires_grad=False).copy_(value)
            slots.setdefault(int(number), {})[slot] = value
        known = copy.deepcopy(state.optimiser.state_dict())
        state.optimiser.load_state_dict({"state": slots, "param_groups": known["param_groups"]})
        state.history = {name: values.tolist() for name, values in group("history.").items()}
        state.generator.set_state(tensors["generator"].cpu())
        if any(isinstance(module, Unaware) for module in state.composition.modules()):
            torch.random.set_rng_state(tensors["global_generator"].cpu())
        for name in ("epoch", "position", "steps", "best_epoch"):
            setattr(state, name, int(float.fromhex(spec[name])))
        for name in ("usual_norm", "usual_cost", "usual_spread", "best_cost", "seconds"):
            setattr(state, name, float.fromhex(spec[name]))
        state.sums = {name: float.fromhex(value) for name, value in spec["sums"].items()}
        state.stopped = spec["stopped"]
        return True


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The first thing in which two nested dictionaries differ, in words."""
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) != new.get(key):
            if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
                return difference(old[key], new[key])
            return f"{key}: {old.get(key)!r} there, {new.get(key)!r} now"
    return "unknown"
