"""TIFF pages, read in bands of strips or tiles: each band is handed to libtiff (through pillow) as a small file."""

import io
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from veerjax.errors import InputError
from veerjax.logs.page import Page, turned
from veerjax.logs.picture import check_size, decoder_messages, grey_of, packed, pictures_of_any_size

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BAND_PIXELS = 2**23  # that a band has at least, if the page is cut that finely
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # types of whole numbers, by struct's letters
SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANES, T4_OPTIONS = (
    273,
    274,
    277,
    278,
    279,
    284,
    292,
)
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
# What decoding a band depends on beside its size and place: predictor, colour map, JPEG tables, YCbCr and the like.
KEPT = (BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, PLANES, T4_OPTIONS, 293, 317, 320, TILE_WIDTH, TILE_LENGTH)
KEPT += (332, 338, 339, 347, 529, 530, 531, 532)
REDUCED, MASK = 1, 4  # bits of SUBFILE: a thumbnail or a mask is no page
RAW, GROUP_3, GROUP_4, OLD_JPEG = 1, 3, 4, 6
DEFLATE = (8, 32946)
FAX = {GROUP_3: "group3", GROUP_4: "group4"}
END_BYTES = {GROUP_3: 0, GROUP_4: 4}  # a Group 4 strip may end in a mark that not every writer sets
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
DOUBTFUL = "its Group 3 or 4 data is not what its rows code to"


@dataclass(frozen=True, kw_only=True)
class Directory:
    """The tags of one page as they lie in the file."""

    order: str  # struct's "<" or ">"
    entries: dict[int, tuple[int, int, bytes]]  # tag to type, count, value

    def numbers(self, tag: int, *default: int) -> tuple[int, ...]:
        """The whole numbers of a tag."""
        kind, count, value = self.entries.get(tag, (0, 0, b""))
        if kind not in WHOLE:
            return default
        return struct.unpack(f"{self.order}{count}{WHOLE[kind]}", value)

    def number(self, tag: int, default: int) -> int:
        return (*self.numbers(tag), default)[0]

    @property
    def tiled(self) -> bool:
        return TILE_OFFSETS in self.entries


def directories(path: Path, file: BinaryIO) -> list[Directory]:
    """Those of all pages; thumbnails and masks are left out.

    Raises:
        InputError: the file declares more of them than it holds.
    """
    size = file.seek(0, io.SEEK_END)

    def taken(offset: int, count: int) -> bytes:
        if offset + count > size:
            raise InputError(f"{path} is truncated: it declares tags up to byte {offset + count} but ends at {size}.")
        file.seek(offset)
        return file.read(count)

    order = "<" if taken(0, 2) == b"II" else ">"
    big = struct.unpack(f"{order}H", taken(2, 2))[0] == 43
    word, count_word, step = ("Q", "Q", 20) if big else ("I", "H", 12)
    word_size, count_size = struct.calcsize(word), struct.calcsize(f"={count_word}")
    at = 8 if big else 4
    found, seen = [], set()
    while offset := struct.unpack(f"{order}{word}", taken(at, word_size))[0]:
        if offset in seen:
            raise InputError(f"{path} is damaged: its list of pages runs in a circle; save it again from its source.")
        seen.add(offset)
        (count,) = struct.unpack(f"{order}{count_word}", taken(offset, count_size))
        table = taken(offset + count_size, count * step)
        at = offset + count_size + count * step
        entries = {}
        for tag, kind, number, value in struct.iter_unpack(f"{order}HH{word}{word_size}s", table):
            length = SIZES.get(kind, 0) * number
            if length > word_size:
                value = taken(struct.unpack(f"{order}{word}", value)[0], length)
            entries[tag] = kind, number, value[:length]
        found.append(Directory(order=order, entries=entries))
    return [each for each in found if not each.number(SUBFILE, 0) & (REDUCED | MASK)]


def count_tiff_pages(path: Path) -> int:
    with path.open("rb") as file:
        return len(directories(path, file))


def read_tiff(path: Path, number: int, *, max_pixels: int) -> Page:
    """A page, upright by its orientation tag; its memory is that of the page and of one band.

    A page of a single strip is one band.

    Raises:
        InputError: the page is larger than `max_pixels`, lacks strips or has damaged ones; what a decoder stumbles
            over otherwise is raised too.
    """
    with path.open("rb") as file:
        found = directories(path, file)
        if not found:
            raise InputError(f"{path} cannot be read as an image: it holds no page; give a whole TIFF.")
        directory = found[number - 1]
        width, height = directory.number(WIDTH, 0), directory.number(LENGTH, 0)
        check_size(path, width, height, max_pixels)
        if directory.number(COMPRESSION, RAW) == OLD_JPEG:
            raise InputError(f"{path} holds JPEG data of the kind of TIFF 6.0, long withdrawn; save it as PNG.")
        layout = Layout.of(path, directory, size=path.stat().st_size)
        data, bits, doubtful = None, False, []
        for top, band, bits, content in layout.bands(file):
            if bits:
                doubtful += [top + row for row in miscoded_rows(directory, content, layout.unit_rows, band, width)]
            if data is None:
                data = np.empty((height, band.shape[1]), np.uint8)
            data[top : top + len(band)] = band
    assert data is not None
    page = Page(data=data, width=width, bits=bits, remarks=doubts_of(doubtful, strips=layout.places.shape[1]))
    return turned(page, directory.number(ORIENTATION, 1))


def rows_of(path: Path, directory: Directory, image: Image.Image) -> tuple[np.ndarray, bool]:
    """The rows of a band, and whether they are bits."""
    if image.mode == "1":
        return packed(image), True
    zero = directory.number(PHOTOMETRIC, 1) == 0
    return grey_of(path, image, bits=max(directory.numbers(BITS, 1)), white_is_zero=zero), False


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the strips or tiles of a page lie."""

    path: Path
    directory: Directory
    places: np.ndarray  # [planes, rows of strips or tiles, columns of tiles, 2] first byte and number of bytes
    unit_rows: int  # rows of a strip or tile [px]

    @classmethod
    def of(cls, path: Path, directory: Directory, *, size: int) -> "Layout":
        """The layout of a page in a file of a size [bytes].

        Raises:
            InputError: strips or tiles are missing, empty or beyond the end of the file.
        """
        width, height = directory.number(WIDTH, 0), directory.number(LENGTH, 0)
        tags = (TILE_OFFSETS, TILE_COUNTS) if directory.tiled else (STRIP_OFFSETS, STRIP_COUNTS)
        unit_rows = min(directory.number(TILE_LENGTH if directory.tiled else ROWS_PER_STRIP, height), height)
        unit_rows = directory.number(TILE_LENGTH, 0) if directory.tiled else unit_rows
        unit_width = directory.number(TILE_WIDTH, 0) if directory.tiled else width
        if unit_rows == 0 or unit_width == 0:
            raise InputError(f"{path} is damaged: its strips or tiles have no pixels; save it again from its source.")
        planes = directory.number(SAMPLES, 1) if directory.number(PLANES, 1) == 2 else 1
        shape = planes, -(-height // unit_rows), -(-width // unit_width)
        offsets, counts = (directory.numbers(tag) for tag in tags)
        if not counts and len(offsets) == 1:  # old writers left the count of a single strip out
            counts = (size - offsets[0],)
        if min(len(offsets), len(counts)) < np.prod(shape):
            given = min(len(offsets), len(counts))
            raise InputError(f"{path} is damaged: it has {given} of the {np.prod(shape)} strips or tiles of its rows.")
        places = np.stack([offsets, counts], axis=1)[: np.prod(shape)]
        end = int(places.sum(axis=1).max())
        if end > size:
            raise InputError(f"{path} is truncated: it declares pixels up to byte {end} but ends at {size}.")
        if not places.all():
            raise InputError(f"{path} is damaged: some of its rows have no data; save it again from its source.")
        return cls(path=path, directory=directory, places=places.reshape(*shape, 2), unit_rows=unit_rows)

    def bands(self, file: BinaryIO) -> Iterator[tuple[int, np.ndarray, bool, list[bytes]]]:
        """First row, decoded rows, whether they are bits, and undecoded strips of every band, from the top.

        Raises:
            InputError: libtiff tells of damage in a band.
        """
        width, height = self.directory.number(WIDTH, 0), self.directory.number(LENGTH, 0)
        units = max(BAND_PIXELS // (width * self.unit_rows), 1)
        for first in range(0, self.places.shape[1], units):
            top = first * self.unit_rows
            rows = min(units * self.unit_rows, height - top)
            strips = []
            for offset, count in self.places[:, first : first + units].reshape(-1, 2).tolist():
                file.seek(offset)
                strips.append(file.read(count))
            with decoder_messages() as said:
                try:
                    if self.directory.number(COMPRESSION, RAW) in DEFLATE:
                        check_sums(strips)
                    image = decoded(small_tiff(self.directory, strips, rows, self.unit_rows))
                    failure = None
                except Exception as error:  # of whatever kind: libtiff's own sentence says more, and is heard now
                    image, failure = None, error
            if said or image is None:
                why = said[0] if said else str(failure)
                raise InputError(
                    f"{self.path} cannot be read as an image: it is damaged within rows {top} to {top + rows - 1}"
                    f" ({why[:120]}); save it again from its source."
                ) from failure
            band, bits = rows_of(self.path, self.directory, image)
            del image  # a long strip is in memory once, be it the only one of its page
            yield top, band, bits, strips


def check_sums(strips: list[bytes]) -> None:
    """Raises zlib's error where the checksum of a strip is wrong, for libtiff stops at the last pixel, before it."""
    for strip in strips:
        stream, rest = zlib.decompressobj(), strip
        while rest and not stream.eof:
            stream.decompress(rest, BAND_PIXELS)  # no more at once, whatever a strip expands to
            rest = stream.unconsumed_tail


def decoded(content: bytes) -> Image.Image:
    with pictures_of_any_size():
        image = Image.open(io.BytesIO(content), formats=("TIFF",))
        image.load()
    return image


def small_tiff(directory: Directory, strips: list[bytes], rows: int, unit_rows: int) -> bytes:
    """A file of its own of some strips, or rows of tiles, of a page."""
    order, start = directory.order, 8
    entries = {tag: directory.entries[tag] for tag in KEPT if tag in directory.entries}

    def put(tag: int, numbers: list[int]) -> None:
        entries[tag] = 4, len(numbers), struct.pack(f"{order}{len(numbers)}I", *numbers)

    put(WIDTH, [directory.number(WIDTH, 0)])
    put(LENGTH, [rows])
    counts = [len(strip) for strip in strips]
    offsets = [start + before for before in np.cumsum([0, *counts[:-1]]).tolist()]
    put(TILE_OFFSETS if directory.tiled else STRIP_OFFSETS, offsets)
    put(TILE_COUNTS if directory.tiled else STRIP_COUNTS, counts)
    if not directory.tiled:
        put(ROWS_PER_STRIP, [min(unit_rows, rows)])
    at = start + sum(counts)
    table, beyond = b"", b""
    values_at = at + 2 + 12 * len(entries) + 4
    for tag, (kind, count, value) in sorted(entries.items()):
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(f"{order}I", values_at + len(beyond))
        table += struct.pack(f"{order}HHI", tag, kind, count) + place
        beyond += value if len(value) > 4 else b""
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
    directory_bytes = struct.pack(f"{order}H", len(entries)) + table + struct.pack(f"{order}I", 0)
    return b"".join([head, *strips, directory_bytes, beyond])


def doubts_of(rows: list[int], *, strips: int) -> tuple[str, ...]:
    """What is to be said of Group 3 or 4 strips that differ from the code of their rows, the first row of each.

    A scan is not refused for them: libtiff did read them, and a writer may be one that codes otherwise. Then all of
    its strips differ; one in many tells of damage.
    """
    if not rows:
        return ()
    where = "its one strip" if strips == 1 else f"{len(rows)} of its {strips} strips"
    return (f"{DOUBTFUL} in {where}, from row {rows[0]} on: it may be damaged there; look at the overlay",)


def miscoded_rows(
    directory: Directory, strips: list[bytes], unit_rows: int, band: np.ndarray, width: int
) -> Iterator[int]:
    """A row of the band for each strip that is not what its rows code to: where the first differs, and others begin.

    libtiff passes over most damage in strips of Group 3 or 4 without a word. Both codes leave a writer no choice but
    in marks and padding at the ends, so rows that were misread hardly ever code to the bytes that they were read from.
    Tiles are not checked, for their padding is not kept; all else has no such code.
    """
    if directory.number(COMPRESSION, RAW) not in FAX or directory.tiled:
        return
    bits = band if directory.number(PHOTOMETRIC, 1) == 1 else np.invert(band)
    table = REVERSED_BITS if directory.number(FILL_ORDER, 1) == 2 else None
    first = True
    for place, (strip, again) in enumerate(zip(strips, recoded(directory, bits, unit_rows, width), strict=True)):
        strip = strip.translate(table)
        if not strip.startswith(again):
            top = place * unit_rows
            if not first:  # where others begin to differ is not said
                yield top
                continue
            first = False
            rows = bits[top : top + unit_rows]

            def differs(row: int, strip: bytes = strip, rows: np.ndarray = rows) -> bool:
                return not strip.startswith(recoded(directory, rows[: row + 1], unit_rows, width)[0])

            yield top + bisect_left(range(len(rows)), True, key=differs)


def recoded(directory: Directory, bits: np.ndarray, unit_rows: int, width: int) -> list[bytes]:
    """What rows code to as strips of Group 3 or 4, without the mark that may end them."""
    compression = directory.number(COMPRESSION, RAW)
    image = Image.frombytes("1", (width, len(bits)), bits.tobytes())
    file, options = io.BytesIO(), {ROWS_PER_STRIP: min(unit_rows, len(bits))}
    if compression == GROUP_3:
        options[T4_OPTIONS] = directory.number(T4_OPTIONS, 0)
    image.save(file, format="TIFF", compression=FAX[compression], tiffinfo=options)
    (written,) = directories(Path("again.tif"), file)
    content, counts = file.getbuffer(), written.numbers(STRIP_COUNTS)
    return [
        bytes(content[offset : offset + max(count - END_BYTES[compression], 0)])
        for offset, count in zip(written.numbers(STRIP_OFFSETS), counts, strict=True)
    ]
