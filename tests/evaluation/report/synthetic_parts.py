"""The parts of a made evaluation beside its measures: networks, copies, the data set itself, a training."""

from hashlib import sha256

from evaluation.result import Estimate, Leak, LeakCheck, Memorization, Nearest, NetworkFacts, Probe, Quality
from tests.evaluation.report.synthetic_figures import chance


def pair_id(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def networks(*, is_stand_in: bool = False) -> list[NetworkFacts]:
    names = {"pairing.image": "CLIP ViT-B/32 (openai)", "pairing.music": "Wav2CLIP", "inception": "Inception v3"}
    return [
        NetworkFacts(
            role=role,
            name=f"stand-in: {name}" if is_stand_in else name,
            weights=None if is_stand_in else "owner/name",
            weights_sha256="a1" * 32,
            width=512,
            is_stand_in=is_stand_in,
        )
        for role, name in names.items()
    ]


def memorization(n: int = 14) -> Memorization:
    """Return some images that are like training images, the first of them a copy."""
    nearest = [
        Nearest(
            pair_id=pair_id(number),
            nearest_pair_id=pair_id(1000 + number),
            nearest_image_sha256="0" * 64,
            likeness=0.99 - number / 40,
            hash_nearest_pair_id=pair_id(2000 + number),
            hash_distance=2 + number,
        )
        for number in range(n)
    ]
    return Memorization(
        n=90,
        n_real=200,
        n_train=1_204,
        real_copies=2,
        quantiles=[0.05, 0.25, 0.5, 0.75, 0.95],
        likeness_quantiles=[0.31, 0.42, 0.5, 0.61, 0.88],
        real_likeness_quantiles=[0.4, 0.52, 0.6, 0.7, 0.83],
        copy_likeness=0.93,
        copy_hash_distance=6,
        hash_bits=64,
        copies=3,
        nearest=nearest,
    )


def quality(n_labels: int) -> Quality:
    """Return probes of both sides, one of them at chance, and a leak of images."""

    def probe(side: str, right: float, p_value: float) -> Probe:
        confusion = [[int(12 * right) if a == b else (a * 3 + b) % 4 for b in range(n_labels)] for a in range(n_labels)]
        return Probe(
            side=side,
            network="DINOv2 ViT-L/14",
            is_stand_in=False,
            n=420,
            groups=160,
            folds=5,
            labels=list(range(n_labels)),
            left_out=[],
            accuracy=Estimate(value=right, interval=(right - 0.05, right + 0.05), n=420),
            chance=chance(1 / n_labels, 0.02, p_value),
            confusion=confusion,
        )

    def check(side: str, found: int) -> LeakCheck:
        pairs = [
            Leak(
                side=side,
                pair_id=pair_id(number),
                split="test",
                nearest_pair_id=pair_id(3000 + number),
                nearest_split="train",
                likeness=0.98 - number / 50,
                hash_nearest_pair_id=None,
                hash_distance=number if side == "image" else None,
            )
            for number in range(3)
        ]
        return LeakCheck(
            side=side,
            network="DINOv2 ViT-L/14",
            is_stand_in=False,
            n=60,
            available=212,
            n_own=200,
            n_train=360,
            threshold=0.95,
            hash_distance=6 if side == "image" else None,
            hash_bits=64 if side == "image" else None,
            found=found,
            own_found=3,
            nearest=pairs,
        )

    return Quality(
        probes=[probe("image", 0.62, 0.001), probe("music", 0.09, 0.31)], leaks=[check("image", 2), check("music", 0)]
    )


def metrics() -> list[dict[str, object]]:
    """Return 400 steps and 8 epochs of a loss that falls."""
    steps = [{"kind": "step", "step": n, "loss": 0.5 + 1 / (n + 10) + 0.03 * (n * 37 % 11) / 11} for n in range(1, 401)]
    ends = [
        {"kind": "epoch", "epoch": n, "step": 50 * n, "validation_loss": 0.62 - 0.02 * n + 0.003 * n * n}
        for n in range(1, 9)
    ]
    return [*steps, *ends]
