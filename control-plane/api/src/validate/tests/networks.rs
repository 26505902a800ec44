use super::*;

#[test]
fn policies() {
    let check = |spec: Value, expect: &[&str]| {
        let resource = of("networking.k8s.io/v1", "NetworkPolicy");
        check(resource, object(json!({"spec": spec})), expect);
    };
    check(json!({}), &[]);
    check(
        json!({"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"port": 80, "endPort": 90}, {"port": "http"}],
                "from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                    {"podSelector": {}, "namespaceSelector": {}}]}], "egress": [{}]}),
        &[],
    );
    check(
        json!({"policyTypes": ["x"], "egress": [{"ports": [{"port": 0, "protocol": "ICMP"},
            {"endPort": 1}, {"port": 5, "endPort": 4}],
            "to": [{}, {"ipBlock": {"cidr": "10.0.0.1/8"}, "podSelector": {}},
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]}),
        &[
            "spec.egress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \
             \"TCP\", \"UDP\", \"SCTP\"",
            "spec.egress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.egress[0].ports[1].endPort: Invalid value: 1: may not be specified when `port` is \
             not specified",
            "spec.egress[0].ports[2].endPort: Invalid value: 5: must be greater than or equal to \
             `port`",
            "spec.egress[0].to[0]: Required value: must specify a peer",
            "spec.egress[0].to[1].ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits \
             set beyond the prefix length",
            "spec.egress[0].to[1]: Forbidden: may not specify both ipBlock and another peer",
            "spec.egress[0].to[2].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict \
             subset of `cidr`",
            "spec.policyTypes[0]: Unsupported value: \"x\": supported values: \"Ingress\", \"Egress\"",
        ],
    );
}

#[test]
fn ingresses() {
    let resource = of("networking.k8s.io/v1", "Ingress");
    let check = |spec: Value, expect: &[&str]| {
        check(resource, object(json!({"spec": spec})), expect);
    };
    let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
    check(
        json!({"defaultBackend": backend, "tls": [{"hosts": ["*.a.b"], "secretName": "t"}],
            "rules": [{"host": "a.b", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": backend}]}}]}),
        &[],
    );
    check(
        json!({}),
        &["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
    );
    check(
        json!({"rules": [{"host": "1.2.3.4", "http": {"paths": [{"backend": backend},
            {"path": "a//b/..", "pathType": "Exact", "backend": {}},
            {"pathType": "Guess", "backend": {"service": {"name": "s"}}}]}},
            {"host": "*", "http": {}}]}),
        &[
            "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
            "spec.rules[0].http.paths[1].path: Invalid value: \"a//b/..\": must be an absolute path",
            "spec.rules[0].http.paths[1].path: Invalid value: \"a//b/..\": must not contain '//'",
            "spec.rules[0].http.paths[1].path: Invalid value: \"a//b/..\": cannot end with '/..'",
            "spec.rules[0].http.paths[1].backend: Invalid value: \"\": resource or service backend is \
             required",
            "spec.rules[0].http.paths[2].pathType: Unsupported value: \"Guess\": supported values: \
             \"Exact\", \"ImplementationSpecific\", \"Prefix\"",
            "spec.rules[0].http.paths[2].backend: Required value: port name or number is required",
            "spec.rules[1].host: Invalid value: \"*\": a wildcard DNS-1123 subdomain must start with \
             '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric \
             characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', \
             regex used for validation is \
             '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "spec.rules[1].http.paths: Required value",
        ],
    );
    let new = object(json!({"status": {"loadBalancer": {"ingress": [{"ip": "x"},
        {"hostname": "1.2.3.4"}]}}}));
    assert_eq!(
        lines(&status_update(resource, &new, &new)),
        [
            "status.loadBalancer.ingress[0].ip: Invalid value: \"x\": must be a valid IP address, \
             (e.g. 10.9.8.7 or 2001:db8::ffff)",
            "status.loadBalancer.ingress[1].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, \
             not an IP address",
        ]
    );
}

#[test]
fn classes() {
    let resource = of("networking.k8s.io/v1", "IngressClass");
    let class = |spec: Value| global(json!({"spec": spec}));
    let good =
        class(json!({"controller": "example.com/c", "parameters": {"kind": "K", "name": "n"}}));
    check(resource, good.clone(), &[]);
    check(
        resource,
        class(json!({"controller": "c", "parameters": {"scope": "Namespace"}})),
        &[
            "spec.controller: Invalid value: \"c\": must be a domain-prefixed path (such as \
             \"acme.io/foo\")",
            "spec.parameters.kind: Required value",
            "spec.parameters.name: Required value",
            "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
        ],
    );
    check_update(
        resource,
        class(json!({"controller": "example.com/d"})),
        good,
        &["spec.controller: Invalid value: \"example.com/d\": field is immutable"],
    );
}

#[test]
fn service_ranges() {
    let resource = of("networking.k8s.io/v1", "ServiceCIDR");
    let range = |cidrs: Value| global(json!({"spec": {"cidrs": cidrs}}));
    check(
        resource,
        range(json!(["10.0.0.0/24", "2001:db8::/64"])),
        &[],
    );
    check(
        resource,
        range(json!(["10.0.0.0/24", "10.1.0.0/24"])),
        &[
            "spec.cidrs: Invalid value: [\"10.0.0.0/24\",\"10.1.0.0/24\"]: may specify no more than \
             one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
        ],
    );
    check(
        resource,
        range(json!([])),
        &["spec.cidrs: Required value: at least one CIDR required"],
    );
    let check = |new: Value, old: Value, expect: &[&str]| {
        check_update(resource, range(new), range(old), expect);
    };
    let one = json!(["10.0.0.0/24"]);
    check(json!(["10.0.0.0/24", "2001:db8::/64"]), one.clone(), &[]);
    check(
        json!(["10.1.0.0/24"]),
        one,
        &["spec.cidrs[0]: Invalid value: \"10.1.0.0/24\": field is immutable"],
    );
}

#[test]
fn addresses() {
    let resource = of("networking.k8s.io/v1", "IPAddress");
    let address = |name: &str, parent: Value| {
        with(
            global(json!({"metadata.name": name})),
            json!({"spec": {"parentRef": parent}}),
        )
    };
    let parent = json!({"resource": "services", "name": "s", "namespace": "default"});
    check(resource, address("10.0.0.1", parent.clone()), &[]);
    check(
        resource,
        address("010.0.0.1", json!({})),
        &[
            "metadata.name: Invalid value: \"010.0.0.1\": must not have leading 0s",
            "spec.parentRef.resource: Required value",
            "spec.parentRef.name: Required value",
        ],
    );
    let other = json!({"resource": "services", "name": "t"});
    check_update(
        resource,
        address("10.0.0.1", other),
        address("10.0.0.1", parent),
        &[
            "spec.parentRef: Invalid value: {\"name\":\"t\",\"resource\":\"services\"}: field is \
             immutable",
        ],
    );
}

#[test]
fn endpoint_slices() {
    let resource = of("discovery.k8s.io/v1", "EndpointSlice");
    let slice = |kind: &str, endpoints: Value, ports: Value| {
        object(json!({"addressType": kind, "endpoints": endpoints, "ports": ports}))
    };
    let good = json!([{"addresses": ["10.0.0.1"], "nodeName": "n", "hostname": "h",
        "hints": {"forZones": [{"name": "z"}]}}]);
    check(
        resource,
        slice(
            "IPv4",
            good.clone(),
            json!([{"name": "http", "port": 80}, {"port": 81}]),
        ),
        &[],
    );
    check(
        resource,
        slice("FQDN", json!([{"addresses": ["a.b"]}]), json!([])),
        &[],
    );
    check(
        resource,
        slice(
            "IPv4",
            json!([{"addresses": []}, {"addresses": ["127.0.0.1", "2001:db8::1"]}]),
            json!([{"name": "a", "protocol": "ICMP"}, {"name": "a"}]),
        ),
        &[
            "ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \
             \"UDP\"",
            "ports[1].name: Duplicate value: \"a\"",
            "endpoints[0].addresses: Required value: must contain at least 1 address",
            "endpoints[1].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback \
             range (127.0.0.0/8, ::1/128)",
            "endpoints[1].addresses: Invalid value: \"2001:db8::1\": must be an IPv4 address",
        ],
    );
    check_update(
        resource,
        slice("IPv6", json!([]), json!([])),
        slice("IPv4", good, json!([])),
        &["addressType: Invalid value: \"IPv6\": field is immutable"],
    );
}

#[test]
fn endpoints() {
    let check = |subsets: Value, expect: &[&str]| {
        check(
            core("Endpoints"),
            object(json!({"subsets": subsets})),
            expect,
        );
    };
    check(
        json!([{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]),
        &[],
    );
    check(
        json!([{"ports": [{"port": 80}, {"port": 0, "name": "a"}]},
            {"notReadyAddresses": [{"ip": "0.0.0.0", "hostname": "A"}]}]),
        &[
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
            "subsets[0].ports[0].name: Required value",
            "subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "subsets[1].notReadyAddresses[0].hostname: Invalid value: \"A\": a lowercase RFC 1123 \
             label must consist of lower case alphanumeric characters or '-', and must start and end \
             with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation \
             is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "subsets[1].notReadyAddresses[0].ip: Invalid value: \"0.0.0.0\": may not be unspecified \
             (0.0.0.0)",
        ],
    );
    let strange = object(json!({"subsets": [{}]}));
    check_update(core("Endpoints"), strange.clone(), strange, &[]);
}
