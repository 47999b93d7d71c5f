"""What the families share: one meaning of a question's answers, and torchvision made importable."""

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


def import_torchvision() -> None:
    """Import torchvision, also beside a torch that it was not built for. Both open_clip and transformers import it.

    An index may hold a CPU build of torch and only a CUDA build of torchvision. Its library of operators cannot be
    loaded then, and its import stops where it describes two of them that are not there. No family calls them, and to
    be imported it is enough that they are declared. The declaration lasts as long as the Library object, so torch
    itself holds on to it.
    """
    import torch

    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        declared = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch.ops.torchvision.declared_by_artune = declared
        import torchvision  # noqa: F401
