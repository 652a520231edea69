"""Odd files as people have them: the flower in every encoding at hand, and files that are no images."""

import io
import struct
import zlib
from base64 import b85decode
from collections.abc import Callable
from functools import cache, partial

import cv2
import numpy as np
from PIL import Image

from .photographs import flower, oriented, with_alpha

__all__ = ["COLOUR", "GREY", "NO_IMAGES", "SIZE", "huge_png", "picture"]

SIZE = (66, 42)

Make = Callable[[], bytes]


@cache
def picture() -> Image.Image:
    """What all of `COLOUR` and `GREY` show."""
    return flower().resize(SIZE)


def _grey() -> np.ndarray:
    return np.asarray(picture().convert("L"))


def _saved(format: str, mode: str = "RGB", **options: object) -> bytes:
    image = with_alpha(picture().convert(mode[:-1])) if mode in ("RGBA", "LA") else picture().convert(mode)
    sink = io.BytesIO()
    image.save(sink, format, **options)
    return sink.getvalue()


def _array(format: str, pixels: np.ndarray, **options: object) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format, **options)
    return sink.getvalue()


def _by_cv2(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


def _bgr16() -> np.ndarray:
    return np.asarray(picture())[..., ::-1].astype(np.uint16) * 257


def _several(format: str, **options: object) -> bytes:
    """The picture, then others."""
    others = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue")]
    return _saved(format, save_all=True, append_images=others, **options)


def _jpeg(**options: object) -> bytes:
    return _saved("JPEG", quality=90, **options)


def _patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def _ycck() -> bytes:
    """CMYK data taken for YCCK: colours are wrong, but the same everywhere."""
    return _patched(_saved("JPEG", "CMYK"), b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2")


def _rgb_in_jpeg() -> bytes:
    """What Adobe's programs mark as RGB; likewise."""
    adobe = b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\0"
    data = _jpeg()
    return data[:2] + adobe + data[20:]  # without the JFIF segment, which would say YCbCr


def _pnm(kind: str, maxval: int, values: np.ndarray) -> bytes:
    return f"{kind}\n# made up\n{SIZE[0]} {SIZE[1]}\n{maxval}\n".encode() + values.tobytes()


def _plain_pnm() -> bytes:
    return f"P3 {SIZE[0]} {SIZE[1]} 255\n{' '.join(map(str, np.asarray(picture()).ravel()))}\n".encode()


def _top_down_bmp() -> bytes:
    data = bytearray(_saved("BMP"))
    rows = np.frombuffer(bytes(data[54:]), np.uint8).reshape(SIZE[1], -1)[::-1]
    data[22:26] = struct.pack("<i", -SIZE[1])
    return bytes(data[:54]) + rows.tobytes()


# JPEGs of 33 x 21 pixels, coded as Pillow cannot write them; the first one in colour.
_ARITHMETIC = (
    b"|JeWF01!$>Nk#wx0RR9200961|JwjV00smF1_cBL1_cHO2L=cV5DE$j2?`Vr4-60&6c`v66c!d59VH(c8zUSR79cDjBPJ&)Dk&KsEif%8FeNA{DF"
    b"534LjeZ|2MP!Z6AB6wC>j<TC@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@BBQ01*fP6#yXv0U`hb5di}c0sqV"
    b"Z3IGrg1pyEd1^?Or3<CiG0ucid06zf#0LX7qQJy-A)&K!Ji=QPg@ktI<_C=fzveQJF4nO`PzBgu$b9E`hSi2qj_6-zZnzPcagBG=eWL3+E-MXB#<"
    b"+^QR!W#`zLsT5Xfl2bF{kE9BG<Xm^7qZZn7WmSqBTg@QzSSt&>VfgV%4a9885TW+?eq`Xn-w|C>{EDL;WVv0bJEK61#R1|o5?!3!_8DBIT?yqwV{"
    b"K;HFi3?e2aysMth-w-c%YqvM;&2i0?}O0Hu-g1-aejxgp3|S&a8*_R_0x&rV8FJs*X1vP4uuCFlyjveDR=PT1;;@iAh+_Br6GB>w>a0O;A!YdYS?"
    b"2Xhz06kAsMFM_-^Mv^tMgo$pecmT7bu#;V7Yt=dQ&HmUv-o=Q!nwC!iV)aadIh8{4z^2uIv=zQ}jO!~?bs_vwl;u!5z}B!935e;T5>ch|v{<m34H"
    b"m0d-(!~<)N9hkQd9!I=p$l$D;%pgpnu^{5?k993=d9JAph9"
)
_TWELVE_BITS = (
    b"|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>HbyrrEkIX6ModmpQ&KWMT47pHU`kO^Py"
    b"fLH3k(1i03iVZ5di<h02crO0RaI30000000000000093J3@P!~if5009I60tEpD2>}2A000000s#XA1qKHZ00;>ZArlG|L6gxJ86qQ9R#<_S)BoB"
    b"42mt{A06zeRZf`V3RZN_Hj4r6aV=(NS8Ez7*s!FJcD!(1P@u+$%^gQS9sUB##j)CIQF}*O4VC_w|sOC}%COum7V1{k4rY9mpiQEa=!$yLph-3-6r"
    b"50$%vB{Fa$1^rHyQtM=HlRp&qT@{9dVcKM#8gd@`O7jxFA^cD2{hP-$f&64@3#i`RDWj!osLB`9?xIm-D6zA>25yEiI;gc4IS9FxXgA#y~!4JZ|-"
    b"e?iV~SeazM6%q)H?BxCegMtG`=o<|o&LHs=+esoITGgjFN*=VZ3AD4-)OtIoLV?+Zwx+IcnH_uJ#Q7q_JKIIkhRkm-hr;#lTBSZ1GNRgtE}t%UO|"
    b"%u!*s-n3(IKyBBgI!`<#Mnm1)M!t3~H5aT5*0pddvDn!&IF)sSb=EWF!UKM(x7D`Y_1+R8RY%@Ug?}+rdk|GScUHMZ=CU5JXzKwkvW9&H)l_!fg#"
    b"A%~S%k<cg&bUPys4rPcDNgCN`@+&aj&^oqp$E2Lw<B`rx358I)Q&v&-X2oY2O&KAZnI3C6iQAPVur~Q*`mVe|%hjGkTG8eV{OL{HfUz;JpG=nrV<"
    b"<_j?+3i&WgAWMr7T>agIWtf&xoAUdhuTPG8>VFu2VJIC?NOChtYt;_77wGkb7oI1u%JV(K$R@Jn01-WF;Y71hb2&$fT;nnFGb{QU>S=hppbq*#fu"
    b"`8#t{D_hyUCePsgPin)iUud?kO~TTPR;jHRW3L0yJ_d`+^_v<{{Y92|Je"
)
_LOSSLESS = (
    b"|JeWF01!$>Nk#wx0RR9200961|HA+a2mloTAprpq0RO}Q8~^|U0|5a60RR9100000000970RjaE00#*F+5iXv0RRC20QnF{3)b`KtypoZ)MG0In$"
    b"%*TC}POGZz8RxA|Q`2SfwDOpL)K53e#rpVdJN7L`2=DFX*i)>A#Lhnuug})<+OF^h6MZy(#H)ujqOH55!=Fum=_-X5vM?5hO2~=(<dOFQ{&-I7#u"
    b"GzG7viN8-~rI%1Wq_?<V~dJ2;~PbnwK+qM_U_(ND^u+m$@2)*y1_gjp!L{I9DuAsx$4;S*zcE+IA7lg2f+Wn!q0`4POQOdC?6GFqr{P~?V8ufsIe"
    b"ebh$E9Zoz0m7q22pNqEOaA~d_~89T{Q?UgY1bZt^bT*el314sG-a}eRr&QKV)ur(P4>j8puOpnMA!;WgI$}rHcFST0366g(fza8=+i)p2b&$$(_w"
    b"w2nP6|}+T&U#0nq&!wYReK88Y<9NHr$@UqNOb5tM7d54{TYA6_7%+4&RB8w*!76z$j9QQb?okE1}+U~6{YLfFd7W$r=VcDdqRxNSb#mgojn85sTQ"
    b"1pfe4)zcMo8_UIxU^)%x@p`oDOy;g>brhs}2CE-yw??pXFt+hHeu*i1ttj;8^%`_=iPzq!6hGRBr=nFbuxA-jF`$ZCV(81!Qgo3+(OLm&eXDUrI#"
    b"8*?5iEx)!E>9*>N>7u+j=FM#RL#j>U-OqxzD(sNcrq$D8_3YA4Y6lO)@scD?tcz^=(~L^suvf9#<Qp=Jl}X&qJCsZ}cu@Iv@Yp"
)

_TURNED = {274: 6}

COLOUR: dict[str, Make] = {
    "baseline.jpg": _jpeg,
    "progressive.jpg": partial(_jpeg, progressive=True),
    "restarts.jpg": partial(_jpeg, restart_marker_rows=1),
    "narrow_chroma.jpg": partial(_jpeg, subsampling="4:1:1"),
    "turned.jpg": lambda: _jpeg(exif=oriented(6)),
    "trailing_zeros.jpg": lambda: _jpeg() + bytes(100),
    "second_picture.mpo": partial(_several, "MPO"),
    "cmyk.jpg": partial(_saved, "JPEG", "CMYK"),
    "arithmetic.jpg": lambda: b85decode(_ARITHMETIC),
    "plain.png": partial(_saved, "PNG"),
    "alpha.png": partial(_saved, "PNG", "RGBA"),
    "palette.png": partial(_saved, "PNG", "P", bits=8),
    "palette_one_transparent.png": partial(_saved, "PNG", "P", transparency=3),
    "palette_all_transparent.png": partial(_saved, "PNG", "P", transparency=bytes(range(256))),
    "sixteen_bits.png": lambda: _by_cv2(".png", _bgr16()),
    "animated.png": partial(_several, "PNG"),
    "plain.gif": partial(_saved, "GIF"),
    "animated.gif": partial(_several, "GIF"),
    "transparent.gif": partial(_saved, "GIF", "P", transparency=5),
    "lossy.webp": partial(_saved, "WEBP", quality=95),
    "alpha.webp": partial(_saved, "WEBP", "RGBA", lossless=True),
    "animated.webp": partial(_several, "WEBP", quality=95),
    "plain.avif": partial(_saved, "AVIF", quality=90, speed=10),
    "turned.avif": lambda: _saved("AVIF", quality=90, speed=10, exif=oriented(6)),
    "plain.jp2": partial(_saved, "JPEG2000"),
    "codestream.j2k": partial(_saved, "JPEG2000", no_jp2=True),
    "plain.tif": partial(_saved, "TIFF"),
    "turned.tif": partial(_saved, "TIFF", tiffinfo=_TURNED),
    "lzw_turned.tif": partial(_saved, "TIFF", compression="tiff_lzw", tiffinfo=_TURNED),
    "jpeg.tif": partial(_saved, "TIFF", compression="jpeg", quality=90),
    "cmyk.tif": partial(_saved, "TIFF", "CMYK"),
    "alpha.tif": partial(_saved, "TIFF", "RGBA"),
    "palette.tif": partial(_saved, "TIFF", "P"),
    "lab.tif": partial(_saved, "TIFF", "YCbCr"),
    "pages.tif": partial(_several, "TIFF"),
    "sixteen_bits.tif": lambda: _by_cv2(".tiff", _bgr16()),
    "big.tif": partial(_saved, "TIFF", big_tiff=True),
    "plain.bmp": partial(_saved, "BMP"),
    "top_down.bmp": _top_down_bmp,
    "palette.bmp": partial(_saved, "BMP", "P"),
    "alpha.bmp": partial(_saved, "BMP", "RGBA"),
    "plain.dib": partial(_saved, "DIB"),
    "plain.ppm": partial(_saved, "PPM"),
    "as_text.ppm": _plain_pnm,
    "sixteen_bits.ppm": lambda: _pnm("P6", 65535, np.asarray(picture()).astype(np.uint16) * 257),
    "plain.tga": partial(_saved, "TGA"),
    "packed.tga": partial(_saved, "TGA", compression="tga_rle"),
    "plain.pcx": partial(_saved, "PCX"),
    "plain.sgi": partial(_saved, "SGI"),
    "plain.dds": partial(_saved, "DDS"),
    "plain.qoi": partial(_saved, "QOI"),
    "plain.im": partial(_saved, "IM"),
}

GREY: dict[str, Make] = {
    "grey.jpg": partial(_saved, "JPEG", "L", quality=90),
    "lossless.jpg": lambda: b85decode(_LOSSLESS),
    "grey.png": partial(_saved, "PNG", "L"),
    "grey_alpha.png": partial(_saved, "PNG", "LA"),
    "grey_sixteen_bits.png": lambda: _array("PNG", _grey().astype(np.uint16) * 257),
    "grey.webp": partial(_saved, "WEBP", "L", lossless=True),
    "grey.jp2": partial(_saved, "JPEG2000", "L"),
    "grey_sixteen_bits.jp2": lambda: _array("JPEG2000", _grey().astype(np.uint16) * 257),
    "grey_alpha.tif": partial(_saved, "TIFF", "LA"),
    "grey_sixteen_bits.tif": lambda: _array("TIFF", _grey().astype(np.uint16) * 257),
    "big_endian.tif": lambda: _array("TIFF", (_grey().astype(np.uint16) * 257).astype(">u2")),
    "thirty_two_bits.tif": lambda: _array("TIFF", _grey().astype(np.int32) * 257),
    "float.tif": lambda: _array("TIFF", _grey().astype(np.float32)),
    "float_with_nan.tif": lambda: _array("TIFF", np.where(_grey() < 1, np.nan, _grey() / 1e6).astype(np.float32)),
    "float.pfm": lambda: _array("PPM", _grey().astype(np.float32) / 255),
    "plain.pgm": partial(_saved, "PPM", "L"),
    "sixteen_bits.pgm": lambda: _pnm("P5", 65535, _grey().astype(np.uint16) * 257),
    "twelve_bits.pgm": lambda: _pnm("P5", 4095, (_grey().astype(np.uint16) * 16).astype(">u2")),
    "grey.tga": partial(_saved, "TGA", "L"),
    "grey.bmp": partial(_saved, "BMP", "L"),
}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(width: int, height: int) -> bytes:
    """A black PNG of any size in a few kilobytes."""
    pack = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join([*(pack.compress(row) for _ in range(height)), pack.flush()])
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _huge_profile() -> bytes:
    """A PNG whose colour profile unpacks to 64 MB."""
    data = _saved("PNG")
    return data[:33] + _chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 26), 1)) + data[33:]


def _cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def _between(data: bytes, inserted: bytes) -> bytes:
    """With something in the middle of the coded data."""
    return data[: len(data) * 3 // 4] + inserted + data[len(data) * 3 // 4 :]


NO_IMAGES: dict[str, Make] = {
    "empty.jpg": lambda: b"",
    "one_byte.jpg": lambda: b"\xff",
    "start_alone.jpg": lambda: b"\xff\xd8\xff",
    "text.jpg": lambda: b"no image\n" * 99,
    "zeros.jpg": lambda: bytes(10_000),
    "error_page.jpg": lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "pointer.jpg": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n" % 0,
    "drawing.svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>',
    "drawing.eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    "document.pdf": lambda: b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF",
    "archive.zip": lambda: b"PK\5\6" + bytes(18),
    "phone.heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
    "film.mp4": lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99),
    "radiance.hdr": lambda: _by_cv2(".hdr", np.asarray(picture()).astype(np.float32) / 255),
    "twelve_bits.jpg": lambda: b85decode(_TWELVE_BITS),
    "no_end.jpg": lambda: _jpeg()[:-2],
    "half.jpg": lambda: _cut(_jpeg(), 0.7),
    "half_progressive.jpg": lambda: _cut(_jpeg(progressive=True), 0.7),
    "header.jpg": lambda: _cut(_jpeg(), 0.1),
    "stray_marker.jpg": lambda: _between(_jpeg(), b"\xff\x35"),
    "stray_scan.jpg": lambda: _between(_jpeg(), b"\xff\xda\0\x0c"),
    "no_height.jpg": lambda: _patched(_jpeg(), b"\x08\0\x2a\0\x42", b"\x08\0\0\0\x42"),
    "cmyk_cut.jpg": lambda: _cut(_saved("JPEG", "CMYK"), 0.9),
    "half.png": lambda: _cut(_saved("PNG"), 0.5),
    "header.png": lambda: _cut(_saved("PNG"), 0.01),
    "wrong_checksum.png": lambda: _patched(_saved("PNG"), b"IDAT", b"IDAU"),
    "huge_profile.png": _huge_profile,
    "half.gif": lambda: _cut(_saved("GIF"), 0.5),
    "half.webp": lambda: _cut(_saved("WEBP", quality=95), 0.5),
    "half.tif": lambda: _cut(_saved("TIFF", compression="tiff_lzw"), 0.5),
    "half.bmp": lambda: _cut(_saved("BMP"), 0.5),
    "half.jp2": lambda: _cut(_saved("JPEG2000"), 0.3),
    "half.avif": lambda: _cut(_saved("AVIF", speed=10), 0.5),
    "huge.png": lambda: huge_png(14_000, 14_000),
    "huge.jpg": lambda: _patched(_jpeg(), b"\x08\0\x2a\0\x42", b"\x08\xff\0\xff\0"),
    "huge.ppm": lambda: b"P5 100000 100000 255\n" + bytes(99),
    "huge.tga": lambda: struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 60_000, 60_000, 24, 0) + bytes(99),
}
"""None of them is opened for long, and none takes memory."""
