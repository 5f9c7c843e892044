"""What caching costs, what it keeps in memory, and how it compares with other savings."""
