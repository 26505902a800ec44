use super::*;

const GROUP: &str = "admissionregistration.k8s.io/v1";

fn rule() -> Value {
    json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]})
}

#[test]
fn webhooks() {
    let check = |webhook: Value, expect: &[&str]| {
        let good = json!({"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "rules": [rule()], "clientConfig": {"service": {"name": "s", "namespace": "n",
                "path": "/validate"}}});
        let value = global(json!({"webhooks": [with(good, webhook)]}));
        check(of(GROUP, "ValidatingWebhookConfiguration"), value, expect);
    };
    check(json!({}), &[]);
    check(
        json!({"clientConfig": {"url": "https://example.com/path"}}),
        &[],
    );
    check(
        json!({"name": "a.b", "sideEffects": "Some", "timeoutSeconds": 31, "failurePolicy": "x",
            "admissionReviewVersions": ["v2"], "clientConfig": {},
            "rules": [{"operations": ["*", "FLY"], "resources": ["*", "pods", "a/*", "a/b"]}]}),
        &[
            "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three \
             segments separated by dots",
            "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"FLY\"]: if '*' is present, must \
             not specify other operations",
            "webhooks[0].rules[0].operations[1]: Unsupported value: \"FLY\": supported values: \"*\", \
             \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\"",
            "webhooks[0].rules[0].apiGroups: Required value",
            "webhooks[0].rules[0].apiVersions: Required value",
            "webhooks[0].rules[0].resources[3]: Invalid value: \"a/b\": if 'a/*' is present, must not \
             specify a/b",
            "webhooks[0].rules[0].resources: Invalid value: [\"*\",\"pods\",\"a/*\",\"a/b\"]: if '*' \
             is present, must not specify other resources without subresources",
            "webhooks[0].failurePolicy: Unsupported value: \"x\": supported values: \"Fail\", \
             \"Ignore\"",
            "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \
             \"NoneOnDryRun\"",
            "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and \
             30 seconds",
            "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
            "webhooks[0].admissionReviewVersions: Invalid value: [\"v2\"]: must include at least one \
             of v1, v1beta1",
        ],
    );
    // As upstream has it, with the one for the other.
    check(
        json!({"clientConfig": {"service": {"name": "s", "port": 443}}}),
        &["webhooks[0].clientConfig.service.name: Required value"],
    );
    check(
        json!({"clientConfig": {"url": "http://u@h?q#f"}}),
        &[
            "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL \
             scheme; desired format: https://host[/path]",
            "webhooks[0].clientConfig.url: Invalid value: \"u\": user information is not permitted in \
             the URL",
            "webhooks[0].clientConfig.url: Invalid value: \"f\": fragments are not permitted in the \
             URL",
            "webhooks[0].clientConfig.url: Invalid value: \"q\": query parameters are not permitted \
             in the URL",
        ],
    );
    check(
        json!({"clientConfig.service": {"name": "s", "namespace": "n", "port": 0, "path": "a//b"}}),
        &[
            "webhooks[0].clientConfig.service.port: Invalid value: 0: port is not valid: must be \
             between 1 and 65535, inclusive",
            "webhooks[0].clientConfig.service.path: Invalid value: \"a//b\": must start with a '/'",
            "webhooks[0].clientConfig.service.path: Invalid value: \"a//b\": segment[1] may not be \
             empty",
        ],
    );
}

#[test]
fn policies() {
    let policy = |kind: &str, spec: Value, expect: &[&str]| {
        let good = json!({"matchConstraints": {"resourceRules": [rule()]}});
        check(
            of(GROUP, kind),
            global(json!({"spec": with(good, spec)})),
            expect,
        );
    };
    policy(
        "ValidatingAdmissionPolicy",
        json!({"validations": [{"expression": "true", "reason": "Invalid"}],
            "variables": [{"name": "x", "expression": "1"}],
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}),
        &[],
    );
    policy(
        "ValidatingAdmissionPolicy",
        json!({"matchConstraints.resourceRules": [], "failurePolicy": "x",
            "variables": [{"name": "a-b", "expression": " "}],
            "matchConditions": [{"name": "a", "expression": "x"}, {"name": "a"}],
            "paramKind": {"apiVersion": "a/b/c", "kind": "K"}}),
        &[
            "spec.failurePolicy: Unsupported value: \"x\": supported values: \"Fail\", \"Ignore\"",
            "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: \
             a/b/c",
            "spec.matchConstraints.resourceRules: Required value",
            "spec.matchConditions[1].expression: Required value",
            "spec.matchConditions[1].name: Duplicate value: \"a\"",
            "spec.variables[0].name: Invalid value: \"a-b\": must be a valid CEL identifier",
            "spec.variables[0].expression: Required value: expression is not specified",
            "spec.validations: Required value: validations or auditAnnotations must contain at least \
             one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at \
             least one item",
        ],
    );
    policy(
        "ValidatingAdmissionPolicy",
        json!({"validations": [{"expression": "", "message": "a\nb", "messageExpression": " ",
            "reason": "x"}], "auditAnnotations": [{"key": "k"}, {"key": "k",
                "valueExpression": "'v'"}]}),
        &[
            "spec.validations[0].expression: Required value: expression is not specified",
            "spec.validations[0].messageExpression: Invalid value: \" \": must be non-empty if \
             specified",
            "spec.validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks",
            "spec.validations[0].reason: Unsupported value: \"x\": supported values: \"Forbidden\", \
             \"Invalid\", \"RequestEntityTooLarge\"",
            "spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not \
             specified",
            "spec.auditAnnotations[1].key: Duplicate value: \"k\"",
        ],
    );
    policy(
        "MutatingAdmissionPolicy",
        json!({"reinvocationPolicy": "Never", "mutations": [{"patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": "Object{}"}}]}),
        &[],
    );
    policy(
        "MutatingAdmissionPolicy",
        json!({"matchConstraints.resourceRules": [with(rule(), json!({"operations": ["DELETE"]}))],
            "mutations": [{"patchType": "JSONPatch", "applyConfiguration": {}}, {}]}),
        &[
            "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported \
             values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"",
            "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is \
             JSONPatch",
            "spec.mutations[0].applyConfiguration: Invalid value: \"{applyConfiguration}\": must not \
             be specified when patchType is JSONPatch",
            "spec.mutations[1].patchType: Required value",
            "spec.reinvocationPolicy: Required value",
        ],
    );
}

#[test]
fn bindings() {
    let binding = |spec: Value, expect: &[&str]| {
        let resource = of(GROUP, "ValidatingAdmissionPolicyBinding");
        check(resource, global(json!({"spec": spec})), expect);
    };
    binding(
        json!({"policyName": "p", "validationActions": ["Deny"],
            "paramRef": {"name": "x", "parameterNotFoundAction": "Allow"}, "matchResources": {}}),
        &[],
    );
    binding(
        json!({"validationActions": ["Deny", "Warn", "Deny", "x"],
            "paramRef": {"name": "x", "selector": {}}}),
        &[
            "spec.policyName: Required value",
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.parameterNotFoundAction: Required value",
            "spec.validationActions[2]: Duplicate value: \"Deny\"",
            "spec.validationActions[3]: Unsupported value: \"x\": supported values: \"Audit\", \
             \"Deny\", \"Warn\"",
            "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\",\"x\"]: must not \
             contain both Deny and Warn (repeating the same validation failure information in the \
             API response and headers serves no purpose)",
        ],
    );
    check(
        of(GROUP, "MutatingAdmissionPolicyBinding"),
        global(json!({"spec": {"policyName": "p"}})),
        &[],
    );
}
