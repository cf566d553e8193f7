"""Count the parameters of the model that Megatron-LM builds from arguments, without a GPU.

Layers are built on the meta device from the plain torch modules of the release; streams and
devices that a constructor asks for are stood in for.
"""

from __future__ import annotations

import os
import sys

import torch

PLAIN = ["--transformer-impl", "local", "--no-persist-layer-norm", "--use-cpu-initialization"]
PLAIN += ["--no-gradient-accumulation-fusion", "--no-rope-fusion"]


def prepare() -> None:
    """One process, and stand-ins for what only a GPU has."""
    from megatron.core import parallel_state
    from megatron.core.transformer import transformer_config
    from megatron.core.transformer.dot_product_attention import DotProductAttention

    torch.cuda.Stream = lambda *_, **__: None
    torch.cuda.current_device = lambda: torch.device("meta")
    transformer_config.is_te_min_version = lambda *_: True  # Transformer Engine needs a GPU
    transformer_config.get_te_version = lambda: "2.9.0"
    own = DotProductAttention.__init__

    def patient(self, *given, k_channels=None, v_channels=None, **named):
        own(self, *given, **named)  # the core of latent attention has no parameters

    DotProductAttention.__init__ = patient
    os.environ |= {"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "localhost"}
    os.environ["MASTER_PORT"] = "29511"
    torch.distributed.init_process_group("gloo")
    parallel_state.initialize_model_parallel()


def parameters(arguments: list[str]) -> int:
    """Of the whole model, from arguments for one rank."""
    from gpt_builders import gpt_builder
    from megatron.training.arguments import parse_args, validate_args

    os.environ["WORLD_SIZE"] = "1"
    sys.argv = ["pretrain_gpt.py", *arguments, *PLAIN]
    args = parse_args()
    validate_args(args)
    args.padded_vocab_size, args.rank = args.vocab_size, 0
    with torch.device("meta"):
        built = gpt_builder(args, True, True)
    return sum(each.numel() for each in built.parameters())
