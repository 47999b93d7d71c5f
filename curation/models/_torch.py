"""What the families share: the device, and one meaning of a question's answers."""

from collections.abc import Sequence
from typing import Any

from curation.models import Scores

SCORE_DIGITS = 3  # what is left of float32 after a transformer on another machine; far finer than any temperature


def device() -> Any:  # noqa: ANN401 - torch's types are not known before it is imported
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mean_of_prompts(embedded: Any, answers: Sequence[Sequence[str]]) -> Any:  # noqa: ANN401
    """Return one unit vector for each answer, shape (n_answers, n_dimensions).

    Args:
        embedded: unit vectors of all prompts in the order of the answers, shape (n_prompts, n_dimensions).
    """
    import torch

    means = [part.mean(dim=0) for part in embedded.split([len(prompts) for prompts in answers])]
    return torch.nn.functional.normalize(torch.stack(means), dim=-1)


def rounded(scores: Any) -> Scores:  # noqa: ANN401
    result: Scores = scores.double().round(decimals=SCORE_DIGITS).float().cpu().numpy()
    return result
