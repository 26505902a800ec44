//! References to images, as far as it depends on them whether an image is pulled each time.

/// Most bytes of the path of an image.
const MAX_PATH: usize = 255;
/// Most bytes of a tag.
const MAX_TAG: usize = 128;
/// Digits of an image's id, which is no name.
const ID: usize = 64;
/// Images that no registry has: what is in the folder now counts.
const LOCAL: [&str; 2] = ["file://", "oci://"];

/// Whether the reference may mean another image tomorrow: its tag is `latest`, or it has neither tag nor digest. What is
/// no reference has no tag, as upstream.
pub(super) fn moves(image: &str) -> bool {
    let is_local = LOCAL.iter().any(|scheme| image.starts_with(scheme));
    let (name, tag, digest) = parts(image);
    let moves = match tag {
        Some(tag) => tag == "latest",
        None => digest.is_none(),
    };
    moves && (is_local || is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest))
}

/// Name, tag and digest.
fn parts(image: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let last = rest.rfind('/').map_or(0, |slash| slash + 1);
    match rest[last..]
        .find(':')
        .map(|colon| rest.split_at(last + colon))
    {
        Some((name, tag)) => (name, Some(&tag[1..]), digest),
        None => (rest, None, digest),
    }
}

fn is_name(name: &str) -> bool {
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if is_like_domain(first) => (Some(first), path),
        _ => (None, name),
    };
    let is_id = name.len() == ID && name.bytes().all(is_hex);
    !is_id
        && domain.is_none_or(is_domain)
        && path.len() <= MAX_PATH
        && path.split('/').all(is_component)
}

/// What comes before the first slash is a domain when it cannot be part of a path.
fn is_like_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.contains(char::is_uppercase)
}

fn is_domain(domain: &str) -> bool {
    let host_end = domain.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match domain[host_end..].split_once(':') {
        Some((host, port)) => (&domain[..host_end + host.len()], Some(port)),
        None => (domain, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => {
            let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
            !address.is_empty() && address.bytes().all(is_part)
        }
        None => host.split('.').all(is_label),
    };
    is_host && port.is_none_or(is_port)
}

fn is_label(label: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let ends = [label.chars().next(), label.chars().next_back()];
    label.bytes().all(is_part) && ends.iter().all(|end| end.is_some_and(|end| end != '-'))
}

/// Small letters and digits, with a dot, one or two underscores or any number of hyphens between them.
fn is_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_between =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    let ends = [component.chars().next(), component.chars().next_back()];
    ends.iter().all(|end| end.is_some_and(is_word)) && component.split(is_word).all(is_between)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let (algorithm, hash) = digest.split_once(':').unwrap_or_default();
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hash.len() == length && hash.bytes().all(is_hex)
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves() {
        let hex = "0123456789abcdef".repeat(4);
        for image in [
            "nginx",
            "nginx:latest",
            "localhost:5000/nginx",
            "A.example:5000/a/b-c__d",
            "[::1]:80/a",
            &format!("nginx:latest@sha256:{hex}"),
            "file:///x/App.wasm",
        ] {
            assert!(moves(image), "{image}");
        }
        for image in [
            "nginx:1.27",
            "localhost:5000/nginx:v1",
            "file:///x/App.wasm@sha256:00",
            &format!("nginx@sha256:{hex}"),
            // These are no references.
            "",
            "App",
            "a..b",
            "a/B:latest",
            "-.example/a",
            "a.example:/a",
            "a:",
            "nginx@sha256:00",
            "nginx:latest@sha256:00",
            &hex,
            &format!("x/{}", "a".repeat(254)),
        ] {
            assert!(!moves(image), "{image}");
        }
    }
}
