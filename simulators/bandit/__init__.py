"""The bandit: each prompt a softmax over arms, all truth in a sum."""
