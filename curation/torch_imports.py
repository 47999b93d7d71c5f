"""torchvision, made importable beside any torch: transformers, open_clip and diffusers all import it."""


def import_torchvision() -> None:
    """Import torchvision, also beside a torch that it was not built for.

    An index may hold a CPU build of torch and only a CUDA build of torchvision. Its library of operators cannot be
    loaded then, and its import stops where it describes two of them that are not there. Nothing of artune calls them,
    and to be imported it is enough that they are declared. The declaration lasts as long as the Library object, so
    torch itself holds on to it.
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
