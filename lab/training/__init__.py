"""The one loop: rollouts, rules, gradient, optimizer; and what was measured on the way."""
