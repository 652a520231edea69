"""The catalog of a data set.

ray job submit --working-dir . -- python jobs/index.py --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main(["index", *sys.argv[1:]]))
