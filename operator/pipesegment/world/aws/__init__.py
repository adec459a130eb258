"""The door to AWS: boto3 in threads behind one port, and its in-memory twin."""
