//! The object rules of the API.
