"""TinyWorld: the small text-to-video model that ships with bwcache, its world and its training."""
