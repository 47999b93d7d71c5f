import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from training.embedder import AttentivePooling, Embedder


def tiny(dropout=0.0, seed=0):
    torch.manual_seed(seed)
    return Embedder(6, 4, dropout).eval()


def features(n_clips=3, n_tokens=5, seed=1):
    return torch.randn(n_clips, n_tokens, 6, generator=torch.Generator().manual_seed(seed))


def everything(of):
    return torch.ones(of.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize(("width", "count"), [(768, 8_853_507), (1024, 10_820_867)])
def test_it_has_the_published_number_of_parameters(width, count):
    with torch.device("meta"):
        embedder = Embedder(2304, width, 0.5)
    assert sum(parameter.numel() for parameter in embedder.parameters()) == count


def test_a_token_is_as_worked_out_by_hand():
    """Two tokens h = (3, 4) and (0, 2); all maps are the identity, but the unary score is the sum of ReLU(h).

    u = 7 and 2; X = Y = (0.6, 0.8) and (0, 1), so s = (1 + 0.8) / 2 = 0.9 and (0.8 + 1) / 2 = 0.9;
    with r1 = 0.2 and r2 = 1 the scores are 2.3 and 1.3, and the weights 1 / (1 + 1/e) and 1 / (1 + e).
    """
    pooling = AttentivePooling(2, 0.5).eval()
    with torch.no_grad():
        for linear in (pooling.unary[0], pooling.x, pooling.y):
            linear.weight.copy_(torch.eye(2))
            linear.bias.zero_()
        pooling.unary[3].weight.fill_(1.0)
        pooling.unary[3].bias.zero_()
        pooling.mix.weight.copy_(torch.tensor([[0.2, 1.0]]))
    token = pooling(torch.tensor([[[3.0, 4.0], [0.0, 2.0]]]), torch.ones(1, 2, dtype=torch.bool))
    first = 1 / (1 + math.exp(-1))
    assert_close(token, torch.tensor([[3 * first, 4 * first + 2 * (1 - first)]]))


def test_it_is_the_formula_written_out():
    embedder, given_features = tiny(), features(1)
    pooling, h = embedder.pooling, []
    for phi in given_features[0]:
        x = embedder.fc1(phi)
        h.append(embedder.fc2(0.5 * x * (1 + torch.erf(x / math.sqrt(2)))))
    unary = [pooling.unary[3](torch.relu(pooling.unary[0](h_t))) for h_t in h]
    x = [pooling.x(h_t) / pooling.x(h_t).norm() for h_t in h]
    y = [pooling.y(h_t) / pooling.y(h_t).norm() for h_t in h]
    agreement = [sum(x_t @ y_r for y_r in y) / len(y) for x_t in x]
    r1, r2 = pooling.mix.weight[0]
    scores = torch.stack([r1 * u[0] + r2 * s for u, s in zip(unary, agreement, strict=True)])
    token = sum(p * h_t for p, h_t in zip(scores.softmax(0), h, strict=True))
    assert_close(embedder(given_features, everything(given_features))[0], token)


def test_what_is_masked_changes_nothing_at_all():
    embedder, clean = tiny(), features()
    mask = everything(clean)
    mask[1, 3:] = False
    dirty = clean.clone()
    dirty[1, 3:] = float("nan")
    assert torch.equal(embedder(dirty, mask), embedder(clean, mask))
    assert_close(embedder(clean, mask)[1:2], embedder(clean[1:2, :3], everything(clean[1:2, :3])))


def test_what_is_masked_has_no_part_in_the_gradients():
    embedder, clean = tiny(), features()
    mask = everything(clean)
    mask[0, 2:] = False
    dirty = clean.clone()
    dirty[0, 2:] = float("nan")
    embedder(dirty, mask).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in embedder.parameters())


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)), st.lists(st.booleans(), min_size=4, max_size=4))
def test_the_order_of_the_tokens_changes_nothing(order, counted):
    embedder, given_features = tiny(), features(1)
    mask = torch.tensor([[True, *counted]])
    assert_close(
        embedder(given_features[:, order], mask[:, order]), embedder(given_features, mask), atol=1e-6, rtol=1e-5
    )


def test_one_token_is_its_own_mean():
    embedder, given_features = tiny(), features(2, 1)
    hidden = embedder.fc2(torch.nn.functional.gelu(embedder.fc1(given_features)))
    assert_close(embedder(given_features, everything(given_features)), hidden[:, 0])


def test_the_same_clip_gives_the_same_token_in_evaluation():
    embedder, given_features = tiny(dropout=0.5), features()
    mask = everything(given_features)
    assert torch.equal(embedder(given_features, mask), embedder(given_features, mask))


def test_dropout_is_at_work_in_training_only():
    embedder, given_features = tiny(dropout=0.5), features()
    mask = everything(given_features)
    embedder.train()
    torch.manual_seed(0)
    assert not torch.equal(embedder(given_features, mask), embedder(given_features, mask))


def test_every_parameter_has_a_gradient_that_is_not_zero():
    embedder, given_features = tiny(), features()
    embedder(given_features, everything(given_features)).square().sum().backward()
    still = [
        name
        for name, parameter in embedder.named_parameters()
        if not parameter.grad.any() and name != "pooling.unary.3.bias"  # a softmax does not feel what all scores share
    ]
    assert still == []
