"""Compare artune's fetch and encode with img2dataset: `python -m benchmarks.fetch_images --peer PYTHON`.

PYTHON is the interpreter of an environment of its own in which `pip install img2dataset` was done: it needs older
versions of some packages than artune does. A server of this machine, in a process of its own, gives JPEGs of several
sizes, no two with the same bytes; either client fetches them all, shrinks them to 1,024 px and makes JPEGs of quality
92. What they made is compared: every picture once, its size, and how far it is from a reference in full precision: one
by Lanczos, which keeps most of what the smaller picture can show and decides; and one by areas, which is what
img2dataset approximates. Then the CPU seconds of the client and its children are compared; what a run over
one picture takes is told apart and taken off. Exit status 1: below the goal.
"""

import argparse
import io
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from curation import sources
from curation.store import Home
from rules.schema import ImageSettings
from tests import pictures

SIDES_PX = (800, 1400, 2000, 3000)  # longer sides, of as many pictures each
DISTINCT = 5  # pictures of each size; a number in a comment makes each file another
TEXTURE = 0.25  # of noise in an enlarged sample picture: brush and canvas have detail at every scale
TOLERANCE_DB = 0.05
GOAL = 1.3  # images per CPU second, in those of img2dataset
SETTINGS = ImageSettings()

# What the other environment runs: sha256, no EXIF and Parquet are its cheapest way to do what artune does.
PEER = f"""
import sys
from img2dataset import download
if __name__ == "__main__":
    download(url_list=sys.argv[1], output_folder=sys.argv[2], output_format="parquet", input_format="txt",
        image_size={SETTINGS.max_side_px}, resize_mode="keep_ratio_largest", resize_only_if_bigger=True,
        encode_quality={SETTINGS.jpeg_quality}, processes_count=1, thread_count=32, extract_exif=False)
"""

Made = Mapping[int, bytes]  # the JPEG made of each number


def originals(folder: Path) -> list[Path]:
    """Write the pictures that are served and return their paths, sizes by turns."""
    samples = sorted((Path(sources.__file__).parent / "sample_data" / "images").glob("hokusai_*.jpg"))
    paths = []
    for number, path in enumerate(samples[:DISTINCT]):
        with Image.open(path) as sample:
            for side_px in SIDES_PX:
                scale = side_px / max(sample.size)
                size = (round(sample.width * scale), round(sample.height * scale))
                large = sample.convert("RGB").resize(size, Image.Resampling.BICUBIC)
                textured = Image.blend(large, pictures.photo(*size, seed=number), TEXTURE)
                paths.append(pictures.saved(folder / f"{number}-{side_px}.jpg", textured, quality=90))
    return paths


def commented(jpeg: bytes, number: int) -> bytes:
    """Return a JPEG with a number in a comment, right behind the marker of its start."""
    comment = f"{number:08}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + jpeg[2:]


def serve(listening: socket.socket, paths: Sequence[Path]) -> None:
    """Answer /7.jpg with the picture 7 modulo their count."""
    from aiohttp import web

    jpegs = [path.read_bytes() for path in paths]

    async def picture(request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        return web.Response(body=commented(jpegs[number % len(jpegs)], number), content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{number:\\d+}.jpg", picture)
    web.run_app(app, sock=listening, print=None, access_log=None)


@contextmanager
def served(paths: Sequence[Path]) -> Iterator[str]:
    """Give the address of a server in a process of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(listening, paths), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.terminate()
            process.join()


def fetch(addresses: Path, out: Path) -> None:
    """Fetch what a file lists into blobs and encode each as a release does."""
    from curation import images, web
    from curation.errors import ItemError

    lines, home = addresses.read_text().split(), Home(out / "home")
    host = lines[0].split("/")[2]
    client = web.of(web.WebSettings("bench@example.org", frozenset([host])))
    client.set_rates({"127.0.0.1": 1e6})
    for index, fetched in client.download_all([web.Download(line) for line in lines], home):
        if isinstance(fetched, ItemError):
            sys.exit(f"{lines[index]}: {fetched}")
        (out / Path(lines[index]).name).write_bytes(images.encode(home.blob(fetched.sha256), SETTINGS))


def of_artune(folder: Path) -> Made:
    """Return what our client wrote."""
    return {int(path.stem): path.read_bytes() for path in folder.glob("*.jpg")}


def of_peer(folder: Path) -> Made:
    """Return what img2dataset wrote."""
    rows = pq.read_table(sorted(folder.glob("*.parquet")), columns=["url", "jpg"])
    pairs = zip(rows["url"].to_pylist(), rows["jpg"].to_pylist(), strict=True)
    return {int(Path(url).stem): jpeg for url, jpeg in pairs if jpeg}


def cpu_s(command: Sequence[str | Path]) -> float:
    """Run a command and return the CPU seconds of it and of the children that it waited for."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with process.stderr as told:  # type: ignore[union-attr]
        said = told.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(said[-2_000:])
    return usage.ru_utime + usage.ru_stime


def references(path: Path) -> dict[str, np.ndarray]:
    """Return the picture as it should be, in floats, by each way to shrink."""
    with Image.open(path) as image:
        scale = min(1.0, SETTINGS.max_side_px / max(image.size))
        width_px, height_px = round(image.width * scale), round(image.height * scale)
        bands = [Image.fromarray(np.asarray(band, np.float32)) for band in image.split()]
    shrunk = [np.asarray(band.resize((width_px, height_px), Image.Resampling.LANCZOS)) for band in bands]
    whole = np.dstack([np.asarray(band, np.float64) for band in bands])
    return {"Lanczos": np.dstack(shrunk), "area": _means(_means(whole, height_px, 0), width_px, 1)}


def _means(pixels: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Return the means over so many equal parts of an axis, whose borders may cut through pixels."""
    length = pixels.shape[axis]
    sums = np.insert(np.cumsum(pixels, axis), 0, 0.0, axis)
    borders = np.arange(count + 1) * length / count
    below = np.minimum(borders.astype(int), length - 1)
    rest = np.expand_dims(borders - below, tuple(other for other in range(pixels.ndim) if other != axis))
    at_borders = sums.take(below, axis) * (1 - rest) + sums.take(below + 1, axis) * rest
    return np.diff(at_borders, axis=axis) * count / length


def psnr_db(jpeg: bytes, reference: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of a JPEG; its size must be that of the reference."""
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)), np.float64)
    if pixels.shape != reference.shape:
        sys.exit(f"the sizes differ: {pixels.shape} and {reference.shape}")
    return 10 * float(np.log10(255**2 / ((pixels - reference) ** 2).mean()))


def quality(paths: Sequence[Path], ours: Made, theirs: Made) -> Iterator[str]:
    """Yield a line for each size: the mean distances from the references."""
    found: dict[int, list[dict[str, tuple[float, float]]]] = {side_px: [] for side_px in SIDES_PX}
    for number, path in enumerate(paths):
        wanted = references(path).items()
        figures = {name: (psnr_db(ours[number], to), psnr_db(theirs[number], to)) for name, to in wanted}
        found[SIDES_PX[number % len(SIDES_PX)]].append(figures)
    for side_px, rows in found.items():
        means = {
            name: [statistics.mean(side) for side in zip(*(row[name] for row in rows), strict=True)] for name in rows[0]
        }
        told = (f"{name} {ours_db:.1f} (img2dataset {theirs_db:.1f})" for name, (ours_db, theirs_db) in means.items())
        ours_db, theirs_db = means["Lanczos"]
        yield f"  {side_px:,} px: {', '.join(told)} dB{'' if ours_db > theirs_db - TOLERANCE_DB else '  WORSE'}"


def once(command: Sequence[str | Path], base: str, numbers: Sequence[int], folder: Path) -> float:
    """Let a client fetch some pictures into a new folder, and return its CPU seconds."""
    folder.mkdir()
    addresses = folder.with_suffix(".txt")
    addresses.write_text("".join(f"{base}/{number}.jpg\n" for number in numbers))
    return cpu_s([*command, addresses, folder])


def compare(peer: str, count: int, rounds: int, root: Path) -> Iterator[str]:
    """Yield the lines of the result."""
    (root / "peer.py").write_text(PEER)
    ours: Sequence[str | Path] = [sys.executable, "-m", "benchmarks.fetch_images", "--client"]
    clients = {"artune": (ours, of_artune), "img2dataset": ([peer, root / "peer.py"], of_peer)}
    paths = originals(root)
    starts: dict[str, list[float]] = {name: [] for name in clients}
    rates: dict[str, list[float]] = {name: [] for name in clients}
    with served(paths) as base:
        for turn in range(rounds):
            made: dict[str, Made] = {}
            for name, (command, read) in sorted(clients.items(), reverse=turn % 2 == 1):
                starts[name].append(once(command, base, [0], root / f"{name}-{turn}-start"))
                used_s = once(command, base, range(count), root / f"{name}-{turn}")
                rates[name].append((count - 1) / (used_s - starts[name][-1]))
                made[name] = read(root / f"{name}-{turn}")
                if sorted(made[name]) != list(range(count)):
                    sys.exit(f"{name} made {len(made[name])} of {count} pictures")
                shutil.rmtree(root / f"{name}-{turn}")
            if turn == 0:
                yield f"{count:,} JPEGs to at most {SETTINGS.max_side_px:,} px, {rounds} rounds; PSNR by size:"
                yield from quality(paths, made["artune"], made["img2dataset"])
    ratio = statistics.median(a / b for a, b in zip(rates["artune"], rates["img2dataset"], strict=True))
    for name in clients:
        start_s, rate = statistics.median(starts[name]), statistics.median(rates[name])
        yield f"{name}: {rate:.1f} per CPU second beside a start of {start_s:.1f} CPU-s"
    yield f"ratio {ratio:.2f} (goal: {GOAL}) {'reached' if ratio >= GOAL else 'MISSED'}"


def main() -> None:
    """Print quality, start, and images per CPU second."""
    if sys.argv[1:2] == ["--client"]:
        fetch(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer", required=True, metavar="PYTHON", help="interpreter beside which img2dataset is installed"
    )
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = list(compare(chosen.peer, max(chosen.images, DISTINCT * len(SIDES_PX)), chosen.rounds, Path(folder)))
    print("\n".join(lines))
    sys.exit("MISSED" in lines[-1] or any(line.endswith("WORSE") for line in lines))


if __name__ == "__main__":
    main()
