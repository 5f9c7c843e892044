"""The page on Hugging Face Spaces: ZeroGPU and its quota, the host's variables, deploying."""
