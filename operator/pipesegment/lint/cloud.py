"""What lint knows of identity in clouds; `docs/lint.md` is written from this table as well."""

from typing import Final

from pipesegment.lint.entry import Entry

ENTRIES: Final = (
    Entry(
        "PS701",
        "EndpointUnknown",
        "warning",
        "Calls cannot be held to the VPC's endpoints",
        "With requireVPCEndpoint calls from elsewhere are denied. Which endpoints there are is not known, and a role without "
        "the denial would be wider than declared: there is no role.",
        "Create the endpoints, or leave requireVPCEndpoint out.",
    ),
    Entry(
        "PS702",
        "RoleTooLarge",
        "error",
        "IAM would not take the role's documents",
        "The inline policies of a role hold 10,240 characters together, 256 of them kept for the denial that cuts sessions; its "
        "trust policy holds 2,048. There is no role.",
        "Say the same with wildcards, use a managed policy, or part the stage in two.",
    ),
    Entry(
        "PS703",
        "RoleNotRead",
        "info",
        "Nobody looked into AWS",
        "`verify` reads the cluster alone. What stands in AWS the operator reads, every half hour and on every change.",
        "See the segment's condition CloudReady.",
    ),
    Entry(
        "PS704",
        "ForeignRole",
        "error",
        "A role of this name is somebody else's",
        "Its tags do not say that it was made for this segment of this cluster. It is neither changed nor given to anybody: a "
        "role that outlived its segment may be named in policies of resources, and its namesake is not to inherit that.",
        "Delete that role if nothing needs it, or rename the stage.",
    ),
    Entry(
        "PS705",
        "ForeignAssociation",
        "error",
        "The account has a Pod Identity association of somebody else's",
        "An account has one at most. Its tags do not say that it was made for this segment, so it is left as it is.",
        "Delete that association if nothing needs it, or give the stage another service account.",
    ),
    Entry(
        "PS706",
        "RoleElsewhere",
        "error",
        "The role stands under another path",
        "No call moves a role to another path, and another path is another ARN.",
        "Have the class's rolePath set back, or delete the role: it is made anew.",
    ),
    Entry(
        "PS741",
        "GroupsUnserved",
        "error",
        "Nobody gives pods security groups here",
        "The kind SecurityGroupPolicy comes with EKS and is not installed. No policy is written, and pods have the groups of "
        "their node.",
        "Run the pipeline on EKS, or leave securityGroupIDs out. Offline, give the CustomResourceDefinition by --facts.",
    ),
    Entry(
        "PS742",
        "GroupsPending",
        "warning",
        "Pods from before the stage's security groups",
        "A pod keeps the groups that it was scheduled with. Those that have no network interface of their own are in the "
        "node's groups; whether the others have the groups of today, nothing in the cluster tells.",
        "Delete these pods, or let them end.",
    ),
    Entry(
        "PS743",
        "GroupsOff",
        "warning",
        "No node can take pods with security groups",
        "The VPC CNI gives pods an interface of their own only with ENABLE_POD_ENI. Without it they wait for a node for ever.",
        "Set ENABLE_POD_ENI=true in DaemonSet aws-node.",
    ),
    Entry(
        "PS744",
        "GroupsStrict",
        "error",
        "Security groups in strict mode beside NetworkPolicies",
        "AWS asks for the standard mode wherever pods have security groups and NetworkPolicies; strict is what holds when "
        "nothing is set. In the standard mode calls between pods and their own node, and calls that the node translates, "
        "pass the pod's groups by: NetworkPolicies hold there.",
        "Set POD_SECURITY_GROUP_ENFORCING_MODE=standard in DaemonSet aws-node.",
    ),
    Entry(
        "PS711",
        "WildResource",
        "warning",
        "Rights on everything",
        "The resource `*`, or every bucket, holds whatever is made tomorrow, other teams' things included.",
        "Name the resources, or part of their names.",
    ),
    Entry(
        "PS712",
        "AnnotateAccount",
        "warning",
        "An account that is not made here needs the role's annotation",
        "With `create: false` the account is never changed, and its pods become the role only by an annotation.",
        "Have whoever makes the account write the annotation, use PodIdentity, or let the account be made.",
    ),
    Entry(
        "PS713",
        "UnknownAnnotation",
        "warning",
        "No cloud knows this annotation",
        "The key begins like those by which a cloud binds an identity, and is none of them: a slip of the pen gives the pods "
        "no identity, and says nothing.",
        "Correct the key.",
    ),
    Entry(
        "PS714",
        "IdleIdentity",
        "info",
        "An identity in AWS, and nothing to do with it",
        "A stage that declares none of permissions, permissionSets, managedPolicyARNs and roleARN has no role.",
        "Declare what it may do, or leave aws out.",
    ),
    Entry(
        "PS715",
        "PullRequestSubject",
        "warning",
        "Every pull request may take the role",
        "The subject of a pull request's job names no branch and no environment: whoever may open one in the repository has "
        "the role.",
        "Name an environment with reviewers, or a protected branch.",
    ),
    Entry(
        "PS721",
        "UnknownAction",
        "error",
        "AWS knows no such action",
        "Nothing is given by an action that does not exist; most often it is a slip of the pen.",
        "Correct the action; the service authorization reference lists them.",
    ),
    Entry(
        "PS722",
        "ResourceDoesNotFit",
        "error",
        "None of the resources is of a kind that the action works on",
        "IAM matches a call's resource with the statement's. An action on objects finds nothing in the ARN of a bucket.",
        "Name the resource that the action works on.",
    ),
    Entry(
        "PS723",
        "PrivilegeEscalation",
        "warning",
        "Actions that together make more rights",
        "Whoever has all of these can get rights that this stage was not given.",
        "Leave one of them out, or hold them to exact resources.",
    ),
    Entry(
        "PS724",
        "Exfiltration",
        "warning",
        "An action that carries data out, on everything",
        "With `*` as resource the stage may read whatever the account keeps of this kind.",
        "Name the resources that it reads.",
    ),
    Entry(
        "PS725",
        "PermissionsManagement",
        "warning",
        "An action that changes who may do what",
        "It writes policies of resources, or shares them; the built-in list denies only the worst of these.",
        "Leave it to the platform team, or hold it to one resource.",
    ),
)
