"""Steps 2 and 3 of Algorithm 1: a localizer from pseudo boxes, a classifier from labels, or both in one network."""
