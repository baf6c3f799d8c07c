"""Golden files: inputs and outputs of the authors' own code, and the runner that compares the lab with them."""
