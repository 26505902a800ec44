//! What a module may not reach, though it imports it. Pure.
//!
//! Who asks for the sandbox says what is forbidden in it. It is read when a container is made: what
//! runs goes on, and what is made in the same sandbox later follows the same rule.

use std::collections::BTreeMap;

use sampan_engine::{Capability, Module};
use sampan_proto::{FORBID_LABEL, FORBIDDEN_CAPABILITIES};

/// Why a module may not run here. The text is for the pod's author.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CapabilityError {
    #[error(
        "the module imports {import}, which needs the capability {capability:?}; the label \
         {FORBID_LABEL}{capability} of the namespace forbids it"
    )]
    Import {
        import: String,
        capability: &'static str,
    },
    #[error(
        "the module's exports make it a server of HTTP, which is the capability {capability:?}; the \
         label {FORBID_LABEL}{capability} of the namespace forbids it"
    )]
    Export { capability: &'static str },
    #[error(
        "the module imports {import}, which this pod does not have: give it the annotation \
         {annotation}, for example {annotation}={example:?}"
    )]
    NotGiven {
        import: String,
        annotation: &'static str,
        example: &'static str,
    },
    #[error(
        "the label {FORBID_LABEL}{0} of the namespace forbids a capability that this runtime does not \
         know; it knows {known}", known = known()
    )]
    Unknown(String),
}

/// The capabilities no container of a sandbox may have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forbidden(Vec<Capability>);

impl Forbidden {
    /// As the sandbox's annotations say. A name that is not known is refused: whoever mistypes what
    /// they forbid would otherwise believe it forbidden.
    pub(crate) fn of(annotations: &BTreeMap<String, String>) -> Result<Forbidden, CapabilityError> {
        let names = annotations
            .get(FORBIDDEN_CAPABILITIES)
            .map(String::as_str)
            .unwrap_or_default();
        let names = names.split(',').map(str::trim);
        let known = |name: &str| {
            Capability::from_name(name).ok_or_else(|| CapabilityError::Unknown(name.to_string()))
        };
        let all = names.filter(|name| !name.is_empty()).map(known);
        all.collect::<Result<_, _>>().map(Forbidden)
    }

    /// Refuses a module that has one of them.
    pub(crate) fn check(&self, module: &Module) -> Result<(), CapabilityError> {
        let own = module.capabilities().iter();
        let Some(capability) = own.copied().find(|own| self.0.contains(own)) else {
            return Ok(());
        };
        Err(refusal(capability, module.import_behind(capability)))
    }
}

fn refusal(capability: Capability, import: Option<&str>) -> CapabilityError {
    let capability = capability.name();
    match import {
        Some(import) => CapabilityError::Import {
            import: import.to_string(),
            capability,
        },
        None => CapabilityError::Export { capability },
    }
}

/// The names of a module's capabilities, separated by commas.
pub(crate) fn names(module: &Module) -> String {
    join(module.capabilities(), ",")
}

fn known() -> String {
    join(&Capability::ALL, ", ")
}

fn join(capabilities: &[Capability], separator: &str) -> String {
    let names: Vec<&str> = capabilities
        .iter()
        .map(|capability| capability.name())
        .collect();
    names.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(forbidden: Option<&str>) -> BTreeMap<String, String> {
        let value = forbidden.map(|names| (FORBIDDEN_CAPABILITIES.to_string(), names.to_string()));
        value.into_iter().collect()
    }

    #[test]
    fn what_is_forbidden_is_read_from_the_sandbox() {
        for (value, expected) in [
            (None, &[][..]),
            (Some(""), &[]),
            (Some("sockets"), &[Capability::Sockets]),
            (
                Some("http-client, sockets,"),
                &[Capability::HttpClient, Capability::Sockets],
            ),
        ] {
            let annotations = annotations(value);
            let forbidden = Forbidden::of(&annotations).expect("known names");
            assert_eq!(forbidden.0, expected, "{value:?}");
        }
        let error = Forbidden::of(&annotations(Some("sockets,socket"))).expect_err("no such name");
        assert_eq!(error, CapabilityError::Unknown("socket".to_string()));
        assert!(
            error.to_string().contains("clocks, random, sockets"),
            "{error}"
        );
    }

    #[test]
    fn a_refusal_names_import_capability_and_label() {
        let error = refusal(Capability::HttpClient, Some("wasi:http/client@0.3.0"));
        assert_eq!(
            error.to_string(),
            "the module imports wasi:http/client@0.3.0, which needs the capability \"http-client\"; \
             the label forbid.sampan.dev/http-client of the namespace forbids it"
        );
        let error = refusal(Capability::HttpServer, None);
        assert!(error.to_string().contains("forbid.sampan.dev/http-server"));
    }
}
