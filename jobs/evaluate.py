"""metrics.json and the table of scores.

ray job submit --working-dir . -- python jobs/evaluate.py --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main(["evaluate", *sys.argv[1:]]))
