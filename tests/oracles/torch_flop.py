"""Count the FLOP of small models with torch's own counter and record them.

Run by `make oracles`. torch counts matrix multiplications and attention without a mask, so eke is
asked for the same: every query sees every key. Models run with eager attention, whose two matrix
multiplications the counter sees.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

RECORD = Path(__file__).parent / "record" / "flop.json"
BASE = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 512}
GQA = BASE | {"num_key_value_heads": 2, "intermediate_size": 352}
CASES = {
    "llama": GQA | {"model_type": "llama"},
    "mistral": GQA | {"model_type": "mistral", "sliding_window": None},
    "qwen2": GQA | {"model_type": "qwen2"},
    "qwen3": GQA | {"model_type": "qwen3", "head_dim": 48},
    "gemma": GQA | {"model_type": "gemma", "head_dim": 48},
    "phi3": GQA | {"model_type": "phi3", "pad_token_id": 0},
    "phi": BASE | {"model_type": "phi", "intermediate_size": 512},
    "gpt2": {"model_type": "gpt2", "n_embd": 128, "n_layer": 2, "n_head": 4, "vocab_size": 512},
    "gpt_neox": BASE | {"model_type": "gpt_neox", "intermediate_size": 512},
    "opt": {
        "model_type": "opt",
        "hidden_size": 128,
        "ffn_dim": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 512,
        "max_position_embeddings": 256,
    },
    "deepseek_v3": BASE
    | {
        "model_type": "deepseek_v3",
        "num_key_value_heads": 4,
        "intermediate_size": 352,
        "moe_intermediate_size": 64,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "n_shared_experts": 1,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 2,
        "q_lora_rank": 48,
        "kv_lora_rank": 32,
        "qk_nope_head_dim": 32,
        "qk_rope_head_dim": 16,
        "v_head_dim": 32,
    },
    "glm4": GQA | {"model_type": "glm4", "head_dim": 32, "pad_token_id": 0},
    "olmo2": GQA | {"model_type": "olmo2"},
    "starcoder2": GQA | {"model_type": "starcoder2"},
}
SEQUENCE, SEQUENCES = 64, 3


def count(values: dict) -> int:
    """FLOP of one forward pass, as torch counts them."""
    values = dict(values)
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    tokens = torch.zeros((SEQUENCES, SEQUENCE), dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(tokens)
    return counter.get_total_flops()


def main() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    cases = {}
    for name, values in CASES.items():
        cases[name] = {"config": values, "flop": count(values)}
        print(f"{name:16} {cases[name]['flop']:>14,}", file=sys.stderr)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    shape = {"sequence": SEQUENCE, "sequences": SEQUENCES}
    text = json.dumps({"versions": versions, **shape, "cases": cases}, indent=1)
    RECORD.write_text(text + "\n")


if __name__ == "__main__":
    main()
