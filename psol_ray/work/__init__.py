"""What passes between who wants images worked on and who runs it: jobs, workers, parts, progress. No Ray, no torch."""
