"""Algorithm 1 whole.

ray job submit --working-dir . -- python jobs/run.py --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main(["run", *sys.argv[1:]]))
