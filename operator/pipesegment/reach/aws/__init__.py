"""Identity in AWS as a stage declares it and as its class allows it: which role, whose tokens it trusts, which rights it has.

Nothing here is a document of IAM; `compile.iam` writes those.
"""
