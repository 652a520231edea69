"""Another run's localizer, scored on these images without training it on them.

ray job submit --working-dir . -- python jobs/transfer.py --config jobs/cub.yaml --predict.localizer MODEL
"""

import sys

from psol_ray.cli import main

sys.exit(main(["transfer", *sys.argv[1:]]))
