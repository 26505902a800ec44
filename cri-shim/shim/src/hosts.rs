//! The names of a container's `/etc/hosts`. Guests that ask for a name ask the engine, not a resolver that would read
//! the file; so it is read here, once, when the container is made.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use sampan_engine::Mount;

const HOSTS: &str = "/etc/hosts";

/// The longest file that is read; of longer ones the beginning counts.
const MAX_BYTES: u64 = 64 << 10;

/// Names and their addresses, in the file's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts(Vec<(String, IpAddr)>);

impl Hosts {
    /// From the file that is mounted at `/etc/hosts`, if one is. Reads it: call it where blocking is allowed.
    pub(crate) fn of(mounts: &[Mount]) -> Hosts {
        let mount = mounts.iter().find(|mount| mount.guest == HOSTS);
        let text = mount.and_then(|mount| read(&mount.host).ok());
        parse(&text.unwrap_or_default())
    }

    /// The addresses of a name, however it is capitalised.
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let named = self
            .0
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, address)| *address).collect()
    }
}

/// A guest may write the folder a mount is in: no link is followed, and nothing that would block is waited for.
fn read(path: &Path) -> std::io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    let file = File::from(file);
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse(text: &str) -> Hosts {
    let mut hosts = Vec::new();
    for line in text.lines() {
        let line = line.split_once('#').map_or(line, |(entry, _)| entry);
        let mut words = line.split_whitespace();
        if let Some(address) = words.next().and_then(|word| word.parse().ok()) {
            hosts.extend(words.map(|name| (name.to_string(), address)));
        }
    }
    Hosts(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_addresses() {
        let hosts = parse(
            "# made by hand\n127.0.0.1\tlocalhost\n\n10.1.2.3 db db.example # the old one\nno address\n\
             10.1.2.4 Db\n2001:db8::1 six\n10.1.2.5\n",
        );
        let addresses = |name: &str| -> Vec<String> {
            let found = hosts.addresses(name).into_iter();
            found.map(|address| address.to_string()).collect()
        };
        assert_eq!(addresses("db"), ["10.1.2.3", "10.1.2.4"]);
        assert_eq!(addresses("DB.example"), ["10.1.2.3"]);
        assert_eq!(addresses("six"), ["2001:db8::1"]);
        for unknown in ["address", "the", "", "10.1.2.5"] {
            assert!(addresses(unknown).is_empty(), "{unknown}");
        }
    }

    #[test]
    fn only_a_file_at_its_place_is_read() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("hosts");
        std::fs::write(&path, "10.1.2.3 db\n").expect("written");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        let of = |host: &Path, guest: &str| {
            Hosts::of(&[Mount {
                host: host.to_path_buf(),
                guest: guest.to_string(),
                read_only: true,
            }])
        };
        assert_eq!(of(&path, "/etc/hosts").addresses("db").len(), 1);
        for (host, guest) in [
            (path.as_path(), "/etc/other"),
            (&link, "/etc/hosts"),
            (folder.path(), "/etc/hosts"),
            (Path::new("/nowhere"), "/etc/hosts"),
        ] {
            assert_eq!(of(host, guest), Hosts::default(), "{host:?} {guest}");
        }
    }
}
