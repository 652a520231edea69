"""Boxes and classes of the test images.

ray job submit --working-dir . -- python jobs/predict.py --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main(["predict", *sys.argv[1:]]))
