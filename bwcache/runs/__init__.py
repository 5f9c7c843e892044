"""One comparison: what is asked, both runs, what they say, and the files that keep them."""
