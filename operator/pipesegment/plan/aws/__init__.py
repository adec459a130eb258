"""What is made in AWS: from desired and live objects to calls in a safe order. Pure: `world.aws` sends them."""
