//! The table of sandboxes and containers: the one owner of what exists and where it stands.
//!
//! Every change happens under one short lock, together with the event that tells of it. In memory
//! only: the guests die with this process, so there is nothing a restart could go on with.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use parking_lot::Mutex;
use sampan_proto::v1::ContainerEventType;
use sampan_proto::{Code, CriError, v1};

use crate::container::Container;
use crate::error::unknown_sandbox;
use crate::events::{Event, Events};
use crate::id::Id;
use crate::limits::{MAX_CONTAINERS_PER_SANDBOX, MAX_SANDBOXES, MIN_ID_PREFIX};
use crate::phase::{Phase, Refused};
use crate::sandbox::{Home, Network, Sandbox, SandboxName};

#[derive(Default)]
pub(crate) struct Pods {
    table: Mutex<Table>,
    pub(crate) events: Events,
}

#[derive(Default)]
struct Table {
    sandboxes: HashMap<Id, Sandbox>,
    names: HashMap<SandboxName, Id>,
    containers: HashMap<Id, Arc<Container>>,
}

impl Pods {
    pub(crate) fn add_sandbox(&self, sandbox: Sandbox) -> Result<(), CriError> {
        let mut table = self.table.lock();
        if table.sandboxes.len() >= MAX_SANDBOXES {
            let message = format!("{MAX_SANDBOXES} pod sandboxes exist, no more are allowed");
            return Err(CriError::new(Code::ResourceExhausted, message));
        }
        let name = sandbox.name();
        if let Some(id) = table.names.get(&name) {
            let message = format!("pod sandbox {id} has the same name, namespace, uid and attempt");
            return Err(CriError::new(Code::AlreadyExists, message));
        }
        table.names.insert(name, sandbox.id.clone());
        table.sandboxes.insert(sandbox.id.clone(), sandbox);
        Ok(())
    }

    /// Reads a sandbox; NotFound if there is none.
    pub(crate) fn sandbox<T>(
        &self,
        id: &str,
        read: impl FnOnce(&Sandbox) -> T,
    ) -> Result<T, CriError> {
        let table = self.table.lock();
        table
            .sandbox(id)
            .map(read)
            .ok_or_else(|| unknown_sandbox(id))
    }

    /// Changes a sandbox; NotFound if there is none.
    pub(crate) fn change_sandbox(
        &self,
        id: &str,
        change: impl FnOnce(&mut Sandbox),
    ) -> Result<(), CriError> {
        let mut table = self.table.lock();
        let found = table.sandbox(id).map(|sandbox| sandbox.id.clone());
        let sandbox = found.and_then(|id| table.sandboxes.get_mut(&id));
        sandbox.map(change).ok_or_else(|| unknown_sandbox(id))
    }

    /// From now on nothing starts in this sandbox. Returns what may still run in it.
    pub(crate) fn stop_sandbox(&self, id: &str) -> Option<(Id, Vec<Arc<Container>>)> {
        let mut table = self.table.lock();
        let id = table.sandbox(id)?.id.clone();
        let sandbox = table.sandboxes.get_mut(&id)?;
        sandbox.ready = false;
        Some((id, sandbox.containers.clone()))
    }

    /// Takes a stopped sandbox's address away; only the first caller gets it.
    pub(crate) fn take_address(&self, id: &str) -> Option<Ipv4Addr> {
        let mut table = self.table.lock();
        let sandbox = table.sandboxes.get_mut(id)?;
        match std::mem::replace(&mut sandbox.network, Network::Released) {
            Network::Pod(address) => Some(address),
            Network::Host | Network::Released => None,
        }
    }

    /// Forgets a sandbox and the containers in it.
    pub(crate) fn remove_sandbox(&self, id: &str) {
        let mut table = self.table.lock();
        let Some(sandbox) = table.sandboxes.get(id) else {
            return;
        };
        let (name, containers) = (sandbox.name(), sandbox.containers.clone());
        for container in containers {
            self.remove_locked(&mut table, &container);
        }
        table.names.remove(&name);
        table.sandboxes.remove(id);
    }

    pub(crate) fn sandboxes(&self) -> Vec<v1::PodSandbox> {
        let mut items: Vec<_> = self
            .table
            .lock()
            .sandboxes
            .values()
            .map(Sandbox::item)
            .collect();
        items.sort_by_key(|item| item.created_at);
        items
    }

    pub(crate) fn add_container(&self, container: Arc<Container>) -> Result<(), CriError> {
        let mut table = self.table.lock();
        let sandbox = table.sandboxes.get_mut(&container.sandbox);
        let sandbox = sandbox.ok_or_else(|| unknown_sandbox(&container.sandbox))?;
        check_room(sandbox, &container.metadata())?;
        sandbox.containers.push(container.clone());
        table
            .containers
            .insert(container.id.clone(), container.clone());
        self.tell(
            &table,
            &container,
            ContainerEventType::ContainerCreatedEvent,
        );
        Ok(())
    }

    pub(crate) fn container(&self, id: &str) -> Option<Arc<Container>> {
        self.table.lock().container(id).cloned()
    }

    pub(crate) fn containers(&self) -> Vec<Arc<Container>> {
        let mut containers: Vec<_> = self.table.lock().containers.values().cloned().collect();
        containers.sort_by_key(|container| container.created_at);
        containers
    }

    /// Marks a container as starting, if its sandbox still runs. Returns what it has of that.
    pub(crate) fn begin_start(&self, container: &Container) -> Result<Home, CriError> {
        let table = self.table.lock();
        let sandbox = table.sandboxes.get(&container.sandbox);
        let sandbox = sandbox.ok_or_else(|| unknown_sandbox(&container.sandbox))?;
        check_ready(sandbox)?;
        container.step(Phase::start)?;
        Ok(Home {
            network: sandbox.network,
            hostname: sandbox.config.hostname.clone(),
            group: sandbox.group.clone(),
        })
    }

    /// One step of a container's life and the event that tells of it.
    pub(crate) fn step(
        &self,
        container: &Container,
        kind: ContainerEventType,
        step: impl FnOnce(&Phase) -> Result<Phase, Refused>,
    ) -> Result<(), Refused> {
        let table = self.table.lock();
        container.step(step)?;
        self.tell(&table, container, kind);
        Ok(())
    }

    /// Forgets a container.
    pub(crate) fn remove_container(&self, container: &Container) {
        self.remove_locked(&mut self.table.lock(), container);
    }

    fn remove_locked(&self, table: &mut Table, container: &Container) {
        if table.containers.remove(&container.id).is_none() {
            return;
        }
        if let Some(sandbox) = table.sandboxes.get_mut(&container.sandbox) {
            sandbox.containers.retain(|other| other.id != container.id);
        }
        self.tell(table, container, ContainerEventType::ContainerDeletedEvent);
    }

    /// Tells of a change, with the state of the whole pod right after it.
    fn tell(&self, table: &Table, container: &Container, kind: ContainerEventType) {
        let Some(sandbox) = table.sandboxes.get(&container.sandbox) else {
            return;
        };
        self.events.tell(|| Event {
            container_id: container.id.to_string(),
            container_event_type: kind.into(),
            created_at: crate::time::now_nanos(),
            pod_sandbox_status: Some(sandbox.status()),
            containers_statuses: sandbox
                .containers
                .iter()
                .map(|other| other.status())
                .collect(),
        });
    }
}

/// Whether one more container of this name may be made in the sandbox.
pub(crate) fn check_room(
    sandbox: &Sandbox,
    metadata: &v1::ContainerMetadata,
) -> Result<(), CriError> {
    check_ready(sandbox)?;
    if sandbox.containers.len() >= MAX_CONTAINERS_PER_SANDBOX {
        let message = format!(
            "pod sandbox {} has {MAX_CONTAINERS_PER_SANDBOX} containers, no more are allowed: remove exited ones",
            sandbox.id
        );
        return Err(CriError::new(Code::ResourceExhausted, message));
    }
    if let Some(other) = sandbox
        .containers
        .iter()
        .find(|other| other.metadata() == *metadata)
    {
        let message = format!(
            "container {} has the same name and attempt in this pod sandbox",
            other.id
        );
        return Err(CriError::new(Code::AlreadyExists, message));
    }
    Ok(())
}

fn check_ready(sandbox: &Sandbox) -> Result<(), CriError> {
    match sandbox.ready {
        true => Ok(()),
        false => Err(CriError::failed_precondition(format!(
            "pod sandbox {} is stopped",
            sandbox.id
        ))),
    }
}

impl Table {
    fn sandbox(&self, id: &str) -> Option<&Sandbox> {
        self.sandboxes
            .get(id)
            .or_else(|| by_prefix(&self.sandboxes, id))
    }

    fn container(&self, id: &str) -> Option<&Arc<Container>> {
        self.containers
            .get(id)
            .or_else(|| by_prefix(&self.containers, id))
    }
}

/// The only entry whose id starts like this.
fn by_prefix<'a, T>(map: &'a HashMap<Id, T>, prefix: &str) -> Option<&'a T> {
    if !(MIN_ID_PREFIX..64).contains(&prefix.len()) {
        return None;
    }
    let mut matching = map.iter().filter(|(id, _)| id.starts_with(prefix));
    let (_, found) = matching.next()?;
    matching.next().is_none().then_some(found)
}
