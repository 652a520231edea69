"""A network: localizer, classifier or joint.

ray job submit --working-dir . -- python jobs/train.py localizer --config jobs/imagenet.yaml
"""

import sys

from psol_ray.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
