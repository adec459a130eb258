"""The floor: server-side-applies a file of objects with 32 in flight, and nothing else. Prints its own CPU seconds.

`python -m bench.floor OBJECTS.json ACCESS.json`: what an operator with this HTTP client cannot undercut.
"""

import asyncio
import json
import resource
import ssl
import sys
from pathlib import Path

import aiohttp
import orjson

PLURALS = {
    "NetworkPolicy": "networkpolicies",
    "ServiceAccount": "serviceaccounts",
    "AuthorizationPolicy": "authorizationpolicies",
    "PeerAuthentication": "peerauthentications",
    "Sidecar": "sidecars",
}
IN_FLIGHT = 32


async def write(objects: list[dict], access: dict) -> None:
    tls = ssl.create_default_context(cafile=access["ca"])
    if access["certificate"]:
        tls.load_cert_chain(access["certificate"], access["key"])
    headers = {"Content-Type": "application/apply-patch+yaml"}
    if access["token"]:
        headers["Authorization"] = f"Bearer {access['token']}"
    waiting = iter(objects)

    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0, ssl=tls)) as session:

        async def worker() -> None:
            for obj in waiting:
                meta, version = obj["metadata"], obj["apiVersion"]
                root = "apis" if "/" in version else "api"
                path = f"/{root}/{version}/namespaces/{meta['namespace']}/{PLURALS[obj['kind']]}/{meta['name']}"
                url = f"{access['server']}{path}?fieldManager=pipesegment&force=true&fieldValidation=Strict"
                async with session.patch(url, data=orjson.dumps(obj)) as reply:
                    orjson.loads(await reply.read())
                    if reply.status >= 400:
                        raise SystemExit(f"{reply.status} for {path}")

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    objects = orjson.loads(Path(sys.argv[1]).read_bytes())
    access = json.loads(Path(sys.argv[2]).read_text())
    before = cpu()
    asyncio.run(write(objects, access))
    print(json.dumps({"cpu": cpu() - before}))


if __name__ == "__main__":
    main()
