"""Looks at YAML files before they are parsed, for what jsonargparse tells without their names, or not at all."""

import os

import yaml

from psol_ray.errors import UserError

__all__ = ["check_file"]


def check_file(path: str) -> None:
    """Raise a UserError where a file is no text in UTF-8, or has a key twice, of which YAML would drop the first.

    Whatever else is wrong with it, or that it is not there, is told by those who parse it.
    """
    if not os.path.isfile(path):
        return
    try:
        with open(path, encoding="utf-8") as file:
            node = yaml.compose(file, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise UserError(f"config: found {error} in {path}, expected YAML in UTF-8; save it as such") from None
    except (OSError, yaml.YAMLError, RecursionError):
        return
    if (key := _repeated(node)) is not None:
        raise UserError(
            f"config: found {key.value} a second time in {path}, line {key.start_mark.line + 1}, expected each key"
            " once; put what is below the two together"
        )


def _repeated(root: yaml.Node | None) -> yaml.ScalarNode | None:
    """A key that its mapping has already; aliases, which may lead back, are not followed twice."""
    nodes, looked_at = [root], set()
    while nodes:
        node = nodes.pop()
        if id(node) in looked_at:
            continue
        looked_at.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        return key
                    keys.add(key.value)
                nodes.append(value)
    return None
