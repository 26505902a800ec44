//! Kubeconfig files with everything embedded, so that they can be copied to another machine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Issued;

/// The text of a kubeconfig for one user of one cluster.
pub(crate) fn kubeconfig(server: &str, ca_pem: &str, user: &str, issued: &Issued) -> String {
    let encode = |text: &str| STANDARD.encode(text);
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: sampan\n\
         \x20 cluster:\n\
         \x20   server: {server}\n\
         \x20   certificate-authority-data: {ca}\n\
         users:\n\
         - name: {user:?}\n\
         \x20 user:\n\
         \x20   client-certificate-data: {certificate}\n\
         \x20   client-key-data: {key}\n\
         contexts:\n\
         - name: sampan\n\
         \x20 context:\n\
         \x20   cluster: sampan\n\
         \x20   user: {user:?}\n\
         current-context: sampan\n",
        ca = encode(ca_pem),
        certificate = encode(&issued.certificate_pem),
        key = encode(&issued.key_pem),
    )
}
