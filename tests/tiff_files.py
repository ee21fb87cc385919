"""Writes TIFF files for tests, by pillow and by hand."""

import io
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

SHORT, LONG = 3, 4
WIDTH, LENGTH, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 259, 262, 266
STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_COUNTS = 273, 278, 279


def coded(image: Image.Image, compression: str, *, rows: int | None = None, **tags: int) -> bytes:
    """The file that pillow writes of a picture, in strips of some rows."""
    file = io.BytesIO()
    info = {ROWS_PER_STRIP: rows or image.height} | {int(tag.removeprefix("t")): value for tag, value in tags.items()}
    image.save(file, format="TIFF", compression=compression, tiffinfo=info)
    return file.getvalue()


def entry(content: bytes, tag: int) -> int:
    """Where the value of a tag of the first page stands in a little-endian file."""
    (offset,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, offset)
    places = [offset + 2 + 12 * index for index in range(count)]
    return next(place for place in places if struct.unpack_from("<H", content, place)[0] == tag) + 8


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """The file with another value of a tag of one number."""
    place = entry(content, tag)
    (kind,) = struct.unpack_from("<H", content, place - 6)
    changed = bytearray(content)
    struct.pack_into("<H" if kind == SHORT else "<I", changed, place, value)
    return bytes(changed)


def strips(content: bytes) -> list[tuple[int, int]]:
    """First byte and number of bytes of every strip."""
    with Image.open(io.BytesIO(content)) as image:
        tags = image.tag_v2  # pyright: ignore[reportAttributeAccessIssue]
        return list(zip(tags[STRIP_OFFSETS], tags[STRIP_COUNTS], strict=True))


def assembled(pages: Sequence[tuple[Mapping[int, list[int] | bytes], list[bytes]]], *, tiled: bool = False) -> bytes:
    """A file of pages of tags and of strips or tiles that are coded already."""
    content = bytearray(struct.pack("<2sHI", b"II", 42, 0))
    pointer = 4
    for tags, pieces in pages:
        offsets = []
        for piece in pieces:
            offsets.append(len(content))
            content += piece
        tags = dict(tags) | {324 if tiled else 273: offsets, 325 if tiled else 279: [len(piece) for piece in pieces]}
        entries = []
        for tag, value in sorted(tags.items()):
            kind = 7 if isinstance(value, bytes) else LONG
            raw = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}I", *value)
            place = raw.ljust(4, b"\0")
            if len(raw) > 4:
                place = struct.pack("<I", len(content))
                content += raw
            entries.append(struct.pack("<HHI", tag, kind, len(value)) + place)
        struct.pack_into("<I", content, pointer, len(content))
        content += struct.pack("<H", len(entries)) + b"".join(entries)
        pointer = len(content)
        content += struct.pack("<I", 0)
    return bytes(content)


def tiles(image: Image.Image, compression: str, size: int) -> bytes:
    """A file of square tiles, each of which pillow has coded; those at the edge are padded."""
    pieces, tags = [], {}
    for top in range(0, image.height, size):
        for left in range(0, image.width, size):
            content = coded(image.crop((left, top, left + size, top + size)), compression)
            ((offset, count),) = strips(content)
            pieces.append(content[offset : offset + count])
            with Image.open(io.BytesIO(content)) as tile:
                tags = dict(tile.tag_v2)  # pyright: ignore[reportAttributeAccessIssue]
    kept = {tag: tags[tag] for tag in (258, 259, 262, 277, 284, 320, 338, 347, 530, 532) if tag in tags}
    made = {tag: v if isinstance(v, bytes) else list(np.atleast_1d(v).astype(int)) for tag, v in kept.items()}
    made |= {WIDTH: [image.width], LENGTH: [image.height], 322: [size], 323: [size]}
    return assembled([(made, pieces)], tiled=True)
