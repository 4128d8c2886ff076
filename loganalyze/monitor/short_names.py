"""Short names of parameters: ``model.layers.15.self_attn.q_proj.weight`` is ``L15.attn.q``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_DROPPED = frozenset({"model", "layers", "decoder", "encoder", "module", "base_model", "transformer", "h",
                      "blocks", "default", "_orig_mod", "_fsdp_wrapped_module"})  # fmt: skip
_SHORT = {
    "self_attn": "attn", "self_attention": "attn", "attention": "attn", "attn": "attn",
    "feed_forward": "mlp", "feedforward": "mlp", "ffn": "mlp", "mlp": "mlp",
    "embed_tokens": "embed", "embeddings": "embed", "word_embeddings": "word",
    "input_layernorm": "norm1", "post_attention_layernorm": "norm2", "layernorm": "norm",
    "lm_head": "head", "classifier": "head", "score": "head", "dense": "dense", "bias": "b",
    "lora_A": "A", "lora_B": "B", "query": "q", "key": "k", "value": "v",
}  # fmt: skip
_ENDING = "_proj"


def short_name(name: str) -> str:
    """Return a parameter's name without what every layer has; ``weight`` goes unsaid, ``bias`` is ``b``."""
    parts = []
    for part in name.split("."):
        if part.isdecimal():
            parts.append(f"L{part}")
        elif part in _SHORT:
            parts.append(_SHORT[part])
        elif part not in _DROPPED and part != "weight":
            parts.append(part.removesuffix(_ENDING) or part)
    return ".".join(parts) or name


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return a short name for each; where two would have the same, both keep their whole names."""
    short = {name: short_name(name) for name in names}
    often = Counter(short.values())
    return {name: name if often[brief] > 1 else brief for name, brief in short.items()}
