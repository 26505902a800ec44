//! HTTP containers: an address of the pod's own, ports from the annotation.

use sampan_proto::v1::ContainerState::*;
use sampan_proto::{Code, v1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Node, container, wat_with};

/// A container that answers with `status` at `port`.
async fn server(node: &Node, name: &str, status: u16, port: u16) -> v1::ContainerConfig {
    let image = node
        .image(name, &wat_with("http", "STATUS", &status.to_string()))
        .await;
    let ports = format!(r#"[{{"containerPort":{port}}}]"#);
    v1::ContainerConfig {
        annotations: [("io.kubernetes.container.ports".to_string(), ports)].into(),
        ..container(name, &image)
    }
}

/// The status line of the answer to GET /.
async fn get(ip: &str, port: u16) -> String {
    let mut stream = TcpStream::connect(format!("{ip}:{port}"))
        .await
        .expect("connected");
    let request = format!("GET / HTTP/1.1\r\nHost: {ip}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    answer.lines().next().expect("a status line").to_string()
}

#[tokio::test]
async fn two_pods_answer_on_the_same_port_each_at_its_address() {
    let node = Node::new();
    for (name, status) in [("a", 201), ("b", 202)] {
        let config = server(&node, name, status, 18080).await;
        let sandbox = node.sandbox(name).await;
        node.run(&sandbox, config).await;
    }
    let list = node.sandboxes().await;
    assert!(
        get(&node.ip(&list[0]).await, 18080)
            .await
            .starts_with("HTTP/1.1 201")
    );
    assert!(
        get(&node.ip(&list[1]).await, 18080)
            .await
            .starts_with("HTTP/1.1 202")
    );
}

#[tokio::test]
async fn without_a_declared_port_it_is_8080() {
    let node = Node::new();
    let config = v1::ContainerConfig {
        annotations: Default::default(),
        ..server(&node, "web", 200, 1).await
    };
    let sandbox = node.sandbox("web").await;
    node.run(&sandbox, config).await;
    assert!(
        get(&node.ip(&sandbox).await, 8080)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn one_port_is_taken_once_in_a_pod() {
    let node = Node::new();
    let sandbox = node.sandbox("pod").await;
    let first = server(&node, "first", 200, 18081).await;
    node.run(&sandbox, first).await;
    let second = server(&node, "second", 200, 18081).await;
    let second = node.create(&sandbox, second).await.expect("created");
    let error = node.start(&second).await.expect_err("the port is taken");
    assert_eq!(error.code, Code::FailedPrecondition);
    assert!(
        error.message.contains("18081") && error.message.contains("in use"),
        "{error}"
    );
    let status = node.status(&second).await.expect("known");
    assert_eq!(
        (status.state(), status.reason.as_str()),
        (ContainerExited, "StartError")
    );
}

#[tokio::test]
async fn a_stopped_server_ends_well_and_frees_its_port() {
    let node = Node::new();
    let sandbox = node.sandbox("pod").await;
    let config = server(&node, "web", 200, 18082).await;
    let id = node.run(&sandbox, config.clone()).await;
    node.stop(&id, 30).await.expect("stopped");
    let status = node.status(&id).await.expect("known");
    assert_eq!((status.exit_code, status.reason.as_str()), (0, "Completed"));
    node.remove(&id).await.expect("removed");
    node.run(&sandbox, config).await;
    assert!(
        get(&node.ip(&sandbox).await, 18082)
            .await
            .starts_with("HTTP/1.1 200")
    );
}
