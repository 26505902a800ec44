//! What stands behind the flags: read and checked before anything starts, so that clap can name the flag.

use std::path::PathBuf;

use sampan_api::names;
use sampan_image::Mirror;

/// The rule's complaints about a value, as one.
fn valid(value: &str, complaints: Vec<String>) -> Result<(), String> {
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(format!("{value:?}: {}", complaints.join("; "))),
    }
}

/// Whether a node can have the name, which is the value of its label `kubernetes.io/hostname`, too.
pub(crate) fn check_node_name(name: &str) -> Result<(), String> {
    valid(name, names::dns1123_subdomain(name))?;
    valid(name, names::label_value(name))
}

pub(super) fn parse_node_name(text: &str) -> Result<String, String> {
    check_node_name(text).map(|()| text.to_owned())
}

pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err(format!("{text:?} is not of the form KEY=VALUE")),
    }
}

pub(super) fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = parse_pair(text)?;
    valid(&key, names::qualified_name(&key))?;
    valid(&value, names::label_value(&value))?;
    Ok((key, value))
}

/// A folder, and whether it is read-only.
pub(super) fn parse_host_path(text: &str) -> Result<(PathBuf, bool), String> {
    let (folder, read_only) = match text.strip_suffix(":ro") {
        Some(folder) => (folder, true),
        None => (text, false),
    };
    let real = std::fs::canonicalize(folder).map_err(|error| format!("{folder:?}: {error}"))?;
    match real.is_dir() {
        true => Ok((real, read_only)),
        false => Err(format!("{folder:?} is no folder")),
    }
}

pub(super) fn parse_mirror(text: &str) -> Result<(String, Mirror), String> {
    let (host, url) =
        parse_pair(text).map_err(|_| format!("{text:?} is not of the form HOST=URL"))?;
    let mirror = url.parse::<Mirror>().map_err(|error| error.to_string())?;
    Ok((host, mirror))
}

/// Seconds.
pub(super) fn parse_age(text: &str) -> Result<u32, String> {
    let bad = || format!("{text:?} is not a duration such as 90s, 15m, 24h or 7d");
    let (number, unit) = text
        .split_at_checked(text.len().wrapping_sub(1))
        .ok_or_else(bad)?;
    let seconds: u32 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let number: u32 = number.parse().map_err(|_| bad())?;
    number.checked_mul(seconds).ok_or_else(bad)
}

/// Bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size such as 500Mi or 20Gi");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        "Ti" => 40,
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

pub(super) fn parse_resource(text: &str) -> Result<(String, u64), String> {
    let (name, count) = parse_pair(text)?;
    if !name.contains('/') {
        return Err(format!("{name:?} needs a domain, as in example.com/gpu"));
    }
    valid(&name, names::qualified_name(&name))?;
    let count = count
        .parse()
        .map_err(|_| format!("{count:?} is not a whole number"))?;
    Ok((name, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("7", 7), ("500Mi", 500 << 20), ("20Gi", 20 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        for bad in ["", "Gi", "-1", "1G", "1.5Gi", "20000000Ti"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn resources_and_labels() {
        assert_eq!(
            parse_resource("example.com/gpu=2"),
            Ok(("example.com/gpu".into(), 2))
        );
        assert!(parse_resource("gpu=2").is_err());
        assert!(parse_resource("example.com/gpu=two").is_err());
        assert!(parse_resource("example.com/g p=2").is_err());
        assert_eq!(parse_label("a="), Ok(("a".into(), String::new())));
        for bad in ["=a", "a", "a b=c", "a=b c", "Example.com/x=1"] {
            assert!(parse_label(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_pair("a=b c"), Ok(("a".into(), "b c".into())));
        assert!(parse_pair("=a").is_err());
        let (host, mirror) = parse_mirror("docker.io=http://127.0.0.1:5000/hub").expect("a mirror");
        assert_eq!(
            (host.as_str(), mirror.to_string().as_str()),
            ("docker.io", "http://127.0.0.1:5000/hub")
        );
        assert_eq!((parse_age("90s"), parse_age("7d")), (Ok(90), Ok(604_800)));
        for bad in ["", "s", "5", "1w", "-1s", "99999d"] {
            assert!(parse_age(bad).is_err(), "{bad}");
        }
        assert!(parse_mirror("docker.io").is_err() && parse_mirror("docker.io=x").is_err());
    }

    #[test]
    fn host_paths_are_folders_that_exist() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let real = dir.path().canonicalize().expect("it exists");
        let text = dir.path().to_str().expect("UTF-8");
        assert_eq!(parse_host_path(text), Ok((real.clone(), false)));
        assert_eq!(parse_host_path(&format!("{text}:ro")), Ok((real, true)));
        assert!(parse_host_path(&format!("{text}/none")).is_err());
        assert!(parse_host_path("/dev/null").is_err());
    }

    #[test]
    fn node_names() {
        let longest = "n".repeat(63);
        for good in ["node-1", "edge.example.com", longest.as_str()] {
            assert_eq!(parse_node_name(good).as_deref(), Ok(good));
        }
        let longer = "n".repeat(64);
        for bad in ["", "Node", "a_b", "-a", "a..b", longer.as_str()] {
            assert!(parse_node_name(bad).is_err(), "{bad}");
        }
    }
}
