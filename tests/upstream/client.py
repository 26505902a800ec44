"""The Python client does what programs do with it. Run by python.rs with KUBECONFIG set."""

import json
import threading

import kubernetes_validate
from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException

config.load_kube_config()
core, apps = client.CoreV1Api(), client.AppsV1Api()
NAMESPACE = "python"


def expect(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def refused(status, reason, call, *args, **named):
    try:
        call(*args, **named)
    except ApiException as error:
        expect((error.status, error.reason), (status, reason))
        return
    raise AssertionError(f"not refused with {status}")


core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
refused(409, "Conflict", core.create_namespace, {"metadata": {"name": NAMESPACE}})
refused(404, "Not Found", core.read_namespaced_config_map, "none", NAMESPACE)

# A watch that starts at a list sees each change in order, and ends when told to.
start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
seen = []


def follow():
    events = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=30, label_selector="for=watch")
    for event in events:
        seen.append((event["type"], event["object"].metadata.name, event["object"].data))
        if event["type"] == "DELETED":
            return


follower = threading.Thread(target=follow)
follower.start()
labels = {"for": "watch"}
core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "a", "labels": labels}, "data": {"k": "1"}})
core.patch_namespaced_config_map("a", NAMESPACE, {"data": {"k": "2"}})
core.delete_namespaced_config_map("a", NAMESPACE)
follower.join()
expect(seen, [("ADDED", "a", {"k": "1"}), ("MODIFIED", "a", {"k": "2"}), ("DELETED", "a", {"k": "2"})])

# Typed objects, a strategic merge patch by merge key, scale, paging.
containers = [client.V1Container(name=name, image=f"{name}:1") for name in ("one", "two")]
template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels={"app": "d"}), spec=client.V1PodSpec(containers=containers))
spec = client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels={"app": "d"}), template=template)
apps.create_namespaced_deployment(NAMESPACE, client.V1Deployment(metadata=client.V1ObjectMeta(name="d"), spec=spec))
change = {"spec": {"template": {"spec": {"containers": [{"name": "two", "image": "two:2"}]}}}}
patched = apps.patch_namespaced_deployment("d", NAMESPACE, change)
expect(sorted(c.image for c in patched.spec.template.spec.containers), ["one:1", "two:2"])
scale = apps.read_namespaced_deployment_scale("d", NAMESPACE)
scale.spec.replicas = 5
expect(apps.replace_namespaced_deployment_scale("d", NAMESPACE, scale).spec.replicas, 5)
for number in range(5):
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": f"page-{number}"}})
pages, token = [], None
while token != "":
    page = core.list_namespaced_config_map(NAMESPACE, limit=2, _continue=token)
    pages += [item.metadata.name for item in page.items if item.metadata.name.startswith("page-")]
    token = page.metadata._continue or ""
expect(pages, [f"page-{number}" for number in range(5)])

# The dynamic client finds every kind by discovery; server-side apply keeps owners of fields apart.
anything = dynamic.DynamicClient(client.ApiClient())
maps = anything.resources.get(api_version="v1", kind="ConfigMap")
body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"k": "python"}}
maps.server_side_apply(body=body, name="applied", namespace=NAMESPACE, field_manager="python")
body["data"]["k"] = "other"
try:
    maps.server_side_apply(body=body, name="applied", namespace=NAMESPACE, field_manager="other")
    raise AssertionError("no conflict")
except dynamic.exceptions.ConflictError as error:
    expect(json.loads(error.body)["message"], 'Apply failed with 1 conflict: conflict with "python": .data.k')
forced = maps.server_side_apply(body=body, name="applied", namespace=NAMESPACE, field_manager="other", force_conflicts=True)
expect(forced.data["k"], "other")

# What the server gives out is what upstream's schemas say.
kinds = ["Deployment", "ConfigMap", "Namespace", "ServiceAccount", "Service", "PriorityClass", "FlowSchema", "ClusterRole", "APIService"]
checked = 0
for kind in kinds:
    for resource in anything.resources.search(kind=kind):
        if "list" not in (resource.verbs or []):
            continue
        for item in resource.get().items:
            kubernetes_validate.validate(item.to_dict(), "1.36", strict=True)
            checked += 1
assert checked >= 15, checked

core.delete_namespace(NAMESPACE)
print("ok")
