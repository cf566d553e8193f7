"""What chips send each other in one forward pass, over the fast links and the network.

Ranks are placed tensor first, then context and data, pipeline last, so that the groups that
talk most share a scale-up domain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import network
from eke.physics.layers import block_weights
from eke.physics.machine import Machine
from eke.physics.operations import ACTIVATION, AnyPlan, expert_cut, kv_numbers, kv_pieces
from eke.physics.roofline import experts_touched
from eke.types.model import Experts, Model, Stack


def group_all_reduce(machine: Machine, *, size: Any, ranks: Any, stride: Any = 1) -> Any:
    """Time of an all-reduce over `ranks` chips that stand `stride` chips apart [s]."""
    inside = _inside(machine, ranks, stride)
    return network.hierarchical_all_reduce_time(
        size=size,
        ranks=ranks,
        inner_ranks=inside,
        inner_bandwidth=machine.link,
        inner_latency=machine.link_latency,
        outer_bandwidth=machine.network,
        outer_latency=machine.network_latency,
        start=machine.knobs.collective,
    )


def group_gather(machine: Machine, *, size: Any, ranks: Any, stride: Any = 1) -> Any:
    """Time of an all-gather, or of a reduce-scatter, of `size` bytes in all [s]."""
    return group_all_reduce(machine, size=size, ranks=ranks, stride=stride) / 2


def group_all_to_all(machine: Machine, *, size: Any, ranks: Any, copies: Any = 1) -> Any:
    """Time for each chip to send `size` bytes, spread over the group [s].

    copies: of each token, of which one crosses to each other domain and is copied on there.
    """
    inside = _inside(machine, ranks, 1)
    return network.hierarchical_all_to_all_time(
        size=size,
        ranks=ranks,
        inner_ranks=inside,
        inner_bandwidth=machine.link,
        inner_latency=machine.link_latency,
        outer_bandwidth=machine.network,
        outer_latency=machine.network_latency,
        start=machine.knobs.collective,
        repeated=_domains_met(np.maximum(ranks / inside, 1), copies),
    )


def _domains_met(domains: Any, copies: Any) -> Any:
    """Distinct domains that a token's copies go to, over its copies."""
    return experts_touched(experts=domains, active=1, tokens=copies) / copies


def hop(machine: Machine, *, size: Any, distance: Any) -> Any:
    """Time to send `size` bytes to a chip `distance` chips away [s]."""
    near = distance < machine.domain
    return network.point_to_point_time(
        size=size,
        bandwidth=np.where(near, machine.link, machine.network),
        latency=np.where(near, machine.link_latency, machine.network_latency),
    )


def _inside(machine: Machine, ranks: Any, stride: Any) -> Any:
    """How many ranks of the group share one scale-up domain."""
    return np.minimum(ranks, np.maximum(machine.domain // np.maximum(stride, 1), 1))


def tensor_exchange(model: Model, tokens: Any, plan: AnyPlan, machine: Machine) -> Any:
    """Time of the all-reduces behind every divided mixer and feed-forward network, of so many
    tokens on a chip [s]."""
    times = sum(stack.count * _reduced(stack, model.hidden, plan) for stack in model.stacks)
    size = tokens * (ACTIVATION * model.hidden)
    return times * group_all_reduce(machine, size=size, ranks=plan.tensor)


def _reduced(stack: Stack, hidden: int, plan: AnyPlan) -> Any:
    """All-reduces of one block in a forward pass: one behind each row-split matrix chain, but none
    behind experts whose tokens are sent back."""
    parts = {w.part for w in block_weights(stack.block, hidden) if w.split == "rows"}
    chains = len(parts - {"shared"}) + (1 if parts == {"shared"} else 0)
    return chains - ("experts" in parts) * _sends_tokens(plan)


def _sends_tokens(plan: AnyPlan) -> Any:
    """Whether tokens travel to their experts: where ranks hold different tokens. Ranks of one
    tensor group hold the same ones, compute their own experts and add up."""
    return (np.asarray(plan.expert) > 1) & (np.asarray(plan.data) * plan.context > 1)


def expert_exchange(model: Model, tokens: Any, plan: AnyPlan, machine: Machine) -> Any:
    """Time to send so many tokens of a chip to their experts and back, in all layers [s]."""
    total: Any = 0.0
    for stack in model.stacks:
        feed = stack.block.feed
        if isinstance(feed, Experts):
            width = feed.latent or model.hidden
            ranks = plan.expert * expert_cut(plan)
            sent = tokens * feed.active * width * ACTIVATION / plan.tensor
            sends = _sends_tokens(plan)
            once = group_all_to_all(machine, size=sent * sends, ranks=ranks, copies=feed.active)
            total = total + stack.count * 2 * once * sends
    return total


def context_exchange(model: Model, tokens: Any, plan: AnyPlan, machine: Machine) -> Any:
    """Time to pass keys and values of so many tokens of a chip around the ring of context-parallel
    ranks [s]."""
    total: Any = 0.0
    if np.max(plan.context) == 1:
        return total
    whole = tokens * plan.context
    for stack in model.stacks:
        numbers = kv_numbers(stack.block.mixer)
        size = whole * (ACTIVATION * numbers / kv_pieces(stack.block.mixer, plan.tensor))
        gather = group_gather(machine, size=size, ranks=plan.context, stride=plan.tensor)
        total = total + stack.count * gather * (numbers > 0)
    return total


def stage_exchange(model: Model, tokens: Any, plan: AnyPlan, machine: Machine) -> Any:
    """Time to hand the activations of so many tokens of a chip from stage to stage, over all
    boundaries of one pass [s]."""
    size = ACTIVATION * tokens * model.hidden / plan.tensor
    distance = plan.tensor * plan.context * plan.data
    once = hop(machine, size=size, distance=distance)
    return (plan.pipeline * plan.virtual - 1) * once
