"""The page with pictures.

ray job submit --working-dir . -- python jobs/report.py --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main(["report", *sys.argv[1:]]))
