//! The validate rules of the API.
