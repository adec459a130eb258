"""Segments with identities in AWS, compiled as the command line does it."""

from dataclasses import replace

from pipesegment.compile.segment import compile_segment
from pipesegment.facts.parse import snapshot
from pipesegment.reach.resolve import resolve

ACCOUNT = "111122223333"
ISSUER = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
CLUSTER = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/prod"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
CLASS = {
    "accountID": ACCOUNT,
    "region": "eu-west-1",
    "clusterName": "prod",
    "oidcIssuer": ISSUER,
    "permissionsBoundaryARN": BOUNDARY,
    "vpcID": "vpc-0123",
    "allowedActions": ["s3:Get*", "s3:List*", "ecr:*"],
}
READ = {"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::your-bucket/*"]}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def reached(aws, of_class=None, endpoints=None, name="deploy", namespace="ci", uid="", **stage):
    """Resolve a segment `shop` of one stage."""
    spec = {"aws": {**CLASS, **(of_class or {})}}
    version = "pipesegment.dev/v1alpha1"
    meta = {"name": "shop", "namespace": namespace, **({"uid": uid} if uid else {})}
    objects = [
        {"apiVersion": version, "kind": "SegmentClass", "metadata": {"name": "aws", "uid": "c"}, "spec": spec},
        {
            "apiVersion": version,
            "kind": "PipelineSegment",
            "metadata": meta,
            "spec": {"stages": [{"name": name, "aws": aws, **stage}]},
        },
    ]
    facts = replace(snapshot(objects), vpc_endpoints=endpoints)
    return resolve(facts.segments[namespace]["shop"], facts)


def compiled(aws, **rest):
    """Give the objects by their kind; a segment of one stage has one of each."""
    reach = reached(aws, **rest)
    assert reach.every_refusal == ()
    return {obj["kind"]: obj for obj in compile_segment(reach).objects}


def refused(aws, **rest):
    """Give the refusals as lines."""
    return [str(refusal) for refusal in reached(aws, **rest).cloud_refusals]
