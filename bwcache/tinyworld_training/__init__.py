"""Making TinyWorld's weights: clips, training, export and the check. Never needed at run time."""
