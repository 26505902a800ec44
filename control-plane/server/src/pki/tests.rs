use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn certificates_are_kept_until_they_do_not_fit() {
    let dir = tempfile::tempdir().expect("a folder");
    let pki = Pki::open(dir.path().join("pki")).expect("made");
    let request = CertificateRequest::server("s", ["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let first = pki.keep("s", &request).expect("issued");
    let again = Pki::open(dir.path().join("pki")).expect("opened");
    assert_eq!(again.ca_pem(), pki.ca_pem());
    assert_eq!(
        again.keep("s", &request).expect("kept").certificate_pem,
        first.certificate_pem
    );
    let wider = CertificateRequest::server("s", ["localhost".to_owned(), "10.0.0.1".to_owned()]);
    assert_ne!(
        again.keep("s", &wider).expect("issued").certificate_pem,
        first.certificate_pem
    );
    let mode = |name: &str| {
        std::fs::metadata(dir.path().join("pki").join(name))
            .expect(name)
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode("ca.key"), mode("s.key"), mode("ca.crt")),
        (0o600, 0o600, 0o644)
    );
    let left = not_after(&first.certificate_pem)
        .expect("parsed")
        .duration_since(Timestamp::now());
    assert!(left.as_hours() > 364 * 24);
}

#[test]
fn a_certificate_of_another_authority_is_replaced() {
    let dir = tempfile::tempdir().expect("a folder");
    let request = CertificateRequest::client("alice", Some("dev"));
    let pki = Pki::open(dir.path()).expect("made");
    let first = pki.keep("alice", &request).expect("issued");
    std::fs::remove_file(dir.path().join("ca.key")).expect("removed");
    let other = Pki::open(dir.path()).expect("made anew");
    assert_ne!(other.ca_pem(), pki.ca_pem());
    assert_ne!(
        other
            .keep("alice", &request)
            .expect("issued")
            .certificate_pem,
        first.certificate_pem
    );
}

#[test]
fn garbage_is_not_overwritten() {
    let dir = tempfile::tempdir().expect("a folder");
    Pki::open(dir.path()).expect("made");
    std::fs::write(dir.path().join("ca.crt"), "nonsense").expect("written");
    assert!(Pki::open(dir.path()).is_err());
}
