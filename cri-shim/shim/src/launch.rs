//! What a container's program is called with: argv and environment, from the request and the image
//! by Kubernetes' rules. Pure.

use sampan_image::{Content, Image, Program, RunConfig};
use sampan_proto::v1;

use crate::limits::MAX_ARGUMENT_BYTES;

/// Why the request's arguments cannot be given to a guest.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error("environment variable name {0:?} must not be empty or hold '=' or a zero byte")]
    EnvName(String),
    #[error(
        "the value of environment variable {0:?} must be UTF-8 without a zero byte: a WebAssembly guest cannot be given any other"
    )]
    EnvValue(String),
    #[error("argument {0:?} holds a zero byte")]
    Argument(String),
    #[error("arguments and environment take {0} bytes, at most {MAX_ARGUMENT_BYTES} are allowed")]
    TooLarge(usize),
}

/// The arguments, the program's name first.
///
/// `command` replaces the image's entrypoint and its cmd, `args` its cmd. An image that is a bare
/// module has no entrypoint: its program is called by the module's name.
pub(crate) fn argv(config: &v1::ContainerConfig, image: &Image) -> Vec<String> {
    let RunConfig {
        entrypoint, cmd, ..
    } = &image.config;
    let (command, args) = (&config.command, &config.args);
    if !command.is_empty() {
        return [&command[..], args].concat();
    }
    let rest = if args.is_empty() { cmd } else { args };
    if entrypoint.is_empty() && matches!(image.content, Content::Module { .. }) {
        // A cmd without entrypoint names the program itself; args never do.
        let name = (args.is_empty() && !cmd.is_empty()).then(Vec::new);
        let name = name.unwrap_or_else(|| vec![program_name(config, image)]);
        return [&name[..], rest].concat();
    }
    [&entrypoint[..], rest].concat()
}

/// What the program is looked up by in a root filesystem: the container's own `PATH` and working folder.
pub(crate) fn program(
    arg0: Option<String>,
    env: &[(String, String)],
    config: &v1::ContainerConfig,
    image: &RunConfig,
) -> Program {
    let path = env.iter().find(|(name, _)| name == "PATH");
    let working_dir = match config.working_dir.as_str() {
        "" => &image.working_dir,
        asked => asked,
    };
    Program {
        arg0,
        path: path.map(|(_, value)| value.clone()),
        working_dir: working_dir.to_owned(),
    }
}

/// The image's last path component without tag and digest: `app` for `registry:5000/x/app:v1`.
fn program_name(config: &v1::ContainerConfig, image: &Image) -> String {
    let spec = config.image.as_ref();
    let asked = spec
        .into_iter()
        .flat_map(|spec| [&spec.user_specified_image, &spec.image]);
    let known = image.repo_tags.iter().chain(&image.repo_digests);
    let name = asked
        .chain(known)
        .filter(|name| !name.starts_with("sha256:"))
        .find_map(|name| {
            let name = name.split('@').next()?.rsplit('/').next()?;
            let name = name.split(':').next()?;
            (!name.is_empty()).then(|| name.to_string())
        });
    name.unwrap_or_else(|| "module".to_string())
}

/// The environment: the image's, the host name, the request's; a later one replaces an earlier one
/// of its name.
pub(crate) fn env(
    config: &v1::ContainerConfig,
    image: &RunConfig,
    hostname: &str,
) -> Result<Vec<(String, String)>, LaunchError> {
    let mut env = Env::default();
    for pair in &image.env {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        env.set(name.to_string(), value.to_string());
    }
    if !hostname.is_empty() {
        env.set("HOSTNAME".to_string(), hostname.to_string());
    }
    for v1::KeyValue { key, value } in &config.envs {
        if key.is_empty() || key.contains(['=', '\0']) {
            return Err(LaunchError::EnvName(key.clone()));
        }
        let value = std::str::from_utf8(value)
            .ok()
            .filter(|value| !value.contains('\0'));
        let value = value.ok_or_else(|| LaunchError::EnvValue(key.clone()))?;
        env.set(key.clone(), value.to_string());
    }
    Ok(env.pairs)
}

/// Keeps first positions, so that order is stable; a map finds them, so that a thousand variables
/// do not cost a million comparisons.
#[derive(Default)]
struct Env {
    pairs: Vec<(String, String)>,
    position: std::collections::HashMap<String, usize>,
}

impl Env {
    fn set(&mut self, name: String, value: String) {
        if let Some(&position) = self.position.get(&name) {
            self.pairs[position].1 = value;
            return;
        }
        self.position.insert(name.clone(), self.pairs.len());
        self.pairs.push((name, value));
    }
}

/// Refuses what is too large or cannot be a C string on the guest's side.
pub(crate) fn check_size(argv: &[String], env: &[(String, String)]) -> Result<(), LaunchError> {
    if let Some(argument) = argv.iter().find(|argument| argument.contains('\0')) {
        return Err(LaunchError::Argument(argument.clone()));
    }
    let args: usize = argv.iter().map(|argument| argument.len() + 1).sum();
    let envs: usize = env
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    if args + envs > MAX_ARGUMENT_BYTES {
        return Err(LaunchError::TooLarge(args + envs));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| text.to_string()).collect()
    }

    fn image(module: bool, entrypoint: &[&str], cmd: &[&str]) -> Image {
        let content = match module {
            true => Content::Module {
                digest: "sha256:0".into(),
                path: "m".into(),
            },
            false => Content::Rootfs { dir: "r".into() },
        };
        Image {
            id: "sha256:1".into(),
            repo_tags: vec!["registry:5000/team/app:v1".into()],
            repo_digests: Vec::new(),
            size: 1,
            config: RunConfig {
                entrypoint: strings(entrypoint),
                cmd: strings(cmd),
                ..Default::default()
            },
            content,
        }
    }

    #[test]
    fn command_and_args_replace_entrypoint_and_cmd() {
        let (module, rootfs) = (true, false);
        // (content, entrypoint, cmd, command, args) -> argv
        type Case<'a> = (
            bool,
            &'a [&'a str],
            &'a [&'a str],
            &'a [&'a str],
            &'a [&'a str],
            &'a [&'a str],
        );
        let cases: &[Case] = &[
            (rootfs, &["/e"], &["c"], &[], &[], &["/e", "c"]),
            (rootfs, &["/e"], &["c"], &[], &["a"], &["/e", "a"]),
            (rootfs, &["/e"], &["c"], &["x"], &[], &["x"]),
            (rootfs, &["/e"], &["c"], &["x"], &["a"], &["x", "a"]),
            (rootfs, &[], &["c"], &[], &[], &["c"]),
            (rootfs, &[], &["c"], &[], &["a"], &["a"]),
            (rootfs, &[], &[], &[], &[], &[]),
            (module, &[], &[], &[], &[], &["app"]),
            (module, &[], &[], &[], &["-v"], &["app", "-v"]),
            (module, &[], &[], &["x"], &["-v"], &["x", "-v"]),
            (module, &[], &["c", "d"], &[], &[], &["c", "d"]),
            (module, &["/e"], &["c"], &[], &["a"], &["/e", "a"]),
        ];
        for (content, entrypoint, cmd, command, args, expected) in cases {
            let config = v1::ContainerConfig {
                command: strings(command),
                args: strings(args),
                ..Default::default()
            };
            let image = image(*content, entrypoint, cmd);
            assert_eq!(argv(&config, &image), *expected, "{config:?}");
        }
    }

    #[test]
    fn a_module_is_called_by_its_images_name() {
        for (user, asked, expected) in [
            ("hello:v2", "sha256:abc", "hello"),
            ("localhost:5000/a/b/tool@sha256:abc", "", "tool"),
            ("file:///srv/app.wasm", "", "app.wasm"),
            ("", "sha256:abc", "app"),
            ("", "other", "other"),
        ] {
            let spec = v1::ImageSpec {
                image: asked.into(),
                user_specified_image: user.into(),
                ..Default::default()
            };
            let config = v1::ContainerConfig {
                image: Some(spec),
                ..Default::default()
            };
            assert_eq!(
                program_name(&config, &image(true, &[], &[])),
                expected,
                "{user} {asked}"
            );
        }
    }

    fn env_of(pairs: &[(&str, &[u8])]) -> Result<Vec<(String, String)>, LaunchError> {
        let envs = pairs.iter().map(|(key, value)| v1::KeyValue {
            key: key.to_string(),
            value: value.to_vec(),
        });
        let config = v1::ContainerConfig {
            envs: envs.collect(),
            ..Default::default()
        };
        let image = RunConfig {
            env: strings(&["PATH=/bin", "A=image", "EMPTY"]),
            ..Default::default()
        };
        env(&config, &image, "web-1")
    }

    #[test]
    fn later_variables_replace_earlier_ones_in_place() {
        let env = env_of(&[
            ("A", b"pod"),
            ("B", b""),
            ("B", b"2=3"),
            ("HOSTNAME", b"mine"),
        ])
        .expect("valid");
        let text: Vec<String> = env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            text,
            ["PATH=/bin", "A=pod", "EMPTY=", "HOSTNAME=mine", "B=2=3"]
        );
    }

    #[test]
    fn what_no_guest_can_be_given_is_refused() {
        for pairs in [
            [("", &b"x"[..])],
            [("A=B", b"x")],
            [("A", b"\xff")],
            [("A", b"a\0b")],
        ] {
            assert!(env_of(&pairs).is_err(), "{pairs:?}");
        }
        assert!(check_size(&strings(&["a\0"]), &[]).is_err());
        assert!(check_size(&["x".repeat(MAX_ARGUMENT_BYTES)], &[]).is_err());
        assert_eq!(check_size(&strings(&["a", "b"]), &[]), Ok(()));
    }
}
