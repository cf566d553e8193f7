"""A torch device that times points; torch is imported when one is opened, not before."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from eke.calibrate.measure import collective
from eke.calibrate.measure.journal import Host
from eke.calibrate.measure.points import LARGE, MESSAGES, SMALL, Point, moved
from eke.calibrate.measure.run import LEAST, Unable
from eke.errors import BadInput

SAMPLE = 2e-3  # seconds one repeat takes at least: shorter calls are made several times in it
MOST = 50  # repeats
FORMATS = ("bf16", "fp16", "fp32", "tf32", "int8", "fp8")
PIP = "pip install 'eke[measure]'"


def open_device(name: str = "", processes: int = 0) -> TorchDevice:
    """A torch device, by default the first accelerator or else the CPU. Raises BadInput.

    processes: that exchange; 0 takes one per device.
    """
    try:
        torch: Any = import_module("torch")
    except ImportError as error:
        raise BadInput(
            f"measuring needs torch, which cannot be imported ({error}). Install it: {PIP}"
        ) from None
    if not name:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).splitlines()[0][:120]
        raise BadInput(f"torch has no device {name!r} here: {said}") from None
    return TorchDevice(torch, name, processes)


class TorchDevice:
    """One device of this machine."""

    def __init__(self, torch: Any, name: str, processes: int) -> None:
        self.torch, self.device = torch, torch.device(name)
        self.cold = (SMALL if self.device.type == "cpu" else LARGE).cold
        self.links: dict[Point, list[float]] = {}
        self.host = self._host(processes)

    def times(self, point: Point, seconds: float) -> list[float]:
        """Seconds of each repeat; see `eke.calibrate.measure.run.Device`."""
        if point.sweep == "link":
            return self._exchange(point, seconds)
        try:
            call = self._call(point)
            with self.torch.set_grad_enabled(point.sweep == "attention_backward"):
                call()
                return self._repeat(call, seconds)
        except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
            said = str(error).splitlines() or [type(error).__name__]
            raise Unable(said[0]) from None

    def _repeat(self, call: Callable[[], Any], seconds: float) -> list[float]:
        once = self._seconds(call, 1)
        inner = max(1, min(2000, math.ceil(SAMPLE / max(once, 1e-9))))
        self._seconds(call, inner)  # clocks and caches settle
        found: list[float] = []
        end = time.perf_counter() + seconds
        while len(found) < LEAST or (len(found) < MOST and time.perf_counter() < end):
            found.append(self._seconds(call, inner))
        return found

    def _seconds(self, call: Callable[[], Any], times: int) -> float:
        self._wait()
        begin = time.perf_counter()
        for _ in range(times):
            call()
        self._wait()
        return (time.perf_counter() - begin) / times

    def _wait(self) -> None:
        if self.device.type != "cpu":
            getattr(self.torch, self.device.type).synchronize()

    def _exchange(self, point: Point, seconds: float) -> list[float]:
        """All message sizes are timed in one go: starting the processes takes longest."""
        if not self.links:
            ranks = point.shape[1]
            said = collective.all_reduce_times(self.device.type, ranks, MESSAGES, seconds)
            for size, times in said.items():
                self.links[Point(sweep="link", form="all-reduce", shape=(size, ranks))] = times
        return self.links[point]

    def _call(self, point: Point) -> Callable[[], Any]:
        """The work of a point, ready to be repeated."""
        makers: dict[str, Callable[[Point], Callable[[], Any]]] = {
            "launch": self._launch,
            "memory": self._memory,
            "matmul": self._matmul,
            "attention": self._attention,
            "attention_backward": self._backward,
        }
        return makers[point.sweep](point)

    def _random(self, shape: tuple[int, ...], form: str) -> Any:
        torch = self.torch
        if form == "int8":
            return torch.randint(-99, 99, shape, dtype=torch.int8, device=self.device)
        kinds = {"bf16": "bfloat16", "fp16": "float16", "fp8": "float8_e4m3fn"}
        made = 0.1 * torch.randn(shape, device=self.device)
        return made.to(getattr(torch, kinds.get(form, "float32")))

    def _matmul(self, point: Point) -> Callable[[], Any]:
        """Rows times weights that come from memory: enough copies of them, used in turn."""
        torch, form = self.torch, point.form
        rows, inputs, outputs = point.shape
        left = self._random((rows, inputs), form)
        weight = self._random((outputs, inputs), form)
        copies = max(1, min(64, math.ceil(self.cold / moved(point))))
        turn = _in_turn([weight.clone() for _ in range(copies)])
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = form == "tf32"
        if form == "int8":
            return lambda: torch._int_mm(left, turn().t())
        if form == "fp8":
            one = torch.ones((), device=self.device)
            return lambda: torch._scaled_mm(
                left, turn().t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16
            )
        return lambda: torch.nn.functional.linear(left, turn())

    def _memory(self, point: Point) -> Callable[[], Any]:
        torch, count = self.torch, point.shape[0] // 4
        if point.form == "weights":
            shape = (1, 4096, self._wide(point))
            return self._matmul(Point(sweep="matmul", form=self.host.formats[0], shape=shape))
        a, b, c = (self._random((count,), "fp32") for _ in range(3))
        if point.form == "copy":
            return lambda: a.copy_(b)
        return lambda: torch.add(b, c, alpha=1.5, out=a)

    def _wide(self, point: Point) -> int:
        """Outputs of the matrix of 4,096 inputs that has as many bytes as the stream."""
        width = {"bf16": 2, "fp16": 2}.get(self.host.formats[0], 4)
        return point.shape[0] // (4096 * width)

    def _heads(self, point: Point) -> tuple[Any, ...]:
        sequences, heads, kv_heads, size, new, cached = point.shape
        query = self._random((sequences, heads, new, size), point.form)
        keys, values = (
            self._random((sequences, kv_heads, new + cached, size), point.form) for _ in range(2)
        )
        return query, keys, values

    def _attend(self, point: Point, *heads: Any) -> Any:
        _, many, few, _, new, cached = point.shape
        attend = self.torch.nn.functional.scaled_dot_product_attention
        causal = new > 1 and cached == 0
        return attend(*heads, is_causal=causal, **({"enable_gqa": True} if many != few else {}))

    def _attention(self, point: Point) -> Callable[[], Any]:
        heads = self._heads(point)
        copies = max(1, min(64, math.ceil(self.cold / moved(point))))
        turn = _in_turn([tuple(part.clone() for part in heads) for _ in range(copies)])
        return lambda: self._attend(point, *turn())

    def _backward(self, point: Point) -> Callable[[], Any]:
        heads = [part.requires_grad_() for part in self._heads(point)]
        with self.torch.enable_grad():
            out = self._attend(point, *heads)
        given = self.torch.ones_like(out)
        return lambda: self.torch.autograd.grad(out, heads, given, retain_graph=True)

    def _launch(self, point: Point) -> Callable[[], Any]:
        """One call of the smallest matrix multiplication, or a block too small to compute long.

        On CUDA the block runs as engines run it: from a captured graph.
        """
        linear = self.torch.nn.functional.linear
        if point.form == "call":
            left, right = self._random((1, 8), "fp32"), self._random((8, 8), "fp32")
            return lambda: linear(left, right)
        block = self._block()
        if self.device.type != "cuda":
            return lambda: [block() for _ in range(point.shape[0])]
        with self.torch.inference_mode():
            block()
            graph = self.torch.cuda.CUDAGraph()
            with self.torch.cuda.graph(graph):
                for _ in range(point.shape[0]):
                    block()
        return lambda: graph.replay()

    def _block(self) -> Callable[[], Any]:
        """A decoder block of one token, width 16, written the plain way."""
        torch = self.torch
        functional, width = torch.nn.functional, 16
        square, wide = self._random((width, width), "fp32"), self._random((32, width), "fp32")
        start, norm = self._random((1, width), "fp32"), self._random((width,), "fp32")
        angle = self._random((1, width // 2), "fp32")

        def turned(x: Any) -> Any:
            half = x[:, : width // 2], x[:, width // 2 :]
            return torch.cat(
                (half[0] * angle - half[1] * angle, half[1] * angle + half[0] * angle), 1
            )

        def block() -> Any:
            x = start
            y = functional.rms_norm(x, (width,), norm)
            query, key, value = (functional.linear(y, square) for _ in range(3))
            shape = (1, 2, 1, width // 2)
            query, key = turned(query).view(shape), turned(key).view(shape)
            seen = functional.scaled_dot_product_attention(query, key, value.view(shape))
            x = x + functional.linear(seen.view(1, width), square)
            y = functional.rms_norm(x, (width,), norm)
            up, gate = functional.linear(y, wide), functional.linear(y, wide)
            return x + functional.linear(functional.silu(gate) * up, wide.t())

        return block

    def _host(self, processes: int) -> Host:
        torch, kind = self.torch, self.device.type
        ranks = max(processes, 1) if kind == "cpu" else 1
        if kind == "cuda":
            about = torch.cuda.get_device_properties(self.device)
            name, memory = about.name, float(about.total_memory)
            devices = torch.cuda.device_count()
            ranks = min(processes or devices, devices)
            vendor = "AMD" if torch.version.hip else "NVIDIA"
        else:
            name, memory = _processor(torch.get_num_threads()), _main_memory()
            name = name if kind == "cpu" else f"{name} {kind}"
            vendor = name.split()[0]
        self.host = Host(name=name, vendor=vendor, kind="cpu", memory=memory, formats=("fp32",))
        formats = tuple(form for form in FORMATS if self._computes(form))
        return Host(
            name=name,
            vendor=vendor,
            kind="cpu" if kind == "cpu" else "gpu",
            memory=memory,
            formats=formats,
            ranks=ranks,
            software=f"torch {torch.__version__}",
        )

    def _computes(self, form: str) -> bool:
        """Whether the device multiplies matrices in a format at all."""
        if form == "tf32" and (self.device.type != "cuda" or self.torch.version.hip):
            return False
        if form in ("fp16", "fp8") and self.device.type == "cpu":
            return False  # emulated
        try:
            self._matmul(Point(sweep="matmul", form=form, shape=(32, 64, 64)))()
            self._wait()
        except (RuntimeError, NotImplementedError, TypeError, AttributeError):
            return False
        return True


def _in_turn(parts: list[Any]) -> Callable[[], Any]:
    """A function that hands out the parts one after the other, over and over."""
    state = [0]

    def turn() -> Any:
        state[0] = (state[0] + 1) % len(parts)
        return parts[state[0]]

    return turn


def _processor(threads: int) -> str:
    """The processor's name and the cores torch uses of it, such as "AMD EPYC 2 cores"."""
    named = ""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        lines = listed.read_text(encoding="utf-8", errors="replace").splitlines()
        named = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
    named = named or platform.processor() or platform.machine() or "CPU"
    return f"{named} {threads} core{'s' * (threads > 1)}"


def busy() -> float:
    """How many programs want to run on this machine, over its cores; 0 where it does not say."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):
        return 0.0


def _main_memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return 8e9
