"""A bandit whose responses are judged one by one and in pairs."""
