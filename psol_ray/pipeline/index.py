"""`psol index`: the catalog of a data set."""

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.markup import escape
from rich.text import Text

from psol_ray.catalog.changes import find_changes
from psol_ray.catalog.coordinates import settle_boxes
from psol_ray.catalog.headers import AWAY, read_sizes
from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.listing import FILES, Listing, build_catalog
from psol_ray.catalog.passed_over import describe
from psol_ray.catalog.settings import DataConfig
from psol_ray.catalog.source import Source, look_at
from psol_ray.errors import ImagesAway, UserError, abbreviate, without_secrets
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.layout import data_of
from psol_ray.storage.addresses import Address, file_address
from psol_ray.tables import CATALOG, Provenance, StageDir
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.files import absolute
from psol_ray.tables.patience import impatiently
from psol_ray.tables.schemas import PLACES
from psol_ray.work.perform import why_away

__all__ = ["check", "index", "provenance"]

_TABLE = pa.schema([*CATALOG, *FILES])
_KNOWN_BY = ["image_id", "width", *FILES.names]


def index(context: Context) -> None:
    """List the images, read their sizes, write the catalog; the demo's images are made first.

    Raises:
        UserError: the data cannot be listed; or the catalog is there, and the data are others by now.
    """
    check(context)
    stage = context.stage("catalog")
    with impatiently():
        made_before = None if context.overwrite else stage.made_by()
    if made_before is None:
        # Before the data are listed, which may take minutes.
        context.run_dir.check_writable()
    with impatiently():
        data = data_of(context, making=True)
    if made_before is not None:
        _check_settings(stage, made_before, data)
    root = absolute(data.root)
    listing, source = _look(context, data, root)
    if made_before is not None and stage.parts():
        _check_unchanged(root, listing, source, stage, made_before)
        made_by = made_before
    else:
        # Where the data lie, and how that is spelt, is no part of the fingerprint; what they are is.
        made_by = Provenance("catalog", {**_depends_on(data), "source": source.digest}, {}, details=source.details)
    if context.overwrite or not context.is_complete(made_by):
        _make(context, data, made_by, root, listing, source)
    context.gaps.extend(_gaps(stage.read(_TABLE, _KNOWN_BY), data))


def provenance(context: Context) -> Provenance:
    """What made this run's catalog, if its settings are these; what it was made from is not looked at."""
    data = replace(context.config.data, layout=context.layout)
    made_by, wanted = context.stage("catalog").made_by(), _depends_on(data)
    if made_by is not None and made_by.config == {**wanted, "source": made_by.config.get("source")}:
        return made_by
    return Provenance("catalog", wanted, {})


def check(context: Context) -> None:
    """Raise a UserError where settings contradict each other."""
    data = context.config.data
    if data.metadata is not None and data.layout not in ("wsol", "auto"):
        raise UserError(
            f"data.metadata: found {data.metadata!r} beside data.layout {data.layout}, which has none;"
            " set data.layout to wsol, or leave it out"
        )


def _depends_on(data: DataConfig) -> dict[str, Any]:
    """The settings that the catalog depends on, by name."""
    coordinates = {} if data.coordinates is None else {"coordinates": data.coordinates}
    return {"layout": data.layout, "max_pixels": data.max_pixels, **coordinates}


def _check_settings(stage: StageDir, made_before: Provenance, data: DataConfig) -> None:
    if "images" not in made_before.details:
        raise UserError(
            f"{stage.path}: found a catalog that does not say what it was made from, expected one of this version;"
            " use another run_dir, or --overwrite to make it anew"
        )
    wanted = Provenance("catalog", {**_depends_on(data), "source": made_before.config["source"]}, {})
    if wanted.fingerprint != made_before.fingerprint:
        raise UserError(f"{stage.path}: {wanted.explain_difference(made_before)}")


def _look(context: Context, data: DataConfig, root: str) -> tuple[Listing, Source]:
    layout: str = data.layout
    if layout == "demo":
        _make_demo(context, root)
        layout = "folder"
    metadata = None if data.metadata is None else absolute(data.metadata)
    # Minutes on a network file system that has not been asked for a while; nobody knows how many there are.
    with context.console.status(escape(f"Listing what is in {without_secrets(root)}")):
        listing = list_data(layout, root, metadata, data.coordinates)
        return listing, look_at(root, metadata or root, listing)


def _check_unchanged(root: str, listing: Listing, source: Source, stage: StageDir, made_before: Provenance) -> None:
    image_ids, recorded = listing.images.column("image_id"), stage.read(_TABLE, _KNOWN_BY)
    changes = find_changes(root, image_ids, source, recorded, made_before.details)
    if changes:
        raise UserError(
            f"data.root {without_secrets(root)}: found other data than those that {stage.path} was made from"
            f" ({'; '.join(changes)}), expected the same; use another run_dir, or --overwrite to make it anew"
        )


def _make(context: Context, data: DataConfig, made_by: Provenance, root: str, listing: Listing, source: Source) -> None:
    images, files = listing.images, source.files
    sized = "width" in images.column_names
    if not sized:
        _check_away(data, root, images.filter(pc.less(files["bytes"], 0)), len(images))
    with context.making(made_by) as work:
        table, files = _known_sizes(data, images, files) if sized else _read_sizes(context, root, images, files)
        layout = "folder" if data.layout == "demo" else data.layout
        table, listing, work.gaps = settle_boxes(table, listing, layout, data)
        for name in FILES.names:
            table = table.append_column(FILES.field(name), files.column(name))
        for name in ("shard", "offset"):
            if name in images.column_names:
                table = table.append_column(PLACES.field(name), images.column(name))
        work.stage.write_part("part-00000", table, work.made_by)
        away, unreadable = _without_size(table)
        counts = {"away": len(away), "passed_over": sum(listing.passed_over.values())}
        work.summary.update(
            images=len(table),
            classes=len(table.column("class_name").unique()),
            unreadable=len(unreadable),
            **{name: count for name, count in counts.items() if count},
        )
    _tell_rest(context, listing)


def _known_sizes(data: DataConfig, images: pa.Table, files: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The catalog of a listing that says sizes itself, and its files."""
    sizes_N2 = image_sizes(images)
    sizes_N2[sizes_N2.prod(axis=1) > data.max_pixels] = 0
    return build_catalog(images.drop_columns(["width", "height"]), sizes_N2), files


def _read_sizes(context: Context, root: str, images: pa.Table, files: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The catalog of a listing, and its files, in which those are away that could not be opened."""
    data, image_ids = context.config.data, images.column("image_id").to_pylist()
    sizes_N2 = context.executor.read_sizes(root, image_ids, data.max_pixels)
    away_N = sizes_N2[:, 0] == AWAY[0]
    _check_away(data, root, images.filter(pa.array(away_N)), len(images))
    # Elsewhere they may be there, and a network file system may have thought better of it.
    sizes_N2[away_N] = read_sizes(root, [image_ids[i] for i in np.flatnonzero(away_N)], data.max_pixels)
    away = pa.array(sizes_N2[:, 0] == AWAY[0])
    lost = pa.table({name: pc.if_else(away, -1, files.column(name)) for name in FILES.names})
    return build_catalog(images, sizes_N2), lost


def _check_away(data: DataConfig, root: str, away: pa.Table, total: int) -> None:
    """Raise a UserError where more are away than a data set may lack."""
    if len(away) <= data.max_unreadable * total:
        return
    names = away.column("image_id").to_pylist()
    raise UserError(
        f"data.root {without_secrets(root)}: {ImagesAway(names, _reason(file_address(root, names[0])))}, expected no"
        f" more than {data.max_unreadable:.1%} of {total:,} (data.max_unreadable); mount or mend what holds them there,"
        " or raise data.max_unreadable"
    )


def _reason(address: Address) -> str:
    """Why a file cannot be opened, and where."""
    host = socket.gethostname()
    why = why_away(address)
    return f"{why} on {host}" if why else f"on another machine of the cluster; on {host} they can"


def _tell_rest(context: Context, listing: Listing) -> None:
    """What the summary's numbers leave open: what else is there, and why it is not in the catalog."""
    over = describe(listing.passed_over)
    words: Sequence[str] = [*listing.remarks, *([f"passed over: {over}"] if over else [])]
    if words:
        # Not as markup: names of files may hold brackets.
        context.console.print(Text.assemble(("catalog", "bold"), f": {'; '.join(words)}"), soft_wrap=True)


def _gaps(catalog: pa.Table, data: DataConfig) -> list[str]:
    """What is not whole of a catalog, whether it was made now or before."""
    away, unreadable = _without_size(catalog)
    gaps = []
    if away:
        gaps.append(
            f"catalog: {len(away):,} images cannot be opened and count as unreadable ({abbreviate(away)}); bring them"
            " back, and make it anew with --overwrite"
        )
    if len(unreadable) > data.max_unreadable * len(catalog):
        gaps.append(
            f"catalog: {len(unreadable):,} of {len(catalog):,} files are no images that can be read"
            f" ({abbreviate(unreadable)}), more than {data.max_unreadable:.1%} (data.max_unreadable); replace or remove"
            " them, and make it anew with --overwrite"
        )
    return gaps


def _without_size(catalog: pa.Table) -> tuple[list[str], list[str]]:
    """Images that could not be opened, and those that were read and are none."""
    rows = catalog.filter(pc.field("width") == 0)
    known = pc.greater_equal(rows.column("bytes"), 0)
    image_ids = rows.column("image_id")
    return image_ids.filter(pc.invert(known)).to_pylist(), image_ids.filter(known).to_pylist()


def _make_demo(context: Context, root: str) -> None:
    # Late: only the demo needs what draws its images.
    from psol_ray.demo import NUM_IMAGES, make_demo

    if os.path.isdir(root):
        make_demo(root)  # complete, or not a demo, which it says
        return
    with context.executor.progress("Making demo images", NUM_IMAGES) as progress:
        make_demo(root, on_progress=lambda done, _: progress(done))
