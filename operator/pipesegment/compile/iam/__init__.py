"""Identity in AWS: roles, their trust and their rights, and what binds a service account to them. Documents, no calls."""
