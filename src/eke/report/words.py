"""An answer in words: the answer first, then parts, grounds, what matters, what next."""

from __future__ import annotations

from collections.abc import Sequence

from eke.physics.scenarios import OTHER
from eke.report.text import table, wrap
from eke.types.need import Change, Figure, Ground, Infeasible, Matter, Need, Part, Span
from eke.types.plan import DEGREES, Plan
from eke.types.record import replace
from eke.units import show

UNITS = {"chips": "1", "time": "s", "memory": "B", "energy": "J", "money": "USD"}


LABELS = {  # values that decide what arrives of a published figure, as people call them
    "matmul": "matrix efficiency",
    "matmul_low": "8- and 4-bit matrix efficiency",
    "matmul_rows": "rows at half efficiency",
    "attention": "attention efficiency",
    "attention_backward": "attention efficiency backward",
    "memory": "memory efficiency",
    "link": "link efficiency",
    "network": "network efficiency",
    "host_link": "PCIe shared with the host",
    "launch": "kernel launch",
    "dispatch": "host time per operator",
    "routing": "fixed time per layer of experts",
    "attention_kernel": "attention kernel over the chip's best",
    "turn": "fixed time per training step",
    "handover": "fixed time per round",
    "straggle": "waiting for the slowest chip",
    "attention_tokens": "keys at half attention efficiency",
    "scores": "passes over attention scores",
    "passes": "passes over activations",
    "logits_alone": "logits beyond a fair stage",
    "step": "engine time per step",
    "imbalance": "busiest expert over mean",
    "stage_imbalance": "slowest stage over mean",
    "reserved": "memory the runtime keeps",
    "failure_interval": "time between failures of a chip",
    "restart": "restart after a failure",
    "power_share": "power at work over maximum",
    "price": "price over catalogue",
    "carbon": "carbon of the grid",
    "adapter_time": "adapter kernels over their bytes",
    "scatter": "what the physics leaves out",
    "full": "what a full engine loses",
    **{
        name: name.replace("_", " ")
        for name in (
            *("link_latency", "network_latency", "overlap_tensor", "overlap_context"),
            *("overlap_expert", "overlap_data", "overlap_stage", "reserved_share"),
            *("checkpoint_speed", "checkpoint_stall", "idle_power", "server_power"),
        )
    },
}


KINDS = ("given", "published", "measured", "fitted", "derived", "assumed")  # best known first


def label(name: str) -> str:
    """A value as people call it, those of the other half of a plan told apart."""
    own = name.removeprefix(OTHER)
    return LABELS.get(own, own) + (" of the other half" if own != name else "")


def need_words(need: Need, command: str = "") -> str:
    """The whole answer as text."""
    blocks = [
        headline(need),
        layout(need.plan, chosen_words(need)),
        _figures(need),
        *(_parts(need, of) for of in dict.fromkeys(part.of for part in need.parts)),
        _grounds(need),
        _matters(need.matters),
        *(wrap(f"  note       {remark}", indent=" " * 13) for remark in need.remarks),
        _next(command),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


def headline(need: Need) -> str:
    """Line one: the answer with its unit."""
    chips = chips_words(need)
    if need.job == "serve":
        figures = need.figures
        words = [
            f"{chips} serve{'s' if need.chips.likely == 1 else ''} it",
            f"{between(figures['ttft'])} to first token",
            f"{between(figures['tpot'])} per token",
        ]
        if "cost_per_million_tokens" in figures:
            words.append(f"{money(figures['cost_per_million_tokens'].span)} per million tokens")
        return ", ".join(words)
    words = [f"{spread(need.time, 's')} on {chips}"]
    if need.money is not None:
        words.append(spread(need.money, "USD"))
    if need.energy is not None:
        words.append(spread(need.energy, "J"))
    return ", ".join(words)


def chips_words(need: Need) -> str:
    """How many of which chips, those of both halves of a plan named."""
    half = need.plan.other
    if half is None or half.chip == need.plan.chip:
        return f"{need.chips.likely:,.0f} {need.plan.chip}"
    own, other = need.plan.own_chips, need.plan.other_chips
    return f"{own:,} {need.plan.chip} and {other:,} {half.chip}"


def between(figure: Figure) -> str:
    """ "28 ms (20 – 43)": likely, then low and high."""
    return spread(figure.span, figure.unit)


def spread(span: Span, unit: str) -> str:
    """A span as text, its unit once where all three share it."""
    likely, low, high = shown(span, unit)
    if low == high:
        return likely
    word = likely.partition(" ")[2]
    if word and low.endswith(f" {word}") and high.endswith(f" {word}"):
        low, high = low.removesuffix(f" {word}"), high.removesuffix(f" {word}")
    return f"{likely} ({low} – {high})"


SHARES = ("mfu", "hfu", "goodput", "utilisation", "adapter_misses")  # people read these in percent


def shown(span: Span, unit: str) -> tuple[str, str, str]:
    """Likely, low and high as text; all three in joules or all three in watt-hours."""
    values = (span.likely, span.low, span.high)
    if unit == "%":
        likely, low, high = (f"{100 * x:.3g} %" for x in values)
    elif unit == "J" and span.likely >= 3600:
        likely, low, high = (show(x / 3600, "Wh") for x in values)
    elif unit == "J":
        likely, low, high = (show(x, "J", joules=True) for x in values)
    else:
        likely, low, high = (show(x, unit) for x in values)
    return likely, low, high


def shown_unit(name: str, unit: str) -> str:
    """The unit a figure is read in."""
    if unit.startswith("USD per"):
        return "USD"
    return "%" if name in SHARES else unit


def money(span: Span) -> str:
    """Dollars with their span."""
    return spread(span, "USD")


def chosen_words(need: Need) -> str:
    """Who settled the plan."""
    if not need.chosen:
        return "as given"
    by_date = any(ground.name == "within" for ground in need.grounds)
    return "smallest that fits" if need.job == "serve" or by_date else "simplest that is fast"


def layout(plan: Plan, who: str, job: str = "") -> str:
    """The plan in a line. job: the kind of job whose batches it names too."""
    words = [*_degrees(plan), *batches(plan, job), *_settings(plan)]
    return wrap(f"  plan       {', '.join(words)} ({who})", indent=" " * 13)


def batches(plan: Plan, job: str) -> list[str]:
    """What is done at once: sequences and tokens of an engine's step, or of an optimizer's."""
    if job == "serve":
        return [f"batch {plan.batch:,}", f"token budget {plan.token_budget:,}"]
    if job:
        return [f"batch {plan.batch:,}", f"micro-batch {plan.micro_batch}"]
    return []


def _degrees(plan: Plan) -> list[str]:
    words = [f"{name} {getattr(plan, name)}" for name in DEGREES if getattr(plan, name) > 1]
    if plan.stage_layers:
        words.append(f"{plan.stage_layers} layers per stage")
    return words


def _rear(plan: Plan, rear: Plan) -> str:
    """What the later stages of a pipeline have of their own."""
    words = [*_degrees(replace(rear, data=1, context=1)), *_formats(rear)]
    if rear.recompute == "full":
        words.append("full recomputation")
    own = ", ".join(words)
    return f"later stages on {plan.other_chips:,} {rear.chip} ({own})"


def _formats(plan: Plan) -> list[str]:
    return [f"weights {plan.weights}", f"computing in {plan.compute}"]


def _settings(plan: Plan) -> list[str]:
    words = [plan.engine] if plan.engine else []
    words += _formats(plan)
    if plan.cache != "bf16":
        words.append(f"cache {plan.cache}")
    if plan.shard and plan.data * plan.context > 1:
        words.append("FSDP" if plan.shard == 3 else f"ZeRO-{plan.shard}")
    if plan.recompute == "full":
        words.append("full recomputation")
    if plan.stream:
        words.append("weights streamed from external memory")
    if plan.sparse:
        words.append("2:4 sparse")
    if plan.drafts:
        words.append(f"{plan.drafts} drafts per step")
    if plan.offload:
        words.append("kept conversations in host memory")
    if plan.adapter_slots:
        words.append(f"{plan.adapter_slots} adapters resident")
    if plan.prefill is not None:
        words.append(f"prefill on {plan_words(plan.prefill)}")
    if plan.rear is not None:
        words.append(_rear(plan, plan.rear))
    return words


def _figures(need: Need) -> str:
    rows = []
    for name in ("memory", "time", "energy", "money"):
        value = getattr(need, name)
        if value is not None:
            rows.append((name, *_cells(value, UNITS[name]), _means(need, name)))
    for name, figure in need.figures.items():
        unit = shown_unit(name, figure.unit)
        rows.append((name.replace("_", " "), *_cells(figure.span, unit), figure.means))
    return "\n" + table(rows, head=("", "likely", "low", "high", ""))


def _means(need: Need, name: str) -> str:
    if name == "memory":
        return "on the fullest chip"
    return "per request" if need.job == "serve" else "the whole job"


def _cells(span: Span, unit: str) -> tuple[str, str, str]:
    likely, low, high = shown(span, unit)
    return (likely, "", "") if low == high else (likely, low, high)


def _parts(need: Need, of: str) -> str:
    parts = [part for part in need.parts if part.of == of]
    total = sum(part.span.likely for part in parts)
    ranked = sorted(parts, key=lambda part: -part.span.likely)
    words = [
        f"{part.name} {_part_words(part, total)}"
        for part in ranked
        if part.span.likely > 5e-4 * total
    ]
    return wrap(f"  {of:<10} {', '.join(words)}", indent=" " * 13)


def _part_words(part: Part, total: float) -> str:
    if part.of == "memory":
        return show(part.span.likely, part.unit)
    share = 100 * part.span.likely / total
    return f"{share:.0f} %" if share >= 9.95 else f"{share:.2g} %"


def counted(grounds: Sequence[Ground]) -> str:
    """How many there are of each kind, the best known first."""
    kinds = [ground.kind for ground in grounds]
    return "; ".join(f"{kinds.count(kind)} {kind}" for kind in KINDS if kind in kinds)


def _grounds(need: Need) -> str:
    words = counted(need.grounds)
    return wrap(f"  grounds    {words}: `eke explain` lists each with its source", indent=" " * 13)


def _matters(matters: tuple[Matter, ...]) -> str:
    words = [f"{label(m.name)} {m.change}: {m.figure} ×{m.factor:.2f}" for m in matters[:4]]
    return wrap("  matters    " + "; ".join(words), indent=" " * 13) if words else ""


def _next(command: str) -> str:
    return f"  next       {command}" if command else ""


def infeasible_words(found: Infeasible) -> str:
    """Why it cannot be done and what is missing."""
    unit = found.unit
    lines = [
        f"not feasible: {found.limit} is short by {show(found.by, unit)} "
        f"({show(found.need, unit)} needed, {show(found.have, unit)} there)",
        f"  try        {found.hint}",
    ]
    if found.plan is not None:
        lines.insert(1, layout(found.plan, "closest"))
    lines += [_change(change) for change in found.changes]
    if len(found.together) > 1:
        words = (f"{change.name} {_from_to(change)}" for change in found.together)
        lines.append(wrap(f"  or         together: {', '.join(words)}", indent=" " * 13))
    return "\n".join(lines) + "\n"


def _change(change: Change) -> str:
    """What alone would make it feasible, with the plan that then does it."""
    plan = plan_words(change.plan)
    return wrap(f"  or         {change.name} {_from_to(change)}: {plan}", indent=" " * 13)


def _from_to(change: Change) -> str:
    now, at = show(change.now, change.unit), show(change.at, change.unit)
    return f"{at} instead of {now}"


def plan_words(plan: Plan) -> str:
    """A plan in a few words: how many chips of which kind, and how they are cut."""
    words = _degrees(plan)
    words += [f"ZeRO-{plan.shard}"] if 0 < plan.shard < 3 else []
    words += ["FSDP"] if plan.shard == 3 else []
    words += ["full recomputation"] if plan.recompute == "full" else []
    words += [plan.weights] if plan.weights not in ("bf16", "fp16") else []
    words += [f"{plan.drafts} drafts"] if plan.drafts else []
    words += ["offload"] if plan.offload else []
    words += [f"{plan.adapter_slots} adapter slots"] if plan.adapter_slots else []
    text = f"{plan.own_chips:,} {plan.chip}" + (f": {', '.join(words)}" if words else "")
    if plan.prefill is not None:
        return f"{text}; prefill on {plan_words(plan.prefill)}"
    if plan.rear is not None:
        own = ", ".join(_degrees(replace(plan.rear, data=1, context=1)))
        return f"{text}; later stages on {plan.other_chips:,} {plan.rear.chip}: {own}"
    return text
