use serde_json::json;

use super::*;

fn digest(n: u8) -> String {
    Digest::of(&[n]).into()
}

fn image(config: &str, layers: &[&str]) -> serde_json::Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|media_type| json!({"mediaType": media_type, "digest": digest(2), "size": 7}))
        .collect();
    json!({"schemaVersion": 2, "config": {"mediaType": config, "digest": digest(1), "size": 2}, "layers": layers})
}

fn parse(value: &serde_json::Value, declared: &str) -> Result<Document, FetchError> {
    Document::parse(value.to_string().as_bytes(), declared)
}

/// `module`, `module+config`, `rootfs`, or the error.
fn kind_of(config: &str, layers: &[&str]) -> String {
    let Document::Image(manifest) = parse(&image(config, layers), OCI_MANIFEST).unwrap() else {
        panic!("not an image")
    };
    match kind(&manifest) {
        Ok(Kind::Module {
            image_config: false,
            ..
        }) => "module".into(),
        Ok(Kind::Module {
            image_config: true, ..
        }) => "module+config".into(),
        Ok(Kind::Rootfs { layers }) => format!("rootfs {:?}", layers[0].1),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_three_layouts_are_told_apart() {
    let component = "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm";
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    assert_eq!(kind_of(WASM_CONFIG, &[WASM_LAYER]), "module");
    assert_eq!(
        kind_of("application/vnd.wasm.config.v1+json", &[WASM_LAYER]),
        "module"
    );
    assert_eq!(kind_of(OCI_CONFIG, &[component]), "module+config");
    assert_eq!(kind_of(OCI_CONFIG, &[gzip, WASM_LAYER]), "module+config");
    assert_eq!(kind_of(OCI_CONFIG, &[gzip]), "rootfs Gzip");
    assert_eq!(
        kind_of(
            DOCKER_CONFIG,
            &["application/vnd.docker.image.rootfs.diff.tar"]
        ),
        "rootfs None"
    );
    assert!(kind_of(WASM_CONFIG, &[WASM_LAYER, WASM_LAYER]).contains("exactly one"));
    assert!(kind_of(WASM_CONFIG, &[gzip]).contains("without a layer"));
    assert!(kind_of("application/vnd.cncf.helm.config.v1+json", &[gzip]).contains("unsupported"));
    assert!(kind_of(OCI_CONFIG, &["text/plain"]).contains("text/plain"));
    assert!(kind_of(OCI_CONFIG, &[]).contains("no layers"));
}

#[test]
fn a_document_means_one_thing() {
    let mut both = image(OCI_CONFIG, &[]);
    both["manifests"] = json!([]);
    assert!(parse(&both, "").is_err());
    let plain = image(OCI_CONFIG, &[]);
    assert!(parse(&plain, "").is_ok());
    assert!(parse(&plain, "application/json; charset=utf-8").is_ok());
    assert!(parse(&plain, OCI_INDEX).is_err());
    let mut named = plain.clone();
    named["mediaType"] = json!(DOCKER_MANIFEST);
    assert!(parse(&named, "").is_ok());
    assert!(parse(&named, OCI_MANIFEST).is_err());
    named["mediaType"] = json!("application/vnd.docker.distribution.manifest.v1+prettyjws");
    assert!(parse(&named, "").is_err());
    let schema1 = json!({"schemaVersion": 1, "name": "x", "fsLayers": []});
    assert!(
        parse(&schema1, "")
            .unwrap_err()
            .to_string()
            .contains("schema version 1")
    );
    for broken in ["", "{", "[]", "null", r#"{"schemaVersion":2}"#] {
        assert!(
            Document::parse(broken.as_bytes(), OCI_MANIFEST).is_err(),
            "{broken}"
        );
    }
    let mut negative = image(OCI_CONFIG, &["x"]);
    negative["layers"][0]["size"] = json!(-1);
    assert!(parse(&negative, "").is_err());
    let mut traversal = image(OCI_CONFIG, &["x"]);
    traversal["layers"][0]["digest"] = json!("sha256:../../../etc/passwd");
    assert!(parse(&traversal, "").is_err());
}

fn chosen(platforms: &[&str]) -> Option<String> {
    let entries: Vec<Descriptor> = platforms
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let platform = text.split_once('/').map(|(os, architecture)| Platform {
                os: os.into(),
                architecture: architecture.into(),
            });
            let digest = Digest::of(&[n as u8]);
            let media_type = OCI_MANIFEST.into();
            Descriptor {
                media_type,
                digest,
                size: 1,
                platform,
                annotations: None,
                urls: None,
            }
        })
        .collect();
    let position = |found: &Descriptor| entries.iter().position(|e| e.digest == found.digest);
    choose(&entries)
        .and_then(position)
        .map(|at| platforms[at].to_owned())
}

#[test]
fn wasm_is_chosen_before_linux() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(chosen(&["linux/amd64", "wasi/wasm"]), some("wasi/wasm"));
    assert_eq!(
        chosen(&["linux/amd64", "wasip2/wasm", "wasip1/wasm"]),
        some("wasip2/wasm")
    );
    assert_eq!(chosen(&["linux/amd64", "wasi/wasm32"]), some("wasi/wasm32"));
    assert_eq!(
        chosen(&["unknown/unknown", "linux/s390x"]),
        some("linux/s390x")
    );
    assert_eq!(chosen(&["linux/s390x", "linux/amd64"]), some("linux/amd64"));
    assert_eq!(chosen(&["linux/amd64", "none"]), some("none"));
    assert_eq!(chosen(&["windows/amd64", "unknown/unknown"]), None);
    assert_eq!(chosen(&[]), None);
}

#[test]
fn announced_sizes_are_limited() {
    let limits = Limits {
        layers: 2,
        layer_bytes: 10,
        image_bytes: 13,
        ..Limits::default()
    };
    let check = |layers: &[&str], size: u64| {
        let mut value = image(OCI_CONFIG, layers);
        value["layers"][0]["size"] = json!(size);
        match parse(&value, OCI_MANIFEST).unwrap() {
            Document::Image(manifest) => manifest.check(&limits).map_err(|error| error.to_string()),
            Document::Index(_) => panic!("not an image"),
        }
    };
    assert_eq!(check(&["x"], 10), Ok(()));
    assert!(check(&["x"], 11).unwrap_err().contains("layer of 11"));
    assert!(check(&["x", "x"], 10).unwrap_err().contains("17 bytes"));
    assert!(check(&["x"], u64::MAX).is_err());
    assert!(check(&["x", "x", "x"], 1).unwrap_err().contains("3 layers"));
}

#[test]
fn configs_may_leave_everything_out() {
    let full = json!({"architecture": "wasm", "config": {"Entrypoint": ["/a.wasm"], "Cmd": null,
        "Env": ["A=b"], "WorkingDir": "/w", "User": "1000"}, "rootfs": {"diff_ids": [digest(3)]}});
    let config = ConfigFile::parse(full.to_string().as_bytes()).unwrap();
    assert_eq!(config.run.entrypoint, ["/a.wasm"]);
    assert_eq!(
        (config.run.working_dir.as_str(), config.run.user.as_str()),
        ("/w", "1000")
    );
    assert_eq!(config.diff_ids.len(), 1);
    assert_eq!(ConfigFile::parse(b"{}").unwrap().run, RunConfig::default());
    assert!(ConfigFile::parse(b"[1").is_err());
}
