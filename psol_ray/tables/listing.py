"""What is in a folder of any pyarrow filesystem."""

import pyarrow.fs as pafs

from psol_ray.tables.patience import patiently

__all__ = ["list_folder"]


def list_folder(fs: pafs.FileSystem, path: str, allow_not_found: bool = False) -> dict[str, list[pafs.FileInfo]]:
    """What is in a folder, by that folder's path; and of those below it, where the store tells that as well.

    Args:
        fs: the file system.
        path: the folder's.
        allow_not_found: nothing is in a folder that is not there, which some stores never say.

    Raises:
        OSError, pa.ArrowException: it cannot be listed, now and for some time.
    """
    # Asked for one level, Arrow leaves out Google's folders, but for those that somebody has made an object of.
    if fs.type_name == "gcs":
        selector = pafs.FileSelector(path, recursive=True, allow_not_found=True)
        return _by_folder(path, patiently(fs, path, lambda: fs.get_file_info(selector)))
    selector = pafs.FileSelector(path, allow_not_found=allow_not_found)
    infos = patiently(fs, path, lambda: fs.get_file_info(selector))
    # Some stores show a folder among its own entries.
    return {path: [info for info in infos if info.path.rstrip("/") != path]}


def _by_folder(root: str, infos: list[pafs.FileInfo]) -> dict[str, list[pafs.FileInfo]]:
    """All that is below a folder, by the folder that it is in; folders are known from what is in them."""
    found: dict[str, list[pafs.FileInfo]] = {root: []}

    def enter(folder: str) -> list[pafs.FileInfo]:
        if folder not in found:
            found[folder] = []
            enter(folder.rpartition("/")[0]).append(pafs.FileInfo(folder, pafs.FileType.Directory))
        return found[folder]

    for info in infos:
        if "//" in info.path:  # a folder without a name, which no path leads to
            continue
        if info.type == pafs.FileType.Directory:
            enter(info.path.rstrip("/"))
        else:
            enter(info.path.rpartition("/")[0]).append(info)
    return found
