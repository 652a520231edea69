"""The wheels that the device machine lacks, as two archives small enough to travel: `dali.tar.xz` and `ray.tar.xz`.

    python slim.py --wheels DIR --out DIR

A wheel of DALI is 199 MB and one of Ray 79 MB; 64 MiB travel a call. What is left out is what a Hopper GPU and Python
3.12 never look at: GPU code of other architectures (its bytes are set to zero where they lie, so that nothing in the
file moves; the driver reads the headers and takes the entry of its own architecture), symbols, extension modules of
other Pythons, headers, Ray's Java, web pages and reinforcement learning. What is left is 52 MB and 19 MB, and passes
the project's tests of DALI on a CPU. Packing takes some four minutes on two idle cores.
"""

import argparse
import re
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

ARCHITECTURE = 90

# What is in which archive, by distribution. DALI needs libcst, nvtx and nvCOMP for other things than we do with it.
DALI = [
    "nvidia_dali_cuda130",
    "nvidia_nvimgcodec_cu13",
    "nvidia_nvjpeg",
    "astunparse",
    "gast",
    "optree",
    "makefun",
    "jsonargparse",
    "docstring_parser",
    "typeshed_client",
    "tensorboardx",
    "tenacity",
]
RAY = [
    "ray",
    "jsonschema",
    "jsonschema_specifications",
    "referencing",
    "rpds_py",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_inspection",
]

_LEFT_OUT = re.compile(
    r"\.cpython-3(?!12-)\w+-|\.pyi$|/include/|\.data/"
    r"|^nvidia/nvimgcodec/(nvimgcodec_impl|tools/|extensions/lib(nvjpeg2k|nvtiff)_ext)"
    r"|^ray/(jars|rllib|llm|dashboard/client)/"
)
# A package that has an `__init__.py` in the machine's own `nvidia` folder would hide ours.
_SITECUSTOMIZE = """\
import os

try:
    import nvidia

    ours = os.path.join(os.path.dirname(__file__), "nvidia")
    if ours not in nvidia.__path__:
        nvidia.__path__.append(ours)
except ImportError:
    pass
"""


def main() -> None:
    """Unpack, slim, pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    for name, distributions in (("dali", DALI), ("ray", RAY)):
        site = arguments.out / f"{name}_site"
        shutil.rmtree(site, ignore_errors=True)
        for distribution in distributions:
            (wheel,) = arguments.wheels.glob(f"{distribution}-[0-9]*.whl")
            _unpack(wheel, site)
        if name == "dali":
            (site / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        for path in site.rglob("*"):
            if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
                zeroed = keep_architecture(path, ARCHITECTURE)
                subprocess.run(["strip", "-s", path], check=True)
                if zeroed:
                    print(f"{path.name}: {zeroed / 1e6:.1f} MB of other architectures")
        archive = arguments.out / f"{name}.tar.xz"
        _pack(site, archive)
        print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")


def _unpack(wheel: Path, site: Path) -> None:
    with zipfile.ZipFile(wheel) as whole:
        for entry in whole.infolist():
            if not entry.is_dir() and not _LEFT_OUT.search(entry.filename):
                path = Path(whole.extract(entry, site))
                path.chmod(0o755 if entry.external_attr >> 16 & 0o111 else 0o644)


def keep_architecture(path: Path, architecture: int) -> int:
    """Zero the code of other architectures, where there is some of this one, and say how many bytes that was."""
    data, zeroed = bytearray(path.read_bytes()), 0
    for start, size in _fat_sections(path):
        entries = list(_entries(data, start, start + size))
        served = {fatbin for fatbin, is_code, arch, _, _ in entries if is_code and arch == architecture}
        for fatbin, is_code, arch, begin, end in entries:
            if fatbin in served and not (is_code and arch == architecture):
                data[begin:end] = bytes(end - begin)
                zeroed += end - begin
    if zeroed:
        path.write_bytes(data)
    return zeroed


def _fat_sections(path: Path) -> Iterator[tuple[int, int]]:
    """Offsets and sizes of an ELF file's sections of GPU code."""
    listing = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        match = re.search(r"\] (\.nv_fatbin|__nv_relfatbin)\s+\S+\s+\S+\s+([0-9a-f]+)\s+([0-9a-f]+)", line)
        if match:
            yield int(match[2], 16), int(match[3], 16)


def _entries(data: bytearray, start: int, stop: int) -> Iterator[tuple[int, bool, int, int, int]]:
    """Of each entry: its fat binary's place, whether it is machine code (not PTX), its architecture, its bytes' place.

    A fat binary: magic, version 1, header size 16, size of its entries. An entry: kind (2 is machine code), header size
    at 4, size of what follows at 8, architecture at 28.
    """
    magic = struct.pack("<IHH", 0xBA55ED50, 1, 16)
    place = start
    while (place := data.find(magic, place, stop)) >= 0:
        (size,) = struct.unpack_from("<Q", data, place + 8)
        entry, end = place + 16, place + 16 + size
        if end > stop:
            place += 4
            continue
        while entry < end:
            kind, _, header, length = struct.unpack_from("<HHIQ", data, entry)
            (arch,) = struct.unpack_from("<I", data, entry + 28)
            yield place, kind == 2, arch, entry + header, entry + header + length
            entry += header + length
        place = end


def _pack(site: Path, archive: Path) -> None:
    with archive.open("wb") as out:
        tar = subprocess.Popen(
            ["tar", "-C", site, "--sort=name", "--owner=0", "--group=0", "--mtime=@0", "-cf", "-", "."],
            stdout=subprocess.PIPE,
        )
        # Its filter for x86 code, and two blocks at once.
        command = ["xz", "-T2", "--block-size=192MiB", "--x86", "--lzma2=preset=9,dict=64MiB"]
        subprocess.run(command, stdin=tar.stdout, stdout=out, check=True)
        if tar.wait():
            raise RuntimeError("tar failed")


if __name__ == "__main__":
    main()
