"""What a reward function accepts, tried before it trains anything: `lab.lint`."""
