"""What images there are, of which class and split, how large, and with which ground-truth boxes."""
