"""The token of the music in the prompt."""

import copy
import threading

import pytest
import torch
from torch import Tensor

from rules.errors import ConfigurationError
from tests.training.audiotokens import LABELS, tiny
from training.diffusion import base
from training.diffusion.conditioning import Conditioning
from training.diffusion.libraries import CLIPTextConfig, CLIPTextModel

PARTS = base.load(tiny().base, 0)
PROMPT = tiny().prompt
SPARE = 12345  # a token of the vocabulary that is in no text here


def made(prompt: str = PROMPT, labels: tuple[str, ...] = LABELS, text: CLIPTextModel | None = None) -> Conditioning:
    encoder = copy.deepcopy(text or PARTS.text_encoder)
    return Conditioning(encoder, copy.deepcopy(PARTS.tokenizer), prompt, labels).requires_grad_(False)


@pytest.fixture(scope="module")
def conditioning() -> Conditioning:
    return made()


def literal(tokens: Tensor, ids: Tensor, text: CLIPTextModel) -> Tensor:
    """Compute what is meant: for each token a text encoder that has it in its table, as the token SPARE."""
    encoded = []
    for token in tokens:
        changed = copy.deepcopy(text)
        changed.get_input_embeddings().weight.data[SPARE] = token
        encoded.append(changed(torch.where(ids == 49408, SPARE, ids)).last_hidden_state[0])
    return torch.stack(encoded)


def test_the_prompt_has_the_tokens_of_the_paper(conditioning: Conditioning) -> None:
    assert conditioning.prompt_ids.tolist() == [[49406, 550, 794, 2867, 539, 49408] + [49407] * 71]


def test_the_placeholder_is_encoded_as_a_word_of_the_vocabulary_would_be(conditioning: Conditioning) -> None:
    tokens = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    expected = literal(tokens, conditioning.prompt_ids, PARTS.text_encoder)
    assert torch.allclose(conditioning(tokens), expected, atol=1e-6)


def test_a_text_encoder_of_another_width_is_conditioned_too() -> None:
    torch.manual_seed(0)
    settings = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = CLIPTextModel(CLIPTextConfig(**settings, hidden_act="gelu")).eval()  # as in Stable Diffusion 2
    conditioning, tokens = made(text=text), torch.randn(2, 48)
    assert conditioning.width == 48
    assert torch.allclose(conditioning(tokens), literal(tokens, conditioning.prompt_ids, text), atol=1e-6)


def test_a_tokenizer_that_fills_up_with_something_else_keeps_doing_so() -> None:
    tokenizer = copy.deepcopy(PARTS.tokenizer)
    tokenizer.pad_token = "!"  # as in Stable Diffusion 2
    conditioning = Conditioning(copy.deepcopy(PARTS.text_encoder), tokenizer, PROMPT, LABELS)
    assert conditioning.prompt_ids.tolist() == [[49406, 550, 794, 2867, 539, 49408, 49407] + [0] * 70]
    assert conditioning.empty_ids.tolist() == [[49406, 49407] + [0] * 75]


def test_what_stands_before_the_placeholder_does_not_know_it(conditioning: Conditioning) -> None:
    one, other = conditioning(torch.zeros(1, 32)), conditioning(torch.ones(1, 32))
    assert torch.equal(one[:, :5], other[:, :5])
    assert (one[:, 5:] != other[:, 5:]).any(-1).all()


def test_gradients_flow_to_the_tokens_alone(conditioning: Conditioning) -> None:
    tokens = torch.randn(2, 32, requires_grad=True)
    conditioning(tokens)[0].square().sum().backward()
    assert tokens.grad is not None
    assert tokens.grad[0].abs().min() > 0
    assert tokens.grad[1].abs().max() == 0  # the second is not in the sum
    assert all(parameter.grad is None for parameter in conditioning.parameters())


def test_the_table_of_the_text_encoder_stays_as_it_is(conditioning: Conditioning) -> None:
    conditioning(torch.randn(1, 32))
    before = PARTS.text_encoder.get_input_embeddings().weight
    assert torch.equal(conditioning.text_encoder.get_input_embeddings().table.weight, before)


def test_the_empty_prompt_knows_nothing_of_a_token(conditioning: Conditioning) -> None:
    ids = torch.tensor([[49406] + [49407] * 76])
    assert torch.equal(conditioning.unconditional(), PARTS.text_encoder(ids).last_hidden_state)


def test_a_failure_within_leaves_no_token_behind(conditioning: Conditioning) -> None:
    with pytest.raises(RuntimeError):
        conditioning(torch.randn(2, 31))
    with pytest.raises(IndexError):  # without a token the placeholder is nothing
        conditioning.text_encoder(conditioning.prompt_ids)


def test_threads_do_not_hear_each_other(conditioning: Conditioning) -> None:
    tokens = [torch.full((1, 32), float(i)) for i in range(2)]
    expected, found, meeting = [conditioning(token) for token in tokens], {}, threading.Barrier(2)

    def meet(*_: object) -> None:
        meeting.wait(60)  # both tokens are there before either is looked up

    hook = conditioning.text_encoder.get_input_embeddings().register_forward_pre_hook(meet)

    def encode(i: int) -> None:
        found[i] = conditioning(tokens[i])

    try:
        threads = [threading.Thread(target=encode, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        hook.remove()
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_a_label_is_the_mean_of_its_words(conditioning: Conditioning) -> None:
    ids = PARTS.tokenizer("heavy metal", add_special_tokens=False).input_ids
    assert len(ids) == 2
    expected = PARTS.text_encoder.get_input_embeddings().weight[ids].mean(0)
    assert torch.allclose(conditioning.label_embeddings[0], expected)
    assert conditioning.label_embeddings.shape == (2, 32)


def test_a_prompt_longer_than_the_text_encoder_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has 83 tokens: expected at most 77"):
        made(prompt="art " * 80 + "<placeholder>")


def test_a_label_without_a_word_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="label ' '"):
        made(labels=("Heavy metal", " "))


def test_a_label_may_be_called_as_the_placeholder_is() -> None:
    assert made(labels=("Heavy metal", "<placeholder>")).label_embeddings.isfinite().all()
