//! The system as its users meet it: the real binary, the real kubectl, curl and kube-rs. Each file is one of their concerns.

mod backup;
mod bad_guests;
mod bad_images;
mod bad_requests;
mod clients;
mod crash;
mod disk_full;
mod history;
mod images;
mod kubectl_access;
mod kubectl_changes;
mod kubectl_create;
mod kubectl_nodes;
mod kubectl_objects;
mod kubectl_output;
mod kubectl_pods;
mod kubectl_sockets;
mod languages;
mod node;
mod registry_clients;
mod root_filesystems;
mod support;
mod up;
mod volumes;
mod volumes_claims;
