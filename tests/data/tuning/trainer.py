"""A trainer that only counts: it stands in for a real one in tests.

It goes on from its checkpoint, tells each step, writes a checkpoint when it is told to stop, and
does as its hyperparameters say: steps, pause (seconds of a step), every (steps to a checkpoint),
deaf (it does not listen to SIGTERM), fail (the step at which it gives up), gate (a file that must
be there before it takes the next step beyond one).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

settings = json.loads(os.environ["EKE_HYPERPARAMETERS"])
checkpoints = Path(os.environ["EKE_CHECKPOINTS"])
stopping = False


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def stop(*_: object) -> None:
    global stopping
    stopping = not settings.get("deaf")


def keep(step: int) -> None:
    path = checkpoints / "last.json"
    path.with_suffix(".new").write_text(json.dumps({"step": step}))
    path.with_suffix(".new").replace(path)
    say(checkpoint=str(path), step=step)


names = [name for name in os.environ if name.startswith("EKE_") or name in ("DATA", "OUTPUT")]
Path("environment.json").write_text(json.dumps({name: os.environ[name] for name in names}))
signal.signal(signal.SIGTERM, stop)
step, steps = 0, settings.get("steps", 3)
if os.environ["EKE_RESUME"]:
    step = json.loads((checkpoints / "last.json").read_text())["step"]
lines = Path(os.environ["EKE_TRAINING_FILE"]).read_text().splitlines()
print(f"learning from {len(lines)} examples, from step {step} on", flush=True)
while step < steps:
    gate = settings.get("gate")
    while gate and step >= settings.get("free", 0) and not Path(gate).exists() and not stopping:
        time.sleep(0.005)
    if stopping:
        keep(step)
        sys.exit(0)
    if step == settings.get("fail"):
        sys.exit("out of memory, or of patience")
    time.sleep(settings.get("pause", 0.0))
    step += 1
    say(step=step, total_steps=steps, loss=1.0 / step, tokens=100 * step)
    if step % settings.get("every", 1000) == 0:
        keep(step)
(checkpoints / "model").write_text("weights")
say(model=str(checkpoints / "model"))
