"""The prompt, in which the token of the music stands for a word."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from rules.errors import ConfigurationError
from training.diffusion.libraries import CLIPTextModel, CLIPTokenizer
from training.recipe import PLACEHOLDER

# The tokens that stand for the placeholder in the call that goes on; each thread has its own.
_HEARD: ContextVar[Tensor | None] = ContextVar("heard", default=None)


class PlaceholderEmbedding(nn.Module):
    """A table of token embeddings, and beside it the placeholder, whose embedding is of the music.

    Args:
        table: of the text encoder; it stays as it is.
        placeholder_id: which is not in the table.
    """

    def __init__(self, table: nn.Embedding, placeholder_id: int) -> None:
        super().__init__()
        self.table = table
        self.placeholder_id = placeholder_id

    def forward(self, ids: Tensor) -> Tensor:
        """Return the embeddings of ids of shape (B, n): shape (B, n, width)."""
        heard = _HEARD.get()
        if heard is None:
            embedded: Tensor = self.table(ids)
            return embedded
        is_placeholder = ids == self.placeholder_id
        embedded = self.table(ids.masked_fill(is_placeholder, 0))
        return torch.where(is_placeholder[..., None], heard[:, None].to(embedded.dtype), embedded)


class Conditioning(nn.Module):
    """The text encoder with the recipe's prompt.

    Args:
        text_encoder: CLIP's, of any width; the table of its token embeddings is wrapped, everything else stays.
        tokenizer: CLIP's; the placeholder is added to it.
        prompt: with the placeholder in it.
        label_names: in the order of their numbers.

    Raises:
        ConfigurationError: the prompt is too long, or a label's name has no token.
    """

    prompt_ids: Tensor
    empty_ids: Tensor
    label_embeddings: Tensor

    def __init__(
        self, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, prompt: str, label_names: Sequence[str]
    ) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.n_positions: int = text_encoder.config.max_position_embeddings
        self.width: int = text_encoder.config.hidden_size
        table = text_encoder.get_input_embeddings()
        embeddings = torch.stack([_embedding(table, tokenizer, name) for name in label_names])
        tokenizer.add_tokens(PLACEHOLDER)  # after the labels, for one may be called so, and it is not in the table
        text_encoder.set_input_embeddings(
            PlaceholderEmbedding(table, tokenizer.convert_tokens_to_ids(PLACEHOLDER)).train(text_encoder.training)
        )
        self.register_buffer("prompt_ids", self._ids(tokenizer, prompt), persistent=False)
        self.register_buffer("empty_ids", self._ids(tokenizer, ""), persistent=False)
        self.register_buffer("label_embeddings", embeddings, persistent=False)  # shape (n_labels, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what conditions the U-Net: the prompt with each token in it.

        Args:
            tokens: of the music, shape (B, width).

        Returns:
            Shape (B, n_positions, width).
        """
        with _hearing(tokens):
            return self._encoded(self.prompt_ids.expand(len(tokens), -1))

    def unconditional(self) -> Tensor:
        """Return the empty prompt, from which guidance leads away; shape (1, n_positions, width)."""
        return self._encoded(self.empty_ids)

    def _encoded(self, ids: Tensor) -> Tensor:
        encoded: Tensor = self.text_encoder(input_ids=ids).last_hidden_state
        return encoded

    def _ids(self, tokenizer: CLIPTokenizer, text: str) -> Tensor:
        ids = tokenizer(text, padding="max_length", max_length=self.n_positions).input_ids
        if len(ids) > self.n_positions:
            raise ConfigurationError(
                f"prompt: {text!r} has {len(ids)} tokens: expected at most {self.n_positions}, as many as the text "
                "encoder has positions"
            )
        return torch.tensor([ids])


@contextmanager
def _hearing(tokens: Tensor) -> Iterator[None]:
    before = _HEARD.set(tokens)
    try:
        yield
    finally:
        _HEARD.reset(before)


def _embedding(table: nn.Embedding, tokenizer: CLIPTokenizer, label_name: str) -> Tensor:
    """Return the mean of the embeddings of a name's tokens, shape (width,)."""
    ids = tokenizer(label_name, add_special_tokens=False).input_ids
    if not ids:
        raise ConfigurationError(f"label {label_name!r}: expected a name with at least one token")
    return table.weight.detach()[torch.tensor(ids)].mean(0)
