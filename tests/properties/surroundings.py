"""What surrounds the segments of a drawn world: Services, pods, a resolver and an API server."""

from typing import Any

from tests.properties.worlds import NAMESPACES, Document


def plain(kind: str, name: str, namespace: str, spec: Document, *, labels: Document | None = None) -> dict[str, Any]:
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": f"u-{namespace}-{name}",
        **({"labels": labels} if labels else {}),
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec}


def services(namespace: str) -> list[dict[str, Any]]:
    http, admin = (
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "admin", "port": 8081, "targetPort": 8080},
    )
    return [
        plain(
            "Service", "web", namespace, {"selector": {"app": "web"}, "ports": [{**http, "targetPort": 8080}, admin]}
        ),
        plain("Service", "db", namespace, {"selector": {"app": "db"}, "ports": [http]}),
        plain("Service", "serve", namespace, {"selector": {"app": "shop-serve"}, "ports": [http]}),
        plain("Service", "outside", namespace, {"ports": [{"name": "http", "port": 80}]}),
        {
            **plain("EndpointSlice", "outside-1", namespace, {}, labels={"kubernetes.io/service-name": "outside"}),
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.1.2.3"]}],
        },
    ]


def cluster() -> list[dict[str, Any]]:
    dns = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]
    return [
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "uid": f"u-{n}"}} for n in NAMESPACES),
        plain("Service", "kube-dns", "kube-system", {"selector": {"k8s-app": "kube-dns"}, "ports": dns}),
        pod("resolver", "kube-system", {"k8s-app": "kube-dns"}, 250),
        {
            **plain("EndpointSlice", "kubernetes", "default", {}, labels={"kubernetes.io/service-name": "kubernetes"}),
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.0.0.1"]}],
        },
    ]


def pod(name: str, namespace: str, labels: Document, number: int, account: str = "default") -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 80}]
    spec = {"serviceAccountName": account, "containers": [{"name": "main", "ports": ports}]}
    return {
        **plain("Pod", name, namespace, spec, labels=labels),
        "status": {"podIP": f"10.244.0.{number}", "phase": "Running"},
    }
