use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// `text` parses, and prints as `shown`.
fn check(text: &str, shown: &str) {
    match text.parse::<Reference>() {
        Ok(reference) => assert_eq!(reference.to_string(), shown, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

#[test]
fn names_get_their_default_tag_and_keep_their_domain() {
    check("app", "app:latest");
    check("app:v1", "app:v1");
    check("team/app:v1", "team/app:v1");
    check("localhost/app", "localhost/app:latest");
    check(
        "127.0.0.1:5000/a/b-c__d.e:1.0_x",
        "127.0.0.1:5000/a/b-c__d.e:1.0_x",
    );
    check("[::1]:5000/app", "[::1]:5000/app:latest");
    check("Registry.Example/app", "registry.example/app:latest");
    check("docker.io/nginx", "docker.io/library/nginx:latest");
    check("index.docker.io/team/x:1", "docker.io/team/x:1");
    check(&format!("app@{DIGEST}"), &format!("app@{DIGEST}"));
    check(
        &format!("r.io:80/app:v1@{DIGEST}"),
        &format!("r.io:80/app:v1@{DIGEST}"),
    );
}

#[test]
fn a_digest_is_what_gets_pulled() {
    let name: OciName = format!("r.io/app:v1@{DIGEST}").parse().unwrap();
    assert_eq!(name.target(), DIGEST);
    assert_eq!("app".parse::<OciName>().unwrap().target(), "latest");
}

#[test]
fn unqualified_names_have_a_place_in_the_default_registry() {
    let default = |text: &str| {
        text.parse::<OciName>()
            .unwrap()
            .in_default_registry()
            .to_string()
    };
    assert_eq!(default("app:v1"), "docker.io/library/app:v1");
    assert_eq!(default("team/app:v1"), "docker.io/team/app:v1");
    assert_eq!(default("r.io/app"), "r.io/app:latest");
}

#[test]
fn files_and_layouts() {
    check("file:///srv/app.wasm", "file:///srv/app.wasm");
    check("oci:///srv/layout", "oci:///srv/layout");
    check("oci:///srv/a:b/layout:v1", "oci:///srv/a:b/layout:v1");
    check(
        &format!("oci:///srv/x@{DIGEST}"),
        &format!("oci:///srv/x@{DIGEST}"),
    );
    let layout = "oci:///srv/layout:v1".parse::<Reference>().unwrap();
    let want = Reference::Layout {
        path: "/srv/layout".into(),
        image: Some("v1".into()),
    };
    assert_eq!(layout, want);
}

#[test]
fn what_is_no_reference_says_why() {
    let long = "a".repeat(256);
    let id = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (text, word) in [
        ("", "empty"),
        ("App:v1", "lowercase"),
        ("app:", "tag"),
        ("app:v 1", "tag"),
        ("app: v1", "tag"),
        ("a b", "repository name"),
        ("../app", "host:port"),
        ("a/../b", "repository name"),
        ("a//b", "repository name"),
        ("/app", "repository name"),
        ("app/", "repository name"),
        ("-app", "repository name"),
        ("a___b", "repository name"),
        ("r.io/", "empty"),
        ("r.io:x/app", "host:port"),
        ("r.io:99999/app", "host:port"),
        ("r..io/app", "host:port"),
        ("http://r.io/app", "host:port"),
        ("app@sha256:abc", "digest"),
        ("app@md5:abc", "sha256"),
        ("file://app.wasm", "absolute"),
        ("file:///", "absolute"),
        ("file:///a\0b", "NUL"),
        ("oci://x", "absolute"),
        (&long, "255"),
        (id, "image id"),
        (DIGEST, "image id"),
    ] {
        let Err(error) = text.parse::<Reference>() else {
            panic!("{text:?} was accepted")
        };
        let shown = error.to_string();
        assert!(shown.contains(word), "{text:?}: {shown}");
    }
}
