"""What any PyTorch does: a product, a gradient, a state that is saved and loaded."""

import math

import pytest
import torch


def test_a_product_of_matrices():
    product = torch.tensor([[1.0, 2.0], [3.0, 4.0]]) @ torch.tensor([[5.0, 6.0], [7.0, 8.0]])
    assert product.tolist() == [[19.0, 22.0], [43.0, 50.0]]


def test_numbers():
    found = torch.softmax(torch.tensor([1.0, 2.0, 3.0]), dim=0)
    total = sum(math.exp(x) for x in (1, 2, 3))
    assert found.tolist() == pytest.approx([math.exp(x) / total for x in (1, 2, 3)], rel=1e-5)


def test_a_gradient():
    x = torch.tensor(3.0, requires_grad=True)
    (x * x).backward()
    assert x.grad.item() == 6.0


def test_a_state_is_loaded(tmp_path):
    saved, loaded = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    torch.save(saved.state_dict(), str(tmp_path / "state.pt"))
    loaded.load_state_dict(torch.load(str(tmp_path / "state.pt")))
    given = torch.ones(1, 3)
    assert torch.equal(saved(given), loaded(given))
