"""The shape of one LLM: enough to count every parameter, operation and cached byte exactly.

Matrices follow from the shapes below. `vectors` counts the parameters that are in no matrix
multiplication (norms, biases, sinks, convolutions, decay rates), so that counts are exact.
"""

from __future__ import annotations

from typing import Literal

from eke.errors import BadInput
from eke.types.chip import Fact
from eke.types.record import Record


class Attention(Record, tag="attention", tag_field="kind"):
    """Softmax attention with per-head keys and values (MHA, GQA, MQA)."""

    heads: int
    kv_heads: int
    head_size: int
    value_size: int | None = None  # of values, where it differs from head_size
    window: int | None = None  # sliding window or chunk [tokens]; None sees the whole context
    causal: bool = True
    gated: bool = False  # the query projection also makes an output gate of heads × head_size
    cross: bool = False  # keys and values come from the encoder: cached once, length fixed
    shares_cache: bool = (
        False  # reads another layer's keys and values: no k/v projection of its own
    )
    top_tokens: int | None = None  # sparse attention reads at most this many cached tokens
    index_heads: int = 0  # heads of the indexer that picks them (DeepSeek sparse attention)
    index_size: int = 0
    vectors: int = 0


class LatentAttention(Record, tag="latent", tag_field="kind"):
    """Multi-head latent attention (DeepSeek): a compressed cache shared by all heads."""

    heads: int
    query_rank: int | None  # None: queries are not compressed
    cache_rank: int
    nope_size: int
    rope_size: int
    value_size: int
    top_tokens: int | None = None  # sparse attention reads at most this many cached tokens
    index_heads: int = 0
    index_size: int = 0
    vectors: int = 0


class StateSpace(Record, tag="state-space", tag_field="kind"):
    """Mamba 1 (step_rank set) or Mamba 2 (heads and groups set): constant state per sequence."""

    version: Literal[1, 2]
    inner: int  # channels inside
    state: int  # state size per channel
    convolution: int  # kernel length
    heads: int = 0  # Mamba 2
    groups: int = 1  # Mamba 2
    step_rank: int = 0  # Mamba 1
    vectors: int = 0


class LinearAttention(Record, tag="linear", tag_field="kind"):
    """Gated delta rule or lightning attention: constant state per sequence.

    projections: output widths of the matrices that read the hidden state, summed.
    """

    key_heads: int
    value_heads: int
    key_size: int
    value_size: int
    convolution: int = 0
    projections: int  # columns of all input matrices together (q, k, v, gates, decays)
    vectors: int = 0


class Feed(Record, tag="dense", tag_field="kind"):
    """A dense feed-forward network: two matrices, or three when gated (SwiGLU, GeGLU)."""

    width: int
    gated: bool = True
    vectors: int = 0


class Experts(Record, tag="experts", tag_field="kind"):
    """Routed experts, with `shared` columns that every token uses.

    width: of one routed expert.  shared: width of all shared experts together.
    latent: width the routed experts work in, where it is not the hidden size.
    shared_gate: a 1-column gate on the shared expert.
    """

    count: int
    active: int
    width: int
    gated: bool = True
    shared: int = 0
    shared_gated: bool = True  # the shared expert has three matrices
    shared_gate: bool = False
    latent: int | None = None
    vectors: int = 0

    def __post_init__(self) -> None:
        if self.active > self.count:
            raise BadInput(f"{self.active} experts are active, but there are only {self.count}.")


Mixer = Attention | LatentAttention | StateSpace | LinearAttention


class Block(Record):
    """One layer: a mixer over positions, then a feed-forward network; either may be missing."""

    mixer: Mixer | None = None
    feed: Feed | Experts | None = None
    cross: Attention | None = None  # a decoder's second attention, over the encoder's output
    vectors: int = 0  # norms and scales of the block


class Stack(Record):
    """`count` equal blocks. A model's stacks are its layers grouped by kind, not their order."""

    count: int
    block: Block


class Matrix(Record):
    """A matrix outside the blocks, applied to `per` of what the encoder sees."""

    name: str
    inputs: int
    outputs: int
    per: Literal["patch", "token"] = "token"  # an input patch, or a token handed to the LLM


class Encoder(Record):
    """What turns an image or a sound into tokens.

    positions: what its blocks see per item (patches of an image or tile, frames of a sound
    window).  tokens: what the LLM then sees per item.  item: what one item is.
    seconds: of sound in one item.
    """

    kind: Literal["image", "audio"]
    hidden: int
    stacks: tuple[Stack, ...]
    positions: int
    tokens: int
    item: str = "image"
    seconds: float | None = None
    matrices: tuple[Matrix, ...] = ()  # patch embedding, merger, projector
    vectors: int = 0  # position tables, class token, norms, biases outside the blocks


class Model(Record):
    """The shape of one LLM.

    positions: rows of a learned position table.  embedding: width of the token table, where it is
    not the hidden size (two matrices then join them).  tied: the logits reuse the token table.
    drafts: blocks that guess further tokens (multi-token prediction), kept out of `parameters`.
    hub: id under which its maker publishes the weights on the Hugging Face hub, "" for none.
    """

    id: str
    name: str
    architecture: str  # as config.json names it: "LlamaForCausalLM"
    hidden: int
    vocabulary: int
    stacks: tuple[Stack, ...]
    context: int  # longest context the maker states [tokens]
    tied: bool = False
    positions: int = 0
    embedding: int | None = None
    logits_bias: bool = False
    decoder_only: bool = True
    vectors: int = 0  # final norm and what else stands outside the blocks
    matrices: tuple[Matrix, ...] = ()  # parameters outside the blocks that multiply every token
    table_parameters: int = 0  # further look-up tables (per-layer embeddings): memory, no FLOP
    encoders: tuple[Encoder, ...] = ()
    drafts: tuple[Stack, ...] = ()
    weight_format: str = "bf16"  # in which the maker publishes the weights
    organisation: str = ""
    year: int | None = None
    facts: dict[str, Fact] = {}  # published parameters, training tokens, compute, cost
    source: str = ""
    notes: str = ""
    hub: str = ""

    @property
    def layers(self) -> int:
        """Blocks of all stacks."""
        return sum(stack.count for stack in self.stacks)

    @property
    def experts(self) -> int:
        """Routed experts of a layer; 0 where there are none."""
        feeds = (stack.block.feed for stack in self.stacks)
        return max((feed.count for feed in feeds if isinstance(feed, Experts)), default=0)
