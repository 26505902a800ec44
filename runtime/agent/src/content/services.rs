//! Services as environment variables of containers, as kubelets make them: those of the pod's namespace if it wants
//! them (`enableServiceLinks`), and the API server's own.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::limits::SERVICES_WAIT;

/// The service that every pod hears of.
const MASTER: (&str, &str) = ("default", "kubernetes");

/// The services that have an address, by namespace and name.
type Table = BTreeMap<String, BTreeMap<String, Vec<(String, String)>>>;

/// What is known of the cluster's services, kept by one watch.
pub(crate) struct Services {
    table: RwLock<Table>,
    listed: watch::Sender<bool>,
}

impl Default for Services {
    fn default() -> Services {
        Services {
            table: RwLock::default(),
            listed: watch::Sender::new(false),
        }
    }
}

impl Services {
    /// Watches until shutdown.
    pub(crate) async fn run(&self, client: kube::Client, shutdown: CancellationToken) {
        let api: Api<Service> = Api::all(client);
        let config = watcher::Config::default();
        let mut events = std::pin::pin!(watcher::watcher(api, config).default_backoff());
        let mut fresh = Table::new();
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = shutdown.cancelled() => return,
            };
            match event {
                Some(Ok(Event::Init)) => fresh = Table::new(),
                Some(Ok(Event::InitApply(service))) => put(&mut fresh, service),
                Some(Ok(Event::InitDone)) => {
                    *self.table.write() = std::mem::take(&mut fresh);
                    self.listed.send_replace(true);
                }
                Some(Ok(Event::Apply(service))) => put(&mut self.table.write(), service),
                Some(Ok(Event::Delete(service))) => remove(&mut self.table.write(), &service),
                Some(Err(error)) => {
                    tracing::debug!(%error, "watch of services failed; trying again")
                }
                None => return,
            }
        }
    }

    /// The variables of a pod's containers. Waits a while for the first list; nothing if there is none yet: a container
    /// that started without them would never get them.
    pub(crate) async fn variables(&self, pod: &Pod) -> Option<Vec<(String, String)>> {
        let mut listed = self.listed.subscribe();
        let wait = listed.wait_for(|listed| *listed);
        let listed = tokio::time::timeout(SERVICES_WAIT, wait).await;
        listed.is_ok().then(|| self.of(pod))
    }

    fn of(&self, pod: &Pod) -> Vec<(String, String)> {
        let table = self.table.read();
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links);
        let mut found: BTreeMap<&str, &Vec<(String, String)>> = BTreeMap::new();
        let master = table.get(MASTER.0).and_then(|names| names.get(MASTER.1));
        if let Some(variables) = master {
            found.insert(MASTER.1, variables);
        }
        if links != Some(false)
            && let Some(names) = table.get(namespace)
        {
            // A service of that name in the pod's own namespace counts before the API server's.
            found.extend(
                names
                    .iter()
                    .map(|(name, variables)| (name.as_str(), variables)),
            );
        }
        found.into_values().flatten().cloned().collect()
    }
}

fn put(table: &mut Table, service: Service) {
    let metadata = &service.metadata;
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let name = metadata.name.clone().unwrap_or_default();
    match variables(&service) {
        Some(variables) => {
            table.entry(namespace).or_default().insert(name, variables);
        }
        None => remove(table, &service),
    }
}

fn remove(table: &mut Table, service: &Service) {
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let name = service.metadata.name.as_deref().unwrap_or_default();
    if let Some(names) = table.get_mut(namespace) {
        names.remove(name);
        if names.is_empty() {
            table.remove(namespace);
        }
    }
}

/// Those of one service; none without an address of its own.
fn variables(service: &Service) -> Option<Vec<(String, String)>> {
    let spec = service.spec.as_ref()?;
    let ip = spec.cluster_ip.as_deref()?;
    if ip.is_empty() || ip == "None" || spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let ports = spec.ports.as_deref().unwrap_or_default();
    let first = ports.first()?;
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let prefix = variable(name);
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    };
    let mut variables = vec![
        (format!("{prefix}_SERVICE_HOST"), ip.to_owned()),
        (format!("{prefix}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let name = format!("{prefix}_SERVICE_PORT_{}", variable(port_name));
            variables.push((name, port.port.to_string()));
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{host}:{}", protocol.to_lowercase(), port.port);
        if index == 0 {
            variables.push((format!("{prefix}_PORT"), url.clone()));
        }
        let long = format!("{prefix}_PORT_{}_{}", port.port, protocol.to_uppercase());
        variables.push((long.clone(), url));
        variables.push((format!("{long}_PROTO"), protocol.to_lowercase()));
        variables.push((format!("{long}_PORT"), port.port.to_string()));
        variables.push((format!("{long}_ADDR"), ip.to_owned()));
    }
    Some(variables)
}

fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(namespace: &str, name: &str, spec: serde_json::Value) -> Service {
        let metadata = json!({"name": name, "namespace": namespace});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn upstreams_names() {
        let spec = json!({"clusterIP": "10.0.0.9", "ports": [
            {"name": "web-ui", "port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]});
        let made = variables(&service("n", "my-svc", spec)).unwrap();
        let text: Vec<String> = made.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let expected = [
            "MY_SVC_SERVICE_HOST=10.0.0.9",
            "MY_SVC_SERVICE_PORT=80",
            "MY_SVC_SERVICE_PORT_WEB_UI=80",
            "MY_SVC_PORT=tcp://10.0.0.9:80",
            "MY_SVC_PORT_80_TCP=tcp://10.0.0.9:80",
            "MY_SVC_PORT_80_TCP_PROTO=tcp",
            "MY_SVC_PORT_80_TCP_PORT=80",
            "MY_SVC_PORT_80_TCP_ADDR=10.0.0.9",
            "MY_SVC_PORT_53_UDP=udp://10.0.0.9:53",
            "MY_SVC_PORT_53_UDP_PROTO=udp",
            "MY_SVC_PORT_53_UDP_PORT=53",
            "MY_SVC_PORT_53_UDP_ADDR=10.0.0.9",
        ];
        assert_eq!(text, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_first_list_no_container_starts() {
        let services = Services::default();
        let pod = serde_json::from_value(json!({"metadata": {"namespace": "n"}})).unwrap();
        assert_eq!(services.variables(&pod).await, None);
        services.listed.send_replace(true);
        assert_eq!(services.variables(&pod).await, Some(Vec::new()));
    }

    #[test]
    fn whose_services_a_pod_hears_of() {
        let services = Services::default();
        let mut table = services.table.write();
        let plain = |ip: &str| json!({"clusterIP": ip, "ports": [{"port": 1}]});
        put(
            &mut table,
            service("default", "kubernetes", plain("10.0.0.1")),
        );
        put(&mut table, service("n", "db", plain("10.0.0.2")));
        put(&mut table, service("n", "headless", plain("None")));
        put(&mut table, service("m", "other", plain("10.0.0.3")));
        drop(table);
        let hosts = |links: serde_json::Value| -> Vec<String> {
            let spec = json!({"containers": [], "enableServiceLinks": links});
            let pod = json!({"metadata": {"namespace": "n"}, "spec": spec});
            let found = services.of(&serde_json::from_value(pod).unwrap());
            let hosts = found
                .into_iter()
                .filter(|(name, _)| name.ends_with("_HOST"));
            hosts.map(|(name, _)| name).collect()
        };
        let (db, master) = ("DB_SERVICE_HOST", "KUBERNETES_SERVICE_HOST");
        assert_eq!(hosts(json!(null)), [db, master]);
        assert_eq!(hosts(json!(false)), [master]);
        remove(&mut services.table.write(), &service("n", "db", json!({})));
        assert_eq!(hosts(json!(true)), [master]);
    }
}
