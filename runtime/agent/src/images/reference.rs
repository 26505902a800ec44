//! Just enough of image references: are they well formed, and which registry do they name.

/// Schemes of images that are files of the node; the runtime decides which it allows.
const FILE_SCHEMES: [&str; 2] = ["file://", "oci://"];

/// The registry of names that give none, and how it was called before.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_BEFORE: &str = "index.docker.io";

/// Longest name without tag and digest, as in the distribution specification.
const NAME_MAX: usize = 255;

/// Why `image` is no image reference; nothing for one that is.
pub(super) fn check(image: &str) -> Result<(), String> {
    if is_file(image) {
        return Ok(());
    }
    let bad = |why: &str| Err(format!("couldn't parse image name \"{image}\": {why}"));
    if image.is_empty() {
        return bad("invalid reference format");
    }
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:");
        if !hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            return bad("invalid digest format");
        }
    }
    let (host, path, tag) = parts(name);
    if host.is_some_and(|host| {
        !host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    }) {
        return bad("invalid reference format");
    }
    if host.map_or(0, |host| host.len() + 1) + path.len() > NAME_MAX {
        return bad("repository name must not be more than 255 characters");
    }
    let word = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return bad("repository name must be lowercase");
    }
    if !path.split('/').all(word) {
        return bad("invalid reference format");
    }
    let tag_ok = |tag: &str| {
        !tag.is_empty()
            && tag.len() <= 128
            && !tag.starts_with(['.', '-'])
            && tag
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if tag.is_some_and(|tag| !tag_ok(tag)) {
        return bad("invalid reference format");
    }
    Ok(())
}

/// Whether the reference floats: tag `latest`, or neither tag nor digest.
pub(super) fn is_latest(image: &str) -> bool {
    if has_digest(image) || is_file(image) {
        return false;
    }
    matches!(parts(image).2, None | Some("latest"))
}

/// Whether it says by digest what the image is, whatever its tag.
pub(super) fn has_digest(image: &str) -> bool {
    image.contains('@') && !is_file(image)
}

/// Whether it names a file of the node.
pub(super) fn is_file(image: &str) -> bool {
    FILE_SCHEMES.iter().any(|scheme| image.starts_with(scheme))
}

/// Registry and repository, with Docker Hub for names that give none. One spelling for all that mean the same.
pub(super) fn registry_and_path(image: &str) -> (String, String) {
    let name = image.split('@').next().unwrap_or(image);
    let (host, path, _) = parts(name);
    let host = host.map_or_else(|| DOCKER_HUB.to_owned(), str::to_ascii_lowercase);
    if host != DOCKER_HUB && host != DOCKER_HUB_BEFORE {
        return (host, path.to_owned());
    }
    let path = match path.contains('/') {
        true => path.to_owned(),
        false => format!("library/{path}"),
    };
    (DOCKER_HUB.to_owned(), path)
}

/// The name without tag and digest.
pub(super) fn name(image: &str) -> String {
    if is_file(image) {
        return image.to_owned();
    }
    let (registry, path) = registry_and_path(image);
    format!("{registry}/{path}")
}

/// The name with what the registry is asked for: the digest if there is one, else the tag.
pub(super) fn in_full(image: &str) -> String {
    let name = name(image);
    if is_file(image) {
        return name;
    }
    match image.split_once('@') {
        Some((_, digest)) => format!("{name}@{digest}"),
        None => format!("{name}:{}", parts(image).2.unwrap_or("latest")),
    }
}

/// `HOST/PATH:TAG` -> its parts. The first part is a host when it looks like one.
fn parts(name: &str) -> (Option<&str>, &str, Option<&str>) {
    let (host, rest) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.starts_with('[') =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    };
    match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (host, path, Some(tag)),
        _ => (host, rest, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let digest = format!("x@sha256:{}", "a".repeat(64));
        for good in [
            "app",
            "app:v1",
            "a/b/c:1",
            "reg:5000/x",
            "reg:5000/x:1",
            "localhost/x",
            "[::1]:5000/x",
            digest.as_str(),
            "file:///a/b.wasm",
            "oci:///a:tag",
            "a__b",
            "a.b-c",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            " ",
            "App",
            "app:",
            "app:-x",
            "a//b",
            "/a",
            "a/",
            "app v1",
            "x@sha256:12",
            "INVALID!",
            "a:b:c",
            "x@",
            "reg:5000/",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let long = |length| format!("reg.io/{}:v1", "a".repeat(length - "reg.io/".len()));
        assert_eq!(check(&long(NAME_MAX)), Ok(()));
        assert!(check(&long(NAME_MAX + 1)).is_err());
        assert!(is_latest("app") && is_latest("r:5000/app") && is_latest("app:latest"));
        assert!(!is_latest("app:v1") && !is_latest(&digest));
        let at = |image| registry_and_path(image);
        assert_eq!(at("app:1"), ("docker.io".into(), "library/app".into()));
        assert_eq!(at("u/app"), ("docker.io".into(), "u/app".into()));
        assert_eq!(at("r.io:5/u/app:1"), ("r.io:5".into(), "u/app".into()));
        for hub in [
            "docker.io/app",
            "index.docker.io/app@sha256:1",
            "library/app",
        ] {
            assert_eq!(at(hub), ("docker.io".into(), "library/app".into()), "{hub}");
        }
        for (image, full) in [
            ("app", "docker.io/library/app:latest"),
            ("R.io:5/app:v1", "r.io:5/app:v1"),
            ("r.io/app:v1@sha256:12", "r.io/app@sha256:12"),
            ("file:///app.wasm", "file:///app.wasm"),
        ] {
            assert_eq!(in_full(image), full);
        }
    }
}
