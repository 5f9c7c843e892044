"""The engine, usable alone: methods, gates, measurements, replays and traces."""
