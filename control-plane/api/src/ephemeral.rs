//! Generic ephemeral volumes: each is a claim that is made for its pod, known by its name and its owner.

/// The claim's name.
pub fn claim_name(pod: &str, volume: &str) -> String {
    format!("{pod}-{volume}")
}

/// Why a claim of that name is not the pod's, in upstream's words; none if it is. The pod is given by name and uid,
/// the claim by name and the uids of the owners that control it.
pub fn not_owned<'a>(
    namespace: &str,
    (pod, uid): (&str, &str),
    claim: &str,
    controllers: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if controllers.into_iter().any(|controller| controller == uid) {
        return None;
    }
    Some(format!(
        "PVC {namespace}/{claim} was not created for pod {namespace}/{pod} (pod is not owner)"
    ))
}
