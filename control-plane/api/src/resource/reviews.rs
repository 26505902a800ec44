//! Rows of questions about users: asked with POST, answered at once, stored nowhere.

use super::{BASE, CREATE, Resource};

const AUTHENTICATION: Resource = Resource {
    group: "authentication.k8s.io",
    namespaced: false,
    verbs: CREATE,
    ..BASE
};

const AUTHORIZATION: Resource = Resource {
    group: "authorization.k8s.io",
    ..AUTHENTICATION
};

pub(super) const SELFSUBJECTREVIEWS: Resource = Resource {
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    type_name: "io.k8s.api.authentication.v1.SelfSubjectReview",
    ..AUTHENTICATION
};

pub(super) const TOKENREVIEWS: Resource = Resource {
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    type_name: "io.k8s.api.authentication.v1.TokenReview",
    ..AUTHENTICATION
};

pub(super) const LOCALSUBJECTACCESSREVIEWS: Resource = Resource {
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    namespaced: true,
    type_name: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    ..AUTHORIZATION
};

pub(super) const SELFSUBJECTACCESSREVIEWS: Resource = Resource {
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    type_name: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    ..AUTHORIZATION
};

pub(super) const SELFSUBJECTRULESREVIEWS: Resource = Resource {
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    type_name: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    ..AUTHORIZATION
};

pub(super) const SUBJECTACCESSREVIEWS: Resource = Resource {
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    type_name: "io.k8s.api.authorization.v1.SubjectAccessReview",
    ..AUTHORIZATION
};
