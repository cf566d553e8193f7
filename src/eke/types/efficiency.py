"""How much of what a maker promises arrives: values measured, fitted or assumed, never published
peaks."""

from __future__ import annotations

from typing import Any, Literal

from eke.types.chip import SourceKind
from eke.types.record import Record


class Efficiency(Record):
    """One such value, with its 80 % interval, in SI base units (`unit`)."""

    name: str
    low: float
    likely: float
    high: float
    unit: str
    kind: SourceKind | Literal["fitted"]
    source: str
    family: str = "any"  # the table it stands in: a chip family or an engine
    note: str = ""


class Knobs(Record):
    """The values the physics runs with: numbers, or arrays that hold one scenario per element.

    Shares are of the published peak. See `docs/words.md` for each.
    """

    matmul: Any  # share of the peak that large 16- and 32-bit matrix multiplications reach
    matmul_low: Any  # the same for 8- and 4-bit formats
    matmul_rows: Any  # rows at which a wide matrix multiplication reaches half of that
    matmul_columns: Any  # columns of a result that needs twice as many rows for it
    matmul_kernel: Any  # speed of the engine's matrix kernels over the best for the chip
    grouped: Any  # speed of grouped expert matrices over that of one as large
    overlap_memory: Any  # share of the shorter of computing and reading hidden in an operation
    attention: Any  # share of the peak in the attention core over long sequences, forward
    attention_backward: Any  # backward
    attention_kernel: Any  # speed of the framework's attention kernels over the best of the chip
    attention_tokens: Any  # keys at which the attention core reaches half of that
    scores: Any  # times all attention scores pass through memory; 0 with FlashAttention
    passes: Any  # memory traffic of norms and activations over that of fused kernels
    memory: Any  # share of the memory bandwidth in long streams
    link: Any  # share of the scale-up link in large messages
    link_latency: Any  # per hop [s]
    network: Any  # share of the network in large messages
    network_latency: Any  # per hop [s]
    launch: Any  # per operator of a forward pass, where it is not hidden [s]
    collective: Any  # from calling a collective until it runs on all ranks [s]
    dispatch: Any  # of the host per operator in training, hidden while the chip is slower [s]
    routing: Any  # per layer of experts in training: counting, waiting for the host, sorting [s]
    turn: Any  # of a training step: data, gradient norm, optimizer launches, logging [s]
    handover: Any  # per round of alignment: data between phases, weights to the engine [s]
    straggle: Any  # what each doubling of the chips adds to a step: all wait for the slowest
    step: Any  # the engine's own work per step: scheduling, sampling, sending [s]
    request: Any  # the server's own work per request, one after the other [s]
    sequence: Any  # of that per sequence in flight [s]
    overlap_tensor: Any  # share of tensor-parallel exchange hidden behind arithmetic
    overlap_context: Any
    overlap_expert: Any
    overlap_data: Any
    overlap_stage: Any  # of handing activations from stage to stage
    imbalance: Any  # load of the busiest expert rank over the mean
    stage_imbalance: Any  # time of the slowest pipeline stage over the mean
    logits_alone: Any  # share of the logits that the last stage carries on top of its layers
    reserved: Any  # memory the runtime keeps for itself on each chip [B]
    reserved_share: Any  # but at most this share of it, on small chips
    fragmentation: Any  # share of memory lost between allocations
    failure_interval: Any  # mean time between failures that stop the job, per chip [s]
    restart: Any  # from a failure until training again [s]
    checkpoint_speed: Any  # writing checkpoints, per chip [B/s]
    checkpoint_stall: Any  # share of the writing during which training waits
    power_share: Any  # mean power of a busy chip over its maximum
    idle_power: Any  # power of a waiting chip over that of a busy one
    server_power: Any  # power of the server over that of its chips
    pue: Any  # power of the site over that of its servers
    electricity: Any  # [USD/J]
    carbon: Any  # emitted by the grid [kg/J]
    confidential: Any  # share of throughput that confidential computing costs
    price: Any  # rent one finds over the rent in the catalogue
    host_link: Any  # share of the PCIe of a card when all cards of its server exchange at once
    full: Any  # what the physics leaves out where all places of an engine are taken, as a factor
    first: Any  # what the physics leaves out of the wait before the first token, as a factor
    scatter: Any  # what the physics leaves out, as a factor on every duration
    adapter_time: Any = 1.0  # time with low-rank factors over what their bytes and launches take
    # What-ifs, 1 in every answer: "memory speed +10 %" scales what the maker published.
    peak_change: Any = 1.0
    memory_change: Any = 1.0
    link_change: Any = 1.0
    network_change: Any = 1.0
    prefill: Knobs | None = None  # of the chips that take in prompts, where those are others
