import pytest

from loganalyze.monitor.short_names import short_name, short_names


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("model.layers.15.self_attn.q_proj.weight", "L15.attn.q"),
        ("model.layers.15.self_attn.q_proj.bias", "L15.attn.q.b"),
        ("model.layers.3.mlp.down_proj.weight", "L3.mlp.down"),
        ("model.decoder.layers.0.feed_forward.up_proj.weight", "L0.mlp.up"),
        ("transformer.h.2.attn.c_attn.weight", "L2.attn.c_attn"),
        ("base_model.model.model.layers.7.self_attn.v_proj.lora_A.default.weight", "L7.attn.v.A"),
        ("lm_head.weight", "head"),
        ("weight", "weight"),
    ],
)
def test_short(name: str, short: str):
    assert short_name(name) == short


def test_two_that_would_be_the_same_keep_their_names():
    names = ["model.encoder.layers.0.fc.weight", "model.decoder.layers.0.fc.weight", "head.weight"]
    assert short_names(names) == {
        names[0]: names[0], names[1]: names[1], "head.weight": "head",
    }  # fmt: skip
