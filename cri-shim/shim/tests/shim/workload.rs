//! What a container is run as: by its exports, by annotation, by `#function`.

use sampan_proto::{Code, RuntimeService, v1};

use crate::support::{Node, container, log};

/// Numbers in, numbers out.
const LIBRARY: &str = r#"(module
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "_start")))"#;

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

/// A sandbox whose pod has an annotation.
async fn sandbox(node: &Node, name: &str, annotations: &[(&str, &str)]) -> String {
    let annotations = annotations.iter();
    let request = v1::RunPodSandboxRequest {
        config: Some(v1::PodSandboxConfig {
            annotations: annotations
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            ..node.pod(name)
        }),
        runtime_handler: String::new(),
    };
    let response = node.shim.run_pod_sandbox(request).await;
    response.expect("a sandbox").pod_sandbox_id
}

#[tokio::test]
async fn functions_are_called_by_name() {
    let node = Node::new();
    let image = node
        .image("library", &wat::parse_str(LIBRARY).expect("valid"))
        .await;
    let function = [("sampan.dev/workload", "function")];
    let for_other = [("sampan.dev/workload.other", "function")];
    // pod, its annotations, command, args -> exit code, log
    type Case<'a> = (
        &'a str,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
        &'a [&'a str],
        i32,
        &'a [&'a str],
    );
    let cases: [Case; 5] = [
        ("exports", &[], &[], &["2", "3"], 0, &[]),
        ("hash", &[], &["#add"], &["2", "3"], 0, &["stdout F 5"]),
        (
            "annotation",
            &function,
            &["add", "2"],
            &["3"],
            0,
            &["stdout F 5"],
        ),
        (
            "other",
            &for_other,
            &["add", "2"],
            &["3"],
            0,
            &["stdout F 5"],
        ),
        (
            "wrong",
            &[],
            &["#add"],
            &["2"],
            2,
            &["stderr F add: 1 arguments given, the function takes 2 (i32, i32)"],
        ),
    ];
    for (name, annotations, command, args, code, lines) in cases {
        let sandbox = sandbox(&node, name, annotations).await;
        let config = v1::ContainerConfig {
            command: strings(command),
            args: strings(args),
            ..container(name, &image)
        };
        let id = node.run(&sandbox, config).await;
        let status = node.exited(&id).await;
        assert_eq!(status.exit_code, code, "{name}");
        assert_eq!(log(status.log_path.as_ref()), lines, "{name}");
    }
}

#[tokio::test]
async fn a_module_that_cannot_be_run_so_is_refused() {
    let node = Node::new();
    let image = node
        .image("library", &wat::parse_str(LIBRARY).expect("valid"))
        .await;
    // annotation, its value, command -> words of the refusal
    let cases = [
        (
            "sampan.dev/workload",
            "http",
            "",
            "exports none of wasi:http/incoming-handler",
        ),
        (
            "sampan.dev/workload",
            "job",
            "",
            "must be command, http or function",
        ),
        (
            "sampan.dev/workload",
            "function",
            "sub",
            "none of a function sub; its exports: add",
        ),
        ("unrelated", "", "#sub", "none of a function sub"),
        (
            "sampan.dev/requests-per-instance",
            "none",
            "",
            "must be a number",
        ),
    ];
    for (position, (key, value, command, words)) in cases.into_iter().enumerate() {
        let sandbox = sandbox(&node, &format!("pod-{position}"), &[(key, value)]).await;
        let command = if command.is_empty() {
            Vec::new()
        } else {
            strings(&[command])
        };
        let config = v1::ContainerConfig {
            command,
            ..container("app", &image)
        };
        let error = node.create(&sandbox, config).await.expect_err(words);
        assert_eq!(error.code, Code::InvalidArgument, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
}
