"""What a file is by its first bytes, whatever its name says; whether it can be decoded, the decoders decide."""

import re
from typing import Literal

Modality = Literal["image", "music"]

HEAD_BYTES = 512  # what modality needs to see

# https://www.iana.org/assignments/media-types, https://en.wikipedia.org/wiki/List_of_file_signatures
IMAGES = re.compile(
    rb"""\xff\xd8\xff                                   # JPEG
    |\x89PNG\r\n\x1a\n
    |GIF8[79]a
    |RIFF....WEBP
    |II\*\x00|MM\x00\*|II\+\x00|MM\x00\+                # TIFF, BigTIFF
    |BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00  # BMP, by the size of its second header: "BM" alone is text
    """,
    re.DOTALL | re.VERBOSE,
)
RECORDINGS = re.compile(
    rb"""ID3[\x02-\x04]                                 # MP3, AAC and others behind an ID3v2 tag
    |\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][^\xf0-\xff]      # MPEG audio, layers II and III
    |\xff[\xf0\xf1\xf8\xf9]                             # AAC in ADTS
    |ADIF                                               # AAC
    |fLaC|OggS|wvpk|MAC\x20|TTA[12]|MPCK|MP\+           # FLAC, Ogg, WavPack, Monkey's Audio, True Audio, Musepack
    |(?:RIFF|RIFX|RF64|BW64)....WAVE
    |riff.{20}wave                                      # Wave64
    |RIFF....AVI\x20
    |FORM....AIF[FC]
    |caff\x00\x01|\.snd\x00|\#!AMR|DSD\x20|FRM8         # CAF, AU, AMR, DSD
    |\x30\x26\xb2\x75\x8e\x66\xcf\x11                   # ASF: WMA, WMV
    |\x1a\x45\xdf\xa3                                   # EBML: Matroska, WebM
    |....(?:moov|mdat|wide)                             # QuickTime before it had ftyp
    |G.{187}G.{187}G                                    # MPEG transport stream
    |....G.{191}G                                       # the same with time codes, as on Blu-ray
    |\x00\x00\x01\xba                                   # MPEG program stream
    |FLV\x01
    """,
    re.DOTALL | re.VERBOSE,
)
AVIF_BRANDS = {b"avif", b"avis"}
# Pictures in the same container that no decoder here reads: HEIF and Canon's raw format.
FOREIGN_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"crx "}


def modality(head: bytes) -> Modality | None:
    """Return what a file holds, None if it is neither a picture nor a recording that artune reads.

    Args:
        head: the first HEAD_BYTES of the file, all of it if it is shorter.
    """
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if IMAGES.match(head):
        return "image"
    return "music" if RECORDINGS.match(head) else None


def _iso_media(head: bytes) -> Modality | None:
    """Tell AVIF from MP4, M4A and QuickTime by the brands that the ftyp box lists."""
    box = head[8 : max(16, int.from_bytes(head[:4], "big"))]
    brands = {box[:4], *(box[at : at + 4] for at in range(8, len(box), 4))}
    if brands & AVIF_BRANDS:
        return "image"
    return None if brands & FOREIGN_BRANDS else "music"
