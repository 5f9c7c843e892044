"""The Hugging Face hub: fetching models, what is here already, and what goes wrong."""
