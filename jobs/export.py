"""Boxes in the formats of other projects.

ray job submit --working-dir . -- python jobs/export.py --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main(["export", *sys.argv[1:]]))
