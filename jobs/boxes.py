"""Pseudo boxes by Deep Descriptor Transformation.

ray job submit --working-dir . -- python jobs/boxes.py --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main(["boxes", *sys.argv[1:]]))
