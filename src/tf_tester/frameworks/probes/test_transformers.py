"""What any Transformers does: a model of a made configuration, saved, loaded, and asked. Nothing is fetched.

The model needs a backend: `--with torch`.
"""

import pytest
import transformers


def small():
    return transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )


def test_a_configuration_is_loaded(tmp_path):
    small().save_pretrained(str(tmp_path))
    assert transformers.BertConfig.from_pretrained(str(tmp_path)).to_dict()["hidden_size"] == 8


def test_a_model_is_loaded(tmp_path):
    torch = pytest.importorskip("torch", reason="no backend: --with torch")
    model = transformers.BertModel(small()).eval()
    model.save_pretrained(str(tmp_path))
    loaded = transformers.BertModel.from_pretrained(str(tmp_path)).eval()
    words = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        saved_says, loaded_says = model(words)[0], loaded(words)[0]
    assert saved_says.shape == (1, 3, 8)
    assert torch.allclose(saved_says, loaded_says, atol=1e-6)
