"""Programs that use a rotated credential as an application would, and count how often it let them in."""
