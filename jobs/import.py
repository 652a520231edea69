"""Boxes of another project, taken for this run's pseudo boxes.

ray job submit --working-dir . -- python jobs/import.py --config jobs/imagenet.yaml --source.path DIR
"""

import sys

from psol_ray.cli import main

sys.exit(main(["import", *sys.argv[1:]]))
