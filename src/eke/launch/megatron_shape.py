"""A model's shape as Megatron-LM's arguments.

What a Model does not record (kind of norm, activation, positions, routing) follows from its
family; other families are refused rather than guessed.
"""

from __future__ import annotations

from eke.errors import BadInput
from eke.launch.script import Raw, Value
from eke.types.model import Attention, Block, Experts, Feed, LatentAttention, Model
from eke.types.record import Record


class Family(Record):
    """What the models of an architecture have in common.

    epsilon: of the norms, as the makers' config.json has it.  router: options of the routing.
    dense_first: layers without experts come before those with.
    """

    epsilon: str = "1e-05"
    router: dict[str, Value] = {}
    dense_first: bool = False
    learned: bool = False  # GPT-2: learned positions, layer norms, GELU and biases


SIGMOID: dict[str, Value] = {  # DeepSeek-V3, arXiv 2412.19437 (sections 2.1.2 and 4.2)
    "moe-router-score-function": "sigmoid",
    "moe-router-enable-expert-bias": True,
    "moe-router-bias-update-rate": "0.001",
    "moe-router-num-groups": 8,
    "moe-router-group-topk": 4,
    "moe-router-topk-scaling-factor": "2.5",
    "moe-router-load-balancing-type": "seq_aux_loss",
    "moe-aux-loss-coeff": "0.0001",
    "moe-router-dtype": "fp32",
}
SOFTMAX: dict[str, Value] = {
    "moe-router-load-balancing-type": "aux_loss",
    "moe-aux-loss-coeff": "0.001",
}
FAMILIES = {
    "llama": Family(),
    "mistral": Family(),
    "qwen2": Family(epsilon="1e-06"),
    "qwen3": Family(epsilon="1e-06"),
    "mixtral": Family(router=SOFTMAX),
    "qwen3moe": Family(epsilon="1e-06", router=SOFTMAX),
    "qwen2moe": Family(epsilon="1e-06", router={**SOFTMAX, "moe-router-pre-softmax": True}),
    "deepseekv3": Family(epsilon="1e-06", router=SIGMOID, dense_first=True),
    "gpt2": Family(learned=True),
}


def family(model: Model) -> Family:
    """The family of a model. Raises BadInput for one whose norms and positions eke cannot tell."""
    word = model.architecture
    for end in ("ForCausalLM", "LMHeadModel"):
        word = word.removesuffix(end)
    found = FAMILIES.get(word.casefold().replace("_", ""))
    if found is None:
        raise BadInput(
            f"{model.name} is a {model.architecture}; eke knows the norms, positions and routing "
            f"that megatron asks for only of {', '.join(FAMILIES)}."
        )
    return found


def shape(model: Model, sequence: int) -> dict[str, Value]:
    """Option → value of everything that makes the model what it is."""
    kind = family(model)
    _refuse_parts(model)
    block = model.stacks[0].block
    return {
        "num-layers": model.layers,
        "hidden-size": model.hidden,
        **_attention(model, block, sequence),
        **_feeds(model, kind),
        **(_learned(model) if kind.learned else _rotary(kind)),
        "seq-length": sequence,
        "max-position-embeddings": max(model.positions, sequence),
        "vocab-size": model.vocabulary,
        "untie-embeddings-and-output-weights": not model.tied,
        "attention-dropout": "0.0",
        "hidden-dropout": "0.0",
    }


def _refuse_parts(model: Model) -> None:
    """Parts that pretrain_gpt.py does not build."""
    odd = {
        "encoders": model.encoders,
        "an encoder and a decoder": not model.decoder_only,
        "an embedding of another width": model.embedding not in (None, model.hidden),
        "matrices outside its layers": model.matrices,
        "further tables": model.table_parameters,
        "a bias on its logits": model.logits_bias,
    }
    for what, there in odd.items():
        if there:
            raise BadInput(f"{model.name} has {what}; megatron's pretrain_gpt.py builds none.")
    mixers = {stack.block.mixer for stack in model.stacks}
    if len(mixers) > 1:
        raise BadInput(f"{model.name} has layers of several kinds of attention, which megatron's "
                       "pretrain_gpt.py does not mix.")  # fmt: skip


def _attention(model: Model, block: Block, sequence: int) -> dict[str, Value]:
    mixer = block.mixer
    if isinstance(mixer, LatentAttention) and not mixer.top_tokens and not mixer.index_heads:
        return _latent(mixer)
    if not isinstance(mixer, Attention) or not _plain(mixer):
        raise BadInput(f"megatron's pretrain_gpt.py has no attention as in {model.name}.")
    if mixer.window is not None and mixer.window < sequence:
        raise BadInput(
            f"{model.name} sees a window of {mixer.window} tokens; eke writes full attention: "
            f"train on sequences of at most {mixer.window} tokens."
        )
    grouped = mixer.kv_heads < mixer.heads
    return {
        "num-attention-heads": mixer.heads,
        "group-query-attention": grouped,
        "num-query-groups": mixer.kv_heads if grouped else None,
        "kv-channels": mixer.head_size,
        **_vectors(model, mixer),
    }


def _plain(mixer: Attention) -> bool:
    odd = (mixer.gated, mixer.cross, mixer.top_tokens, mixer.shares_cache)
    alike = mixer.value_size in (None, mixer.head_size)
    return mixer.causal and alike and not any(odd)


def _vectors(model: Model, mixer: Attention) -> dict[str, Value]:
    """Biases or norms of queries and keys, told apart by how many numbers they are."""
    biases = (mixer.heads + 2 * mixer.kv_heads) * mixer.head_size
    if mixer.vectors == 0 or model.positions:
        return {}
    if mixer.vectors == biases:
        return {"add-qkv-bias": True}
    if mixer.vectors == 2 * mixer.head_size:
        return {"qk-layernorm": True}
    raise BadInput(
        f"{model.name} has {mixer.vectors} numbers beside the matrices of its attention; megatron "
        f"has biases on queries, keys and values ({biases}) or norms ({2 * mixer.head_size})."
    )


def _latent(mixer: LatentAttention) -> dict[str, Value]:
    return {
        "num-attention-heads": mixer.heads,
        "multi-latent-attention": True,
        "q-lora-rank": mixer.query_rank,
        "kv-lora-rank": mixer.cache_rank,
        "qk-head-dim": mixer.nope_size,
        "qk-pos-emb-head-dim": mixer.rope_size,
        "v-head-dim": mixer.value_size,
        "qk-layernorm": True,
        "rope-type": "rope",
    }


def _feeds(model: Model, kind: Family) -> dict[str, Value]:
    feeds = [stack.block.feed for stack in model.stacks]
    dense = [feed for feed in feeds if isinstance(feed, Feed)]
    routed = [feed for feed in feeds if isinstance(feed, Experts)]
    if len(dense) > 1 or len(routed) > 1 or len(dense) + len(routed) < len(feeds):
        raise BadInput(f"{model.name} has feed-forwards of several widths; megatron has one.")
    gated = [feed.gated for feed in dense] + [feed.gated for feed in routed]
    if kind.learned in gated:
        raise BadInput(f"{model.name} has another kind of feed-forward than its family has.")
    width = dense[0].width if dense else routed[0].width
    sizes: dict[str, Value] = {"ffn-hidden-size": width, "swiglu": not kind.learned}
    return {**sizes, **(_experts(model, routed[0], kind) if routed else {})}


def _experts(model: Model, feed: Experts, kind: Family) -> dict[str, Value]:
    if not kind.router or feed.latent is not None or not feed.shared_gated:
        raise BadInput(f"megatron has no experts as in {model.name}.")
    groups = kind.router.get("moe-router-num-groups")
    if groups and feed.count != 256:
        raise BadInput(
            f"{model.name} has {feed.count} experts; eke knows how DeepSeek-V3's 256 are routed "
            "and not these."
        )
    return {
        "num-experts": feed.count,
        "moe-router-topk": feed.active,
        "moe-ffn-hidden-size": feed.width,
        "moe-shared-expert-intermediate-size": feed.shared or None,
        "moe-shared-expert-gate": feed.shared_gate,
        "moe-layer-freq": _order(model, kind),
        "moe-grouped-gemm": True,
        **kind.router,
    }


def _order(model: Model, kind: Family) -> Value:
    """Which layers have experts; None where all do."""
    routed = [isinstance(stack.block.feed, Experts) for stack in model.stacks]
    if all(routed):
        return None
    if not kind.dense_first:
        raise BadInput(f"eke does not know which layers of {model.name} have experts.")
    counts = [sum(s.count for s, r in zip(model.stacks, routed, strict=True) if r == e)
              for e in (False, True)]  # fmt: skip
    return f"([0]*{counts[0]}+[1]*{counts[1]})"


def _rotary(kind: Family) -> dict[str, Value]:
    return {
        "normalization": "RMSNorm",
        "norm-epsilon": kind.epsilon,
        "position-embedding-type": "rope",
        "rotary-base": Raw("$ROTARY_BASE"),
        "disable-bias-linear": True,
    }


def _learned(model: Model) -> dict[str, Value]:
    return {"normalization": "LayerNorm", "position-embedding-type": "learned_absolute"}
