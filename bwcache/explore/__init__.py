"""What other settings would do: predicted from one run, searched for a goal, swept into a file."""
