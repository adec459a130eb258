"""Lint: findings with codes, each with a why and a fix. Pure checks over spec and Reach."""
