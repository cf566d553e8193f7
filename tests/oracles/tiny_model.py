"""A language model of some 0.4 million random numbers, with a tokenizer, so that real engines run
on any machine. Made where torch and transformers are installed; nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path

SPECIAL = ("<s>", "</s>", "<user>", "<assistant>", "<system>")
TEXT = "eke out the last of the chips: a little memory, a little time, and nobody waits untold. "
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def write(folder: Path) -> None:
    """Write config, weights and tokenizer. Heads of 64, below which vLLM's CPU attention fails."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    pieces = Tokenizer(models.BPE(unk_token=None))
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(SPECIAL), initial_alphabet=alphabet
    )
    pieces.train_from_iterator([TEXT] * 40, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    LlamaForCausalLM(shape).to(torch.float32).save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
